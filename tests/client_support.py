"""What the tests of the client stand on: clocks that need no real time, and a look at what a client holds."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import os
import ssl
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import trustme

from relaydance_async import AsyncRelayDance
from relaydance_async._config import Clock
from relaydance_async._limits import Permits
from relaydance_async._transports._pool import SlotPool
from relaydance_async.sandbox import Sandbox

MODELS = "GET /v1/models"
MODEL = "GET /v1/models/{model}"
CHAT = "POST /v1/chat/completions"
IMAGES = "POST /v1/images/generations"
SUBMIT = "POST /v1/video/generations"
FETCH = "GET /v1/video/generations/{task_id}"
FILES = "POST /v1/files"

Call = Callable[[AsyncRelayDance], Awaitable[Any]]

HELLO = [{"role": "user", "content": "one two three"}]


async def ask_chat(client: AsyncRelayDance) -> Any:
    return await client.chat.completions.create(model="grok-4.3", messages=HELLO)


async def open_stream(client: AsyncRelayDance) -> Any:
    async with await client.chat.completions.create(model="grok-4.3", messages=HELLO, stream=True) as stream:
        return await stream.get_final_completion()


async def make_image(client: AsyncRelayDance) -> Any:
    return await client.images.generate(model="grok-imagine-image", prompt="a cat")


async def submit_clip(client: AsyncRelayDance) -> Any:
    return await client.video.submit(model="doubao-seedance-2-0-720p", prompt="a cat turns", seconds=5)


async def upload_file(client: AsyncRelayDance) -> Any:
    return await client.files.upload(b"not a picture", filename="cat.jpg")


async def list_models(client: AsyncRelayDance) -> Any:
    return await client.models.list()


async def fetch_model(client: AsyncRelayDance) -> Any:
    return await client.models.retrieve("grok-4.3")


async def fetch_task(client: AsyncRelayDance) -> Any:
    return await client.video.retrieve("task_1")


BILLED: dict[str, Call] = {
    CHAT: ask_chat,
    IMAGES: make_image,
    SUBMIT: submit_clip,
    FILES: upload_file,
}
"""Every billed route, with a call of it."""

CALLS: dict[str, Call] = {**BILLED, MODELS: list_models, MODEL: fetch_model, FETCH: fetch_task}


TRANSPORTS = ("httpx", "aiohttp", "caller")


@asynccontextmanager
async def transport_options(name: str) -> AsyncGenerator[dict[str, Any], None]:
    """What to make a client with, to have it send in one of these ways."""
    if name != "caller":
        yield {"transport": name}
        return
    async with httpx.AsyncClient(verify=False) as http:
        yield {"http_client": http}


@dataclass
class QuickClock:
    """A clock on which every sleep is over at once and is written down. `random` always draws `jitter`."""

    jitter: float = 1.0
    sleeps: list[float] = field(default_factory=list[float])
    at: float = 1000.0
    start: datetime = field(default_factory=lambda: datetime.now(UTC))

    async def _sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.at += seconds
        await anyio.lowlevel.checkpoint()

    def now(self) -> datetime:
        return self.start + timedelta(seconds=self.at - 1000.0)

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.at, self._sleep, lambda: self.jitter, self.now)


class HandClock:
    """A clock that stands still until `advance`; whoever sleeps on it waits for that."""

    def __init__(self) -> None:
        self.at = 1000.0
        self._sleepers: list[tuple[float, anyio.Event]] = []

    async def _sleep(self, seconds: float) -> None:
        sleeper = (self.at + seconds, anyio.Event())
        self._sleepers.append(sleeper)
        try:
            await sleeper[1].wait()
        finally:
            self._sleepers.remove(sleeper)

    @property
    def sleeping(self) -> int:
        """How many sleep now."""
        return len(self._sleepers)

    def advance(self, seconds: float) -> None:
        self.at += seconds
        for until, woken in self._sleepers:
            if until <= self.at:
                woken.set()

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.at, self._sleep, lambda: 1.0)


def client_of(sandbox: Sandbox, clock: QuickClock | HandClock | None = None, **options: Any) -> AsyncRelayDance:
    """A client of the sandbox, or, with `base_url`, of something in front of it."""
    if clock is not None:
        options["_clock"] = clock.clock
    options.setdefault("base_url", sandbox.base_url)
    return AsyncRelayDance(sandbox.api_key, **options)


def open_gate(client: AsyncRelayDance) -> None:
    """As it is after the first calls: for tests of many calls on a clock that stands still."""
    gate = client._controller._gate
    gate._rate, gate._starting = None, False


async def permits_of(client: AsyncRelayDance) -> Permits:
    """The permits of the running loop."""
    return (await client._runtimes.current()).permits


async def connections_of(client: AsyncRelayDance) -> Callable[[], int]:
    """Counts the open connections of the running loop, idle ones included."""
    transport: Any = (await client._runtimes.current()).transport
    if transport.name == "aiohttp":

        def count() -> int:
            connector = transport._session.connector if transport._session is not None else None
            return len(connector._acquired) + sum(map(len, connector._conns.values())) if connector else 0

        return count
    pool = transport._client._transport
    assert isinstance(pool, SlotPool)
    return lambda: pool.open_connections


def build_tls() -> tuple[ssl.SSLContext, str]:
    """What a server on 127.0.0.1 speaks TLS with, and the certificate (PEM) of the authority to trust."""
    authority: Any = trustme.CA()
    served = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(served)
    pem: str = authority.cert_pem.bytes().decode()
    return served, pem


async def wait_until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    """For what another task or thread does: looked at every millisecond."""
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "it did not happen in time"
        await anyio.sleep(0.001)


def open_files() -> int:
    """The file descriptors of this process, sockets included."""
    return len(os.listdir("/dev/fd"))
