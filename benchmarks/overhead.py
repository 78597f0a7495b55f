"""Point 3: what our own machinery costs a request that succeeds at the first try.

The client gets a transport that answers from memory. What is left, less the decoding and the transport itself, is ours.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from statistics import median
from typing import TYPE_CHECKING, Any

import anyio

from . import payloads
from .child import call_once
from .report import Report
from .settings import Settings

if TYPE_CHECKING:
    from relaydance_async._transports import TransportStats, WireRequest

_COUNT = 2_000

_DECODE = "transport and decoding alone"
_EXECUTE = "controller, limiter and hooks around them"
_DEADLINE = "the same with a deadline"
_CREATE = "chat.completions.create"


class MemoryResponse:
    """A completion, there already."""

    status_code = 200
    headers: Mapping[str, str] = {"content-type": "application/json"}

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

    async def send(self, request: WireRequest) -> MemoryResponse:
        """See `Transport`."""
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
    report.check("controller, limiter and hooks", found[_EXECUTE] - found[_DECODE], "≤", 25, "µs")
    report.check("with a deadline", found[_DEADLINE] - found[_DECODE], "≤", 25, "µs")
    report.notes.append("chat.completions.create also checks the arguments and builds the JSON.")
    report.data = {"overhead": found}
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


def _ways() -> dict[str, Callable[[], Awaitable[Any]]]:
    from relaydance_async import AsyncRelayDance
    from relaydance_async._limits import Book, ForeignAdmission, LocalAdmission
    from relaydance_async._runtime import Runtime
    from relaydance_async._sansio.decode import decode_result
    from relaydance_async._sansio.request import build_post
    from relaydance_async._sansio.target import Network
    from relaydance_async._sansio.timeout import Timeout
    from relaydance_async._transports import WireRequest
    from relaydance_async.models.chat import ChatCompletion
    from relaydance_async.resources.chat import CREATE

    transport = MemoryTransport()
    client = AsyncRelayDance(payloads.API_KEY, base_url="http://127.0.0.1/v1")
    controller, options = client._controller, client._options
    transports: Any = dict.fromkeys(Network, transport)
    api = LocalAdmission(100, Book(), time.monotonic, anyio.sleep)
    foreign = ForeignAdmission(100, time.monotonic, anyio.sleep)
    client._runtimes._build = _ready(Runtime(transports, api, foreign))
    with_deadline = client.with_options(deadline=60)._options
    request = build_post(CREATE.target(), payloads.REQUEST)
    wire = WireRequest("POST", "http://127.0.0.1/v1/chat/completions", {}, None, Timeout())
    receive = CREATE.returns

    async def decode() -> object:
        body = await (await transport.send(wire)).read(1 << 20)
        return decode_result(ChatCompletion, body, _no_meta)

    async def create() -> object:
        return await client.chat.completions.create(model=payloads.MODEL, messages=payloads.MESSAGES)

    return {
        _DECODE: decode,
        _EXECUTE: lambda: controller.execute(request, receive, options),
        _DEADLINE: lambda: controller.execute(request, receive, with_deadline),
        _CREATE: create,
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
