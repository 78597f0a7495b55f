"""Where the fault matrix is played: a gateway and a result host behind faulty proxies, and time that can be skipped."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import tempfile
import urllib.request
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from relaydance_async import AsyncRelayDance, RelayDanceError, RetryEvent, RetryPolicy, Timeout, VideoTask
from relaydance_async._transports import TransportName
from relaydance_async.sandbox import Account, ConnectionFault, Fault, FaultyProxy, Sandbox
from tests.kit.calls import (
    ask_chat,
    assets_of,
    fetch_model,
    list_models,
    make_asset,
    make_image,
    open_stream,
    read_account_log,
    read_log,
    read_prices,
    submit_clip,
)
from tests.kit.clocks import Jumping, jumping
from tests.kit.inside import make_client
from tests.kit.probe import NOTHING, held
from tests.kit.routes import (
    ASSET,
    CHAT,
    CLIPS,
    CREATE_ASSET,
    EDITS,
    FETCH,
    FILES,
    IMAGES,
    LOG,
    MODEL,
    MODELS,
    PRICING,
    SUBMIT,
    SUBSCRIPTION,
    TOKEN_USAGE,
    USAGE,
)
from tests.kit.tls import build_tls, trust
from tests.torture.fault_rows import MAX_ATTEMPTS, READ_TIMEOUT, RETRY_AFTER, Kind, Moment, Outcome, Row, Setting

BALANCES = (TOKEN_USAGE, SUBSCRIPTION, USAGE)

DEADLINE = 200.0
WAIT_DEADLINE = 60.0
GRACE = 1.0
"""Seconds that a call may take beyond its deadline."""
STEP = READ_TIMEOUT / 10
PICTURE = b"not a picture" * 1500


@dataclass
class Scene:
    """What a call finds."""

    client: AsyncRelayDance
    clip: VideoTask
    """A finished one, whose URL leads through the proxy of the result host."""
    running: str
    """The id of a task that ends after a few seconds."""
    path: Path
    deadline: float
    asset: str
    """The id of one."""


@dataclass(frozen=True)
class Endpoint:
    """One endpoint, with a call of it."""

    name: str
    kind: Kind
    routes: Sequence[str]
    call: Callable[[Scene], Awaitable[Any]]

    @property
    def faulted(self) -> str:
        """The route that a fault is put on."""
        return self.routes[0] if len(self.routes) == 1 else "*"

    def limit_with(self, row: Row) -> float:
        """Seconds that a call may take."""
        return WAIT_DEADLINE if self.kind == "wait" else row.deadline or DEADLINE


ENDPOINTS = (
    Endpoint("models.list", "get", (MODELS,), lambda scene: list_models(scene.client)),
    Endpoint("models.retrieve", "get", (MODEL,), lambda scene: fetch_model(scene.client)),
    Endpoint("video.retrieve", "get", (FETCH,), lambda scene: scene.client.video.retrieve(scene.clip)),
    Endpoint("assets.retrieve", "get", (ASSET,), lambda scene: assets_of(scene.client).retrieve(scene.asset)),
    Endpoint("account.prices", "get", (PRICING,), lambda scene: read_prices(scene.client)),
    Endpoint("account.log", "get", (LOG,), lambda scene: read_account_log(scene.client)),
    Endpoint("resolve_doubts", "get", (LOG,), lambda scene: read_log(scene.client)),
    Endpoint("account.balance", "balance", BALANCES, lambda scene: scene.client.account.balance()),
    Endpoint("chat.completions.create", "chat", (CHAT,), lambda scene: ask_chat(scene.client)),
    Endpoint("images.generate", "post", (IMAGES,), lambda scene: make_image(scene.client)),
    Endpoint("assets.create", "post", (CREATE_ASSET,), lambda scene: make_asset(scene.client)),
    Endpoint("video.submit", "post", (SUBMIT,), lambda scene: submit_clip(scene.client)),
    Endpoint("files.upload", "upload", (FILES,), lambda scene: scene.client.files.upload(PICTURE, filename="cat.jpg")),
    Endpoint(
        "images.edit",
        "upload",
        (EDITS,),
        lambda scene: scene.client.images.edit(model="grok-imagine-image", prompt="a hat", image=PICTURE),
    ),
    Endpoint("chat stream", "stream", (CHAT,), lambda scene: open_stream(scene.client)),
    Endpoint(
        "video.wait", "wait", (FETCH,), lambda scene: scene.client.video.wait(scene.running, deadline=WAIT_DEADLINE)
    ),
    Endpoint(
        "video.download",
        "download",
        (CLIPS,),
        lambda scene: scene.client.video.download(scene.clip, scene.path, max_bytes=2**20, deadline=scene.deadline),
    ),
)


async def skip_silences(loop: Jumping, count: Callable[[], int], deadline: float | None) -> None:
    """Whenever another silence has begun, let the read timeout pass, or what is left of the call's deadline.

    Beyond that nothing is skipped: what the call still tidies up, in a thread, takes the time that it takes.
    """
    ends = float("inf") if deadline is None else loop.time() + deadline
    heard = count()
    while True:
        while count() == heard:  # noqa: ASYNC110  (another thread counts)
            await asyncio.sleep(0.001)
        heard = count()
        await asyncio.sleep(0.002)  # for the client to fall silent as well
        await loop.skip_in_steps(min(READ_TIMEOUT + STEP, max(0.0, ends - loop.time())))


@dataclass
class Names:
    """A resolver for names below .localhost."""

    broken: bool = False
    _real: Callable[..., Any] = field(default=socket.getaddrinfo)

    def getaddrinfo(self, host: Any, *args: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else str(host)
        if name.endswith(".localhost"):
            if self.broken:
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            host = "127.0.0.1"
        return self._real(host, *args, **options)

    async def getaddrinfo_in_loop(self, host: Any, port: Any, **options: Any) -> Any:
        """What a loop has for it. uvloop's own asks the C library at once."""
        return await asyncio.to_thread(self.getaddrinfo, host, port, **options)


class Stage:
    """One sandbox for many cells; each looks only at what it adds to the ledger."""

    def __init__(self, stack: ExitStack) -> None:
        served, self._authority = build_tls()
        self.sandbox = stack.enter_context(Sandbox(time_scale=0, accounts={"sk-matrix": Account(balance_usd=1e6)}))
        targets = {"api": self.sandbox.root_url, "cdn": self.sandbox.cdn_url}
        self._proxies = {
            (name, tls): stack.enter_context(FaultyProxy(target, tls=served if tls else None))
            for name, target in targets.items()
            for tls in (False, True)
        }
        self._directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        self._names = Names()
        self._trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._closed: list[FaultyProxy] = []
        self._task_id = self._submit()
        self._asset_id = self._make_asset()
        self.sandbox.clock.advance(60)

    def _submit(self) -> str:
        body = {"model": "doubao-seedance-2-0-720p", "prompt": "a cat turns", "seconds": "5"}
        task_id: str = self._post(f"{self.sandbox.base_url}/video/generations", body)["task_id"]
        return task_id

    def _make_asset(self) -> str:
        body = {"source_url": "https://example.com/cat.jpg", "asset_type": "Image"}
        asset_id: str = self._post(f"{self.sandbox.root_url}/api/assets/virtual/create", body)["id"]
        return asset_id

    def _post(self, url: str, body: dict[str, str]) -> dict[str, Any]:
        headers = {"authorization": f"Bearer {self.sandbox.api_key}", "content-type": "application/json"}
        with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers)) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def proxy(self, endpoint: Endpoint, row: Row) -> FaultyProxy:
        """The one in front of what the endpoint asks."""
        return self._proxies["cdn" if endpoint.kind == "download" else "api", _needs_tls(row)]

    def _origin(self, name: str, row: Row) -> str:
        origin = self._proxies[name, _needs_tls(row)].root_url
        return origin.replace("127.0.0.1", f"{name}.localhost") if row.fault is Setting.NO_NAME else origin

    def count(self, endpoint: Endpoint) -> tuple[int, int]:
        """Requests that the gateway has seen, and accepted, of the endpoint's."""
        ledger = self.sandbox.ledger
        return (
            sum(ledger.count(route) for route in endpoint.routes),
            sum(ledger.accepted(route) for route in endpoint.routes),
        )

    def begin(self, endpoint: Endpoint, row: Row, moment: Moment, loop: Jumping) -> None:
        """Put the fault in force."""
        proxy = self.proxy(endpoint, row)
        times = 1 if moment == "first" else None
        later = {"later": (2,), "onward": tuple(range(2, 100))}.get(moment, ())
        if isinstance(row.fault, Fault):
            self.sandbox.faults.add(
                replace(
                    row.fault,
                    route=endpoint.faulted,
                    times=times,
                    at=later,
                    headers={name: _dated(value, loop) for name, value in row.fault.headers.items()},
                    redirect_to=row.fault.redirect_to and self.sandbox.clip_url(self._task_id),
                )
            )
        elif isinstance(row.fault, ConnectionFault):
            proxy.add(replace(row.fault, times=times, at=tuple(proxy.requests + number for number in later)))
        else:
            self._set(row.fault, proxy)
            if moment == "first":
                loop.after_sleep.append(lambda seconds: self.heal())

    def _set(self, setting: Setting, proxy: FaultyProxy) -> None:
        if setting is Setting.NO_NAME:
            self._names.broken = True
        elif setting is Setting.CLOSED_PORT:
            proxy.close_port()
            self._closed.append(proxy)
        elif setting is Setting.NO_TLS:
            proxy.open_port(tls=False)
            self._closed.append(proxy)

    def heal(self) -> None:
        """End every fault."""
        self.sandbox.faults.clear()
        for proxy in self._proxies.values():
            proxy.clear()
        while self._closed:
            self._closed.pop().open_port()
        self._names.broken = False
        self._trust.load_verify_locations(cadata=self._authority)

    @asynccontextmanager
    async def scene(
        self, row: Row, transport: TransportName, loop: Jumping, retries: list[RetryEvent]
    ) -> AsyncGenerator[Scene, None]:
        """A new client, behind the proxies."""
        with pytest.MonkeyPatch.context() as patch:
            self._trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            if row.fault is not Setting.UNTRUSTED:
                self._trust.load_verify_locations(cadata=self._authority)
            trust(patch, self._trust)
            patch.setattr(socket, "getaddrinfo", self._names.getaddrinfo)
            patch.setattr(loop, "getaddrinfo", self._names.getaddrinfo_in_loop)
            url = self.sandbox.clip_url(self._task_id).replace(self.sandbox.cdn_url, self._origin("cdn", row))
            path = self._directory / "clip.mp4"
            async with make_client(
                self.sandbox.api_key,
                base_url=f"{self._origin('api', row)}/v1",
                transport=transport,
                timeout=Timeout(READ_TIMEOUT, READ_TIMEOUT, READ_TIMEOUT),
                deadline=row.deadline or DEADLINE,
                retry=RetryPolicy(max_attempts=MAX_ATTEMPTS),
                on_retry=retries.append,
                max_response_bytes=1_000_000,  # the log of the whole stage
                clock=loop.clock,
            ) as client:
                clip = VideoTask.model_validate({"task_id": self._task_id, "status": "succeeded", "url": url})
                yield Scene(client, clip, self._submit(), path, row.deadline or DEADLINE, self._asset_id)
            for left in self._directory.iterdir():
                left.unlink()


def _needs_tls(row: Row) -> bool:
    return row.fault in (Setting.NO_TLS, Setting.UNTRUSTED)


def _dated(value: str, loop: Jumping) -> str:
    return value.replace("DATE", format_datetime(loop.now() + timedelta(seconds=RETRY_AFTER), usegmt=True))


@dataclass(frozen=True)
class Played:
    """A call that has ended."""

    outcome: Outcome
    error: RelayDanceError | None
    took: float
    """Seconds, those that were skipped included."""
    sleeps: list[float]


async def play(stage: Stage, endpoint: Endpoint, row: Row, moment: Moment, transport: TransportName) -> Played:
    """Make the call with the fault in force, and then, by the same client, without it."""
    loop = jumping()
    loop.step = STEP
    loop.sleeps.clear()
    loop.after_sleep[:] = [stage.sandbox.clock.advance]
    retries: list[RetryEvent] = []
    async with stage.scene(row, transport, loop, retries) as scene:
        before = stage.count(endpoint)
        stage.begin(endpoint, row, moment, loop)
        proxy = stage.proxy(endpoint, row)
        began = loop.time()
        watcher = asyncio.create_task(skip_silences(loop, lambda: proxy.silences if row.silent else 0, row.deadline))
        error: RelayDanceError | None = None
        try:
            await endpoint.call(scene)
        except RelayDanceError as caught:
            error = caught
        finally:
            watcher.cancel()
            with suppress(asyncio.CancelledError):
                await watcher
            stage.heal()
        seen, accepted = (after - earlier for after, earlier in zip(stage.count(endpoint), before, strict=True))
        outcome = Outcome(
            type(error) if error is not None else None,
            error is not None and error.maybe_accepted,
            len(retries) + 1,
            seen,
            accepted,
        )
        played = Played(outcome, error, loop.time() - began, list(loop.sleeps))
        await _use_again(stage, endpoint, row, scene, loop)
    return played


async def _check_at_rest(client: AsyncRelayDance) -> None:
    now = await held(client)
    assert replace(now, connections=0) == NOTHING


async def _use_again(stage: Stage, endpoint: Endpoint, row: Row, scene: Scene, loop: Jumping) -> None:
    """The fault is over: the same client serves, and holds nothing."""
    await _check_at_rest(scene.client)
    if row.deadline is not None:
        loop.skip(1000)  # the cool-down that a 429 has asked for
    _, before = stage.count(endpoint)
    await endpoint.call(scene)
    _, after = stage.count(endpoint)
    assert after == before + 1 or endpoint.kind == "wait"
    await _check_at_rest(scene.client)
    assert stage.sandbox.ledger.cdn_authorizations == 0
