"""The way from the journal's thread back to whoever waits in an event loop: one wake-up of a loop for many answers."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from typing import Any, Protocol

import anyio


class Reply(Protocol):
    """Where an answer goes to. `loop` is woken once for all that wait in it."""

    @property
    def loop(self) -> Any: ...

    def settle(self, result: Any, error: Exception | None) -> None:
        """Called in the loop."""
        ...


class AsyncioReply:
    """In a loop of asyncio's."""

    __slots__ = ("future", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop: asyncio.AbstractEventLoop = loop
        self.future: asyncio.Future[Any] = loop.create_future()

    def settle(self, result: Any, error: Exception | None) -> None:
        """See `Reply`."""
        if self.future.done():  # whoever waited was cancelled
            return
        if error is None:
            self.future.set_result(result)
        else:
            self.future.set_exception(error)

    async def get(self) -> Any:
        """Wait for the answer."""
        return await self.future


class TrioReply:
    """In a run of trio."""

    __slots__ = ("_error", "_event", "_result", "loop")

    def __init__(self, loop: Any) -> None:
        self.loop: Any = loop
        self._event = anyio.Event()
        self._result: Any = None
        self._error: Exception | None = None

    def settle(self, result: Any, error: Exception | None) -> None:
        """See `Reply`."""
        self._result, self._error = result, error
        self._event.set()

    async def get(self) -> Any:
        """Wait for the answer."""
        await self._event.wait()
        if self._error is not None:
            raise self._error
        return self._result


def reply_here() -> AsyncioReply | TrioReply:
    """A reply to the running loop."""
    try:
        return AsyncioReply(asyncio.get_running_loop())
    except RuntimeError:
        if "trio" not in sys.modules:
            raise
        import trio.lowlevel

        return TrioReply(trio.lowlevel.current_trio_token())


Answer = tuple[Reply, Any, Exception | None]


def deliver(answers: list[Answer]) -> None:
    """Hand answers to those who wait, from another thread."""
    by_loop: dict[Any, list[Answer]] = {}
    for answer in answers:
        by_loop.setdefault(answer[0].loop, []).append(answer)
    for loop, group in by_loop.items():
        call = loop.call_soon_threadsafe if isinstance(loop, asyncio.AbstractEventLoop) else loop.run_sync_soon
        with suppress(RuntimeError, anyio.RunFinishedError):  # it has ended: nobody waits
            call(_settle, group)


def _settle(answers: list[Answer]) -> None:
    for reply, result, error in answers:
        reply.settle(result, error)
