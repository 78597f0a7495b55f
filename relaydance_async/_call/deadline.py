"""When a call has to be over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from types import TracebackType
from typing import Self

import anyio

from .._timers import Timers
from ..errors import APITimeoutError

_AGAIN = 1.0
"""Seconds after which what has swallowed the cancellation is cancelled again."""


class Deadline:
    """When a call has to be over. What runs in its `with` is cancelled then, and the block left without an error.

    As in `asyncio.timeout`, a cancellation from outside goes on outwards, as does any other exception. An answer that
    has come in the same turn of the loop is still taken.

    Args:
        seconds: that the call may take, from now on.
        timers: of the loop. Without them, as on trio, it is a scope of anyio's, which takes five times as long.

    Attributes:
        seconds: as above.
        until: by the clock of the event loop.
        has_passed: whether it was what ended the block.
    """

    __slots__ = ("_cancelled", "_cancelling", "_scope", "_task", "_timer", "_timers", "has_passed", "seconds", "until")

    def __init__(self, seconds: float, timers: Timers | None) -> None:
        self._timers = timers
        self.seconds: float = seconds
        self.until: float = seconds + (anyio.current_time() if timers is None else timers.loop.time())
        self.has_passed: bool = False
        self._task: asyncio.Task[object] | None = None
        self._cancelled = 0  # times, by this

    def _now(self) -> float:
        return anyio.current_time() if self._timers is None else self._timers.loop.time()

    def __enter__(self) -> Self:
        timers = self._timers
        if timers is None:
            self._scope = anyio.CancelScope(deadline=self.until)
            self._scope.__enter__()
        else:
            task = asyncio.current_task(timers.loop)
            if task is None:
                raise RuntimeError("a call with a deadline needs a task")
            self._task, self._cancelling = task, task.cancelling()
            self._timer = timers.set(self.until, self)  # a bound method would be an object more for each call under way
        return self

    def __call__(self) -> None:
        """The time is over: cancel what runs, unless it ends by itself in this turn of the loop."""
        if self._timers is None:
            self._scope.cancel()
        else:
            self._timers.drop(self._timer)
            self._timer = self._timers.set(self._now(), self._cancel)

    def _cancel(self) -> None:
        if self._timers is not None and self._task is not None:
            self._cancelled += 1
            self._timer = self._timers.set(self._now() + _AGAIN, self._cancel)
            self._task.cancel()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if self._timers is None:
            self.has_passed = bool(self._scope.__exit__(kind, error, traceback))
            return self.has_passed
        self._timers.drop(self._timer)
        task, self._task = self._task, None
        if not self._cancelled or task is None:
            return False
        for _ in range(self._cancelled):
            task.uncancel()
        self._cancelled = 0
        is_cancelled = kind is not None and issubclass(kind, asyncio.CancelledError)
        self.has_passed = is_cancelled and task.cancelling() <= self._cancelling
        return self.has_passed

    async def bound(self, pieces: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        """These pieces, as long as there is time.

        Raises:
            APITimeoutError: it is over.
        """
        async with aclosing(pieces):
            while self._now() < self.until:
                piece: bytes | None = None
                with self:  # not around the `yield`: in between the caller's code runs
                    piece = await anext(pieces, None)
                if piece is not None:
                    yield piece
                elif not self.has_passed:
                    return
        raise APITimeoutError(f"the deadline of {self.seconds:g} s is over", maybe_accepted=True)
