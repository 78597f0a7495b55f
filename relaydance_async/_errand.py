"""Work that may outlive its caller's cancellation: a task of its own, for which the caller waits."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import copy_context
from typing import Any, Generic, TypeVar, cast

import anyio

T = TypeVar("T")

_Outcome = list[tuple[Any, BaseException | None]]


class AsyncioErrand(Generic[T]):
    """In a loop of asyncio's. It begins at once."""

    def __init__(self, work: Callable[[], Awaitable[T]]) -> None:
        loop = asyncio.get_running_loop()
        self._reply: asyncio.Future[_Outcome] = loop.create_future()
        self._task = loop.create_task(self._run(work))

    async def _run(self, work: Callable[[], Awaitable[T]]) -> None:
        # Neither a variable nor, in the end, the future holds the error: its traceback leads to this frame.
        outcome: _Outcome = []
        try:
            outcome.append((await work(), None))
        except (KeyboardInterrupt, SystemExit):
            self._reply.cancel()
            raise
        except BaseException as error:
            outcome.append((None, error))
        if not self._reply.done():
            self._reply.set_result(outcome)

    async def result(self) -> T:
        """What the work gives or raises. A cancellation of the caller leaves the work as it is."""
        return cast(T, _unpacked(await self._reply))

    def stop(self) -> None:
        """Cancel the work."""
        self._task.cancel()

    async def ended(self) -> None:
        """Wait for its end."""
        await asyncio.wait([self._task])

    async def cancel(self) -> None:
        """Cancel the work, and wait for its end, in a cancelled scope too."""
        self.stop()
        with anyio.CancelScope(shield=True):
            await self.ended()

    def cancel_after(self, seconds: float) -> None:
        """Let it take so long, and no longer."""
        timer = self._task.get_loop().call_later(seconds, self._task.cancel)
        self._task.add_done_callback(lambda _: timer.cancel())

    def on_end(self, act: Callable[[], object]) -> None:
        """Have this called at its end."""
        self._task.add_done_callback(lambda _: act())


class TrioErrand(Generic[T]):
    """In a run of trio."""

    def __init__(self, work: Callable[[], Awaitable[T]]) -> None:
        import trio.lowlevel

        self._scope = anyio.CancelScope()
        self._done = anyio.Event()
        self._outcome: _Outcome = []
        self._acts: list[Callable[[], object]] = []
        trio.lowlevel.spawn_system_task(self._run, work, context=copy_context())

    async def _run(self, work: Callable[[], Awaitable[T]]) -> None:
        with self._scope:
            try:
                self._outcome.append((await work(), None))
            except Exception as error:
                self._outcome.append((None, error))
        self._done.set()
        for act in self._acts:
            act()

    async def result(self) -> T:
        """See `AsyncioErrand`, here and below."""
        await self._done.wait()
        return cast(T, _unpacked(self._outcome))

    def stop(self) -> None:
        self._scope.cancel()

    async def ended(self) -> None:
        await self._done.wait()

    async def cancel(self) -> None:
        self.stop()
        with anyio.CancelScope(shield=True):
            await self.ended()

    def cancel_after(self, seconds: float) -> None:
        self._scope.deadline = anyio.current_time() + seconds

    def on_end(self, act: Callable[[], object]) -> None:
        self._acts.append(act)


def _unpacked(outcome: _Outcome) -> Any:
    result, error = outcome.pop()
    if error is None:
        return result
    try:
        raise error
    finally:
        del error  # its traceback has this frame


def start_errand(work: Callable[[], Awaitable[T]]) -> AsyncioErrand[T] | TrioErrand[T]:
    """Begin it in the running loop."""
    if "trio" in sys.modules:
        with suppress(RuntimeError):
            asyncio.get_running_loop()
            return AsyncioErrand(work)
        return TrioErrand(work)
    return AsyncioErrand(work)
