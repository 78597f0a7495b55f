"""Point 3: what our own machinery costs a request that succeeds at the first try.

The client gets a transport that answers from memory. What is left, less the decoding and the transport itself, is ours.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping
from statistics import median
from typing import TYPE_CHECKING, Any

import anyio

from . import payloads
from .child import call_once
from .report import Report
from .settings import Settings

if TYPE_CHECKING:
    from relaydance_async import AsyncRelayDance
    from relaydance_async._transports import TransportStats, WireRequest

_COUNT = 2_000
_IN_FLIGHT = 1_000

_DECODE = "transport and decoding alone"
_EXECUTE = "retries, limiter and hooks around them"
_DEADLINE = "the same with a deadline"
_CREATE = "chat.completions.create"


class MemoryResponse:
    """A completion, there already."""

    status_code = 200
    headers: Mapping[str, str] = {"content-type": "application/json"}
    is_over = True

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def read(self, limit: int) -> bytes:
        """See `TransportResponse`."""
        return self._body

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """See `TransportResponse`."""
        yield self._body

    async def aclose(self) -> None:
        """See `TransportResponse`."""


class MemoryTransport:
    """Answers every request with a completion of 1 KB."""

    name = "memory"

    def __init__(self) -> None:
        self._body = payloads.completion()
        self.hangs: bool = False
        """Whether it gives no answer."""

    async def send(self, request: WireRequest) -> MemoryResponse:
        """See `Transport`."""
        if self.hangs:
            await asyncio.get_running_loop().create_future()
        return MemoryResponse(self._body)

    async def aclose(self) -> None:
        """See `Transport`."""

    def stats(self) -> TransportStats:
        """See `Transport`."""
        from relaydance_async._transports import TransportStats

        return TransportStats(0, 0)

    def filenos(self) -> list[int]:
        """See `Transport`."""
        return []

    def abort(self, loop: asyncio.AbstractEventLoop) -> None:
        """See `Transport`."""


def run(settings: Settings) -> list[Report]:
    """The report of point 3."""
    found = call_once("overhead", "measure", repeats=5 if settings.quick else 25)
    report = Report("3. Our own machinery, first try (µs of CPU)", ["", "each", "beyond the first line"])
    for what, each in found.items():
        report.row(what, each, each - found[_DECODE])
    report.check("retries, limiter and hooks", found[_EXECUTE] - found[_DECODE], "≤", 25, "µs")
    report.check("with a deadline", found[_DEADLINE] - found[_DECODE], "≤", 25, "µs")
    deadlines = {"without a deadline": None, "with one": 60.0}
    held = {name: call_once("overhead", "measure_objects", deadline=each) for name, each in deadlines.items()}
    for what, each in held.items():
        report.notes.append(f"Objects that the garbage collector visits for each call in flight, {what}: {each:.1f}.")
    report.notes.append("The task and its future are among them.")
    report.notes.append("chat.completions.create also checks the arguments and builds the JSON.")
    report.data = {"overhead": found, "objects": held}
    return [report]


def measure(repeats: int) -> dict[str, float]:
    """In a process of its own: microseconds of CPU for each."""
    return asyncio.run(_measure(repeats))


async def _measure(repeats: int) -> dict[str, float]:
    ways = _ways()
    took: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, call in ways.items():
            took[name].append(await _microseconds(call))
    return {name: median(each) for name, each in took.items()}


def measure_objects(deadline: float | None) -> float:
    """In a process of its own: how many tracked objects a call in flight holds."""
    return asyncio.run(_measure_objects(deadline))


async def _measure_objects(deadline: float | None) -> float:
    transport = MemoryTransport()
    client = _client_over(transport).with_options(deadline=deadline)
    await _create(client)
    transport.hangs = True
    gc.collect()
    before = len(gc.get_objects())
    tasks = [asyncio.create_task(_create(client)) for _ in range(_IN_FLIGHT)]
    await asyncio.sleep(0.1)
    gc.collect()
    held = len(gc.get_objects()) - before
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return held / _IN_FLIGHT


def _client_over(transport: MemoryTransport) -> AsyncRelayDance:
    from relaydance_async import AsyncRelayDance
    from relaydance_async._limits import Book, ForeignAdmission, LocalAdmission
    from relaydance_async._runtime import Runtime
    from relaydance_async._sansio.target import Network

    client = AsyncRelayDance(payloads.API_KEY, base_url="http://127.0.0.1/v1")
    transports: Any = dict.fromkeys(Network, transport)
    permits = 2 * _IN_FLIGHT
    admission = LocalAdmission(permits, Book(None, permits), time.monotonic, anyio.sleep)
    foreign = ForeignAdmission(permits, time.monotonic, anyio.sleep)
    client._runtimes._build = _ready(Runtime(transports, admission, foreign))
    return client


def _create(client: AsyncRelayDance) -> Coroutine[Any, Any, object]:
    return client.chat.completions.create(model=payloads.MODEL, messages=payloads.MESSAGES)


def _ways() -> dict[str, Callable[[], Awaitable[Any]]]:
    from relaydance_async._sansio.decode import decode_result
    from relaydance_async._sansio.request import build_post
    from relaydance_async._sansio.timeout import Timeout
    from relaydance_async._transports import WireRequest
    from relaydance_async.models.chat import ChatCompletion
    from relaydance_async.resources.chat import CREATE

    transport = MemoryTransport()
    client = _client_over(transport)
    api = client._api
    with_deadline = client.with_options(deadline=60)._api
    request = build_post(CREATE.target(), payloads.REQUEST)
    wire = WireRequest("POST", "http://127.0.0.1/v1/chat/completions", {}, None, Timeout())
    receive = CREATE.returns

    async def decode() -> object:
        body = await (await transport.send(wire)).read(1 << 20)
        return decode_result(ChatCompletion, body, _no_meta)

    return {
        _DECODE: decode,
        _EXECUTE: lambda: api.call(request, receive),
        _DEADLINE: lambda: with_deadline.call(request, receive),
        _CREATE: lambda: _create(client),
    }


def _ready(runtime: Any) -> Callable[[], Awaitable[Any]]:
    async def build() -> Any:
        return runtime

    return build


def _no_meta() -> Any:
    raise AssertionError("it is asked for errors only")


async def _microseconds(call: Callable[[], Awaitable[Any]]) -> float:
    for _ in range(20):
        await call()
    began = time.process_time()
    for _ in range(_COUNT):
        await call()
    return (time.process_time() - began) / _COUNT * 1e6
