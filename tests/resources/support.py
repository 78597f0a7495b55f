"""A client before a sandbox, with time that passes as fast as it is asked for."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import anyio
import anyio.lowlevel

from relaydance_async import AsyncRelayDance
from relaydance_async._config import Clock
from relaydance_async._runtime import Runtime
from relaydance_async._transports._pool import SlotPool
from relaydance_async.sandbox import Sandbox

CHAT = "POST /v1/chat/completions"
IMAGES = "POST /v1/images/generations"
EDITS = "POST /v1/images/edits"
FILES = "POST /v1/files"
MODELS = "GET /v1/models"
SUBMIT = "POST /v1/video/generations"
FETCH = "GET /v1/video/generations/{task_id}"
CONTENT = "GET /v1/videos/{task_id}/content"
CLIPS = "CDN /clips/{name}"
TOKEN_USAGE = "GET /api/usage/token/"
SUBSCRIPTION = "GET /v1/dashboard/billing/subscription"
USAGE = "GET /v1/dashboard/billing/usage"

CLIP: dict[str, Any] = {"model": "doubao-seedance-2-0-720p", "prompt": "a cat turns"}


class Pace:
    """A clock on which a sleep is over at once. `after_sleep` runs at the end of each."""

    def __init__(self, after_sleep: Callable[[float], Awaitable[None] | None] | None = None) -> None:
        self.time = 1000.0
        self.sleeps: list[float] = []
        self._after_sleep = after_sleep
        self._random = random.Random(1)

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.time += seconds
        if self._after_sleep is not None and (answer := self._after_sleep(seconds)) is not None:
            await answer
        await anyio.lowlevel.checkpoint()

    def clock(self) -> Clock:
        return Clock(monotonic=lambda: self.time, sleep=self.sleep, random=self._random.random)


class Bench:
    """Makes sandboxes and clients that end with the test."""

    def __init__(self, stack: AsyncExitStack, dialect: str, transport: str) -> None:
        self._stack = stack
        self.dialect = dialect
        self.transport = transport

    def sandbox(self, **options: Any) -> Sandbox:
        options.setdefault("dialect", self.dialect)
        return self._stack.enter_context(Sandbox(**options))

    def client(self, sandbox: Sandbox, *, pace: Pace | None = None, **options: Any) -> AsyncRelayDance:
        """A client of the sandbox; its waits are no real ones."""
        options.setdefault("base_url", sandbox.base_url)
        options.setdefault("transport", self.transport)
        options.setdefault("_clock", (pace or Pace()).clock())
        client = AsyncRelayDance(sandbox.api_key, **options)
        self._stack.push_async_callback(client.aclose)
        return client

    def start(self, *, pace: Pace | None = None, **options: Any) -> tuple[Sandbox, AsyncRelayDance]:
        """A sandbox with these options, and a client of it."""
        sandbox = self.sandbox(**options)
        return sandbox, self.client(sandbox, pace=pace)

    def filming(self, **options: Any) -> tuple[Sandbox, AsyncRelayDance, Pace]:
        """A sandbox whose clock moves only when the client sleeps, and by as much."""
        sandbox = self.sandbox(time_scale=0, **options)
        pace = Pace(sandbox.clock.advance)
        return sandbox, self.client(sandbox, pace=pace), pace


async def runtime_of(client: AsyncRelayDance) -> Runtime:
    """The connections and permits of the running loop."""
    return await client._runtimes.current()  # pyright: ignore[reportPrivateUsage]


async def open_connections(client: AsyncRelayDance) -> int:
    """How many connections the client holds, idle ones included."""
    transport: Any = (await runtime_of(client)).transport
    if transport.name == "aiohttp":
        connector = transport._session.connector
        return len(connector._acquired) + sum(map(len, connector._conns.values()))
    pool = transport._client._transport
    assert isinstance(pool, SlotPool)
    return pool.open_connections


async def permits_in_use(client: AsyncRelayDance) -> int:
    return (await runtime_of(client)).permits.in_use
