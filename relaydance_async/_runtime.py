"""What belongs to one event loop in one process: the connections and the admission to them.

A client outlives a loop: it can be made at import time, used in one `asyncio.run` after another, in a loop per thread,
and after a fork. So nothing that is bound to a loop lies in the client itself; it lies here, found by the running loop.

A runtime ends with the first of these:

- `aclose()` in its loop;
- the end of its loop, when that closes its asynchronous generators (`asyncio.run`, `asyncio.Runner`, trio);
- the client becoming garbage, the interpreter's exit, or, after a bare `loop.close()`, the next use in another loop:
  then its connections are broken off without awaiting;
- a fork: the child leaves the connections to its parent.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import anyio

from ._limits import Admission, Ended, Lease
from ._memory import Memory
from ._sansio.target import Network
from ._timers import Timers
from ._transports import Transport, TransportResponse, leave_to_parent

log = logging.getLogger("relaydance_async")

Loop: TypeAlias = Any
"""One of asyncio's, or trio's token."""


@dataclass(frozen=True, slots=True)
class Held:
    """What a client holds in the running loop, for tests and benchmarks.

    Attributes:
        permits: of attempts under way, open streams included.
        queued: calls that wait for their turn.
        connections: open ones, idle ones included.
        streams: answers that are still being read after their call has returned.
        tasks: that close what was forgotten.
    """

    permits: int = 0
    queued: int = 0
    connections: int = 0
    streams: int = 0
    tasks: int = 0


FINISH_SECONDS = 60.0
"""How long a call is finished in the background: one without a deadline, and any when the client is closed."""


class Errand(Protocol):
    """A call that is finished in the background."""

    async def ended(self) -> None:
        """Wait for its end."""
        ...

    def stop(self) -> None:
        """Cancel it."""
        ...


class Runtime:
    """The transports of one loop, and who lets requests in: to the API, and to other hosts."""

    def __init__(self, transports: Mapping[Network, Transport], api: Admission, foreign: Admission) -> None:
        self.transports = transports
        """By the network that they lead to: a request that needs a public address shares no connection with others."""
        self.api = api
        self.foreign = foreign
        self.timers: Timers | None = None
        """Of the loop; trio has none."""
        self._loop: Loop = None
        self._closer: AsyncGenerator[None, None] | None = None
        self.streams: set[TransportResponse] = set()
        """Answers that are still being read after their call has returned."""
        self._tasks: set[asyncio.Task[None]] = set()
        self.flights: dict[object, anyio.Event] = {}
        """What one call at a time is at work on, such as an idempotency key, and the ends of those calls."""
        self.memory: Memory = Memory()
        """What belongs to the loop, as endpoints keep it."""
        self.errands: set[Errand] = set()
        """Calls whose callers have been cancelled, and which are finished all the same."""
        self.is_closed: bool = False
        """Whether its connections have been closed for good."""

    def _distinct(self) -> set[Transport]:
        # A caller's HTTP client is the same for all networks.
        return set(self.transports.values())

    def filenos(self) -> list[int]:
        """The descriptors of the open connections."""
        return [fileno for transport in self._distinct() for fileno in transport.filenos()]

    def held(self) -> Held:
        """What it holds now."""
        return Held(
            permits=self.api.in_use + self.foreign.in_use,
            queued=self.api.waiting + self.foreign.waiting,
            connections=sum(transport.stats().open for transport in self._distinct()),
            streams=len(self.streams),
            tasks=len(self._tasks) + len(self.errands),
        )

    async def watch_loop(self, loop: Loop, by_loop: dict[Loop, Runtime]) -> None:
        """Have the connections closed, and the loop forgotten, when the loop ends without `aclose()`."""
        self._loop = loop
        self.timers = Timers(loop) if isinstance(loop, asyncio.AbstractEventLoop) else None
        self._closer = self._close_with_loop(loop, by_loop)
        await self._closer.__anext__()

    async def finish(self) -> None:
        """Wait for the calls that are finished in the background, and end those that take too long."""
        try:
            with anyio.move_on_after(FINISH_SECONDS):
                for errand in list(self.errands):
                    await errand.ended()
        finally:
            for errand in list(self.errands):
                errand.stop()

    async def aclose(self) -> None:
        """Close the connections."""
        if self._closer is not None:
            await self._closer.aclose()
        await self._close()

    async def _close_with_loop(self, loop: Loop, by_loop: dict[Loop, Runtime]) -> AsyncGenerator[None, None]:
        # `asyncio.run` (and trio) closes the asynchronous generators that are still open while its loop still runs.
        try:
            yield
        finally:
            by_loop.pop(loop, None)
            await self._close()

    async def _close(self) -> None:
        self.is_closed = True
        streams, self.streams = self.streams, set()
        try:
            if streams:
                # In tasks of their own, so that all end even if this is cancelled: `Task.cancel` breaks through a
                # shielded scope, but not out of a task group.
                async with anyio.create_task_group() as group:
                    for response in streams:
                        group.start_soon(_end_stream, response)
        finally:
            await _close_all(list(self._distinct()))

    def abort(self) -> None:
        """Break the connections off without awaiting. (trio ends the generator that watches its loop by itself.)"""
        if not isinstance(self._loop, asyncio.AbstractEventLoop):
            return
        self.streams.clear()
        self.api.abandon()
        self.foreign.abandon()
        for transport in self._distinct():
            transport.abort(self._loop)
        if self._closer is not None:
            # Nothing is open, so its end awaits nothing. Left to itself it would end in a task of a loop that may stop
            # before.
            with suppress(StopIteration):
                self._closer.aclose().send(None)

    def take_back(self, response: TransportResponse, lease: Lease, forgotten: Callable[[], None] | None = None) -> None:
        """Free what a stream holds that became garbage unclosed, in whatever thread that was noticed.

        Args:
            forgotten: called then, in the loop.
        """
        _call_in(self._loop, self._take_back, response, lease, forgotten)

    def _take_back(self, response: TransportResponse, lease: Lease, forgotten: Callable[[], None] | None) -> None:
        lease.ended(Ended.OTHER)
        if forgotten is not None:
            forgotten()
        if isinstance(self._loop, asyncio.AbstractEventLoop):
            task = self._loop.create_task(self._close_stream(response))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            import trio.lowlevel

            trio.lowlevel.spawn_system_task(self._close_stream, response)

    async def _close_stream(self, response: TransportResponse) -> None:
        # `asyncio.run` may cancel it before it begins; `_close` does it then.
        await response.aclose()
        self.streams.discard(response)


async def _close_all(transports: list[Transport]) -> None:
    """Close each, also when the closing of another is cancelled. It awaits nothing when nothing is open."""
    if transports:
        try:
            await transports.pop().aclose()
        finally:
            await _close_all(transports)


async def _end_stream(response: TransportResponse) -> None:
    with suppress(Exception):  # of a caller's client; the others must end all the same
        await response.aclose()


def _call_in(loop: Loop, function: Callable[..., object], *arguments: object) -> None:
    call = loop.call_soon_threadsafe if isinstance(loop, asyncio.AbstractEventLoop) else loop.run_sync_soon
    with suppress(RuntimeError):  # it has ended: there is nobody left to do it for
        call(function, *arguments)


class Runtimes:
    """Finds, or makes, the runtime of the running loop."""

    def __init__(self, build: Callable[[], Awaitable[Runtime]]) -> None:
        self._build = build
        self._lock = threading.Lock()
        self._by_loop: dict[Loop, Runtime] = {}
        self._making: dict[Loop, asyncio.Event | anyio.Event] = {}
        """Loops whose runtime is being made, and what those wait for who need it too."""
        self.is_closed: bool = False
        """Whether the last thing that happened was a closing."""
        # The callback keeps the runtimes reachable until it has run, also when this is part of a cycle: garbage is
        # finalized in any order, and asyncio's transports complain when they are before they were closed.
        weakref.finalize(self, _abort_all, self._by_loop)
        _all.add(self)

    def find(self) -> Runtime | None:
        """The running loop's, if it has been made."""
        try:
            return self._by_loop.get(asyncio.get_running_loop())
        except RuntimeError:
            pass
        try:
            return self._by_loop.get(_running_loop())
        except RuntimeError:  # no loop runs here
            return None

    async def current(self) -> Runtime:
        """The running loop's, made if need be."""
        loop = _running_loop()
        if (made := self._making.get(loop)) is not None:
            await made.wait()  # whoever makes it may fail, or be cancelled: then all try
        return self._by_loop.get(loop) or await self._make(loop)

    async def _make(self, loop: Loop) -> Runtime:
        made = self._making.setdefault(loop, _new_event())
        try:
            return await self._made(loop)
        finally:
            self._making.pop(loop, None)
            with suppress(RuntimeError):  # the loop was closed meanwhile, and nobody waits any more
                made.set()

    async def _made(self, loop: Loop) -> Runtime:
        # Where the first has failed, others may be faster; then this one, which has opened nothing, is dropped.
        built = await self._build()
        with self._lock:
            for other in list(self._by_loop):
                if _is_closed(other) and (ended := self._by_loop.pop(other, None)):
                    ended.abort()
            if (runtime := self._by_loop.get(loop)) is not None:
                return runtime
            runtime = self._by_loop[loop] = built
            self.is_closed = False
        log.debug("transport: %s", runtime.transports[Network.ANY].name)
        await runtime.watch_loop(loop, self._by_loop)
        return runtime

    async def aclose(self) -> None:
        """Close the running loop's connections; those of other loops close with their loops."""
        loop = _running_loop()
        self.is_closed = True
        try:
            if (runtime := self._by_loop.get(loop)) is not None and runtime.errands:
                await runtime.finish()
        finally:
            runtime = self._by_loop.pop(loop, None)
            if runtime is not None:
                await runtime.aclose()

    def after_fork(self) -> None:
        """Begin anew in a child. Its parent's other threads, one of which may have held the lock, don't exist here."""
        self._lock = threading.Lock()
        for runtime in self._by_loop.values():
            leave_to_parent(runtime.filenos())
        _of_parent.extend(self._by_loop.values())
        self._by_loop.clear()
        self._making.clear()


def _abort_all(by_loop: dict[Loop, Runtime]) -> None:
    for loop, runtime in list(by_loop.items()):
        if isinstance(loop, asyncio.AbstractEventLoop) and loop.is_running() and loop is not _asyncio_loop():
            _call_in(loop, runtime.abort)
        else:
            runtime.abort()
    by_loop.clear()


_all: weakref.WeakSet[Runtimes] = weakref.WeakSet()

_of_parent: list[Runtime] = []
"""In a forked child, what its parent had. Were it finalized, calls that were under way at the fork would clean up
behind themselves, in the parent's event loop."""


def _after_fork() -> None:
    for runtimes in list(_all):
        runtimes.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _asyncio_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _new_event() -> asyncio.Event | anyio.Event:
    """asyncio's own, where there is one: anyio's imports much, while the event loop waits."""
    return asyncio.Event() if _asyncio_loop() is not None else anyio.Event()


def _running_loop() -> Loop:
    loop = _asyncio_loop()
    if loop is not None:
        return loop
    if "trio" not in sys.modules:  # whoever runs trio has imported it
        raise RuntimeError("no running event loop")
    import trio.lowlevel

    return trio.lowlevel.current_trio_token()


def _is_closed(loop: Loop) -> bool:
    return isinstance(loop, asyncio.AbstractEventLoop) and loop.is_closed()
