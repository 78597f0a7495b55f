"""The fan-out itself: a task that takes items, a task for each item, and whoever iterates.

They meet at two events. `_room` is set when an outcome was taken, so that the next item can begin. `_news` is set when
an item has ended, or when no more will begin.

This is asyncio, not anyio, which the rest of the package uses: starting a task in anyio's task group was measured at 15
to 37 µs of CPU above a bare task, in asyncio at 1 to 4 (`benchmarks/tasks.py`). anyio's cancel scopes around a
fan-out work all the same. One worker for each place, with many items each, would cost less than bare tasks; but then
what an item does to its task (context variables, cancellation) would reach the next one.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from types import TracebackType
from typing import Any, Generic, Self, TypeAlias, TypeVar, cast

import anyio

from ..errors import ConfigurationError, FanOutStoppedError, InvalidInputError
from ..models.outcome import Outcome
from ._order import AsTheyEnd, ByIndex, Order

Item = TypeVar("Item")
Value = TypeVar("Value")

ErrorClasses: TypeAlias = type[BaseException] | tuple[type[BaseException], ...]


class FanOut(Generic[Item, Value]):
    """The outcomes of a fan-out, to be entered with `async with` and iterated with `async for`. See `fan_out`.

    Several tasks may iterate over one; each outcome goes to one of them.

    Attributes:
        untaken: after the `async with`, the outcomes that were not iterated, by index: at most `in_flight`. All are
            there that had begun: those that had ended, and those that were cancelled, with the `CancelledError` as
            `error` (of a cancelled `generate` it has the clip's id in `__notes__`).
    """

    def __init__(
        self,
        function: Callable[[Item], Awaitable[Value]],
        items: Iterable[Item] | AsyncIterable[Item],
        *,
        in_flight: int,
        ordered: bool,
        stop_on: ErrorClasses,
    ) -> None:
        self.untaken: list[Outcome[Item, Value]] = []
        if not callable(function):
            raise InvalidInputError(f"fan_out calls an async function with each item, not {function!r}")
        _check_items(items)
        _check_in_flight(in_flight)
        self._function = function
        self._items = items
        self._in_flight = in_flight
        self._stop_on = (*_as_classes(stop_on), NotAsyncError)
        self._ended: Order[Item, Value] = ByIndex() if ordered else AsTheyEnd()
        self._tasks: dict[asyncio.Task[Outcome[Item, Value]], tuple[int, Item]] = {}
        self._feeder: asyncio.Task[None] | None = None
        self._feeding = False
        self._begun = 0
        self._taken = 0
        self._room = asyncio.Event()
        self._news = asyncio.Event()
        self._stopped_by: BaseException | None = None
        self._fatal: BaseException | None = None
        self._left = False

    async def __aenter__(self) -> Self:
        if self._feeder is not None or self._left:
            raise InvalidInputError("a fan-out can be entered once; call fan_out again")
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise ConfigurationError("fan_out runs on asyncio and uvloop only, not on trio") from None
        self._feeding = True
        self._feeder = loop.create_task(self._feed())
        self._feeder.add_done_callback(self._fed)
        return self

    def __aiter__(self) -> AsyncIterator[Outcome[Item, Value]]:
        return self

    async def __anext__(self) -> Outcome[Item, Value]:
        """The next outcome. Cancelling it loses none.

        Raises:
            StopAsyncIteration: that was all, or the `async with` has been left.
            FanOutStoppedError: no more items are begun, and those that were have all been given out.
        """
        if self._feeder is None and not self._left:
            raise InvalidInputError("iterate inside of `async with fan_out(…) as outcomes`")
        while not self._left:
            self._raise_fatal()
            outcome = self._ended.take()
            if outcome is not None:
                self._taken += 1
                self._room.set()
                return outcome
            if not self._is_under_way():
                self._conclude()
            self._news.clear()
            await self._news.wait()
        raise StopAsyncIteration

    def _raise_fatal(self) -> None:
        error, self._fatal = self._fatal, None
        if error is not None:
            raise error

    def _conclude(self) -> None:
        if self._stopped_by is None:
            raise StopAsyncIteration
        why = f"{type(self._stopped_by).__name__}: {self._stopped_by}"
        raise FanOutStoppedError(f"stopped before item {self._begun}: {why}", index=self._begun) from self._stopped_by

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._left = True
        cancelled = await self._end_all()
        self._feeder = None  # cancelled, it would hold its frame, and that this
        self.untaken = self._ended.drain()
        self._news.set()  # for another task that iterates
        if isinstance(error, asyncio.CancelledError):
            cancelled = None
            if isinstance(self._fatal, KeyboardInterrupt | SystemExit):
                return  # the loop itself has raised it, and cancels all tasks for that
        self._raise_fatal()
        if cancelled is not None:
            raise cancelled

    async def _end_all(self) -> asyncio.CancelledError | None:
        """Cancel what is under way, and wait until it has ended, however often this is cancelled meanwhile."""
        cancelled = None
        for task in (self._feeder, *self._tasks):
            if task is not None:
                task.cancel()
        # A cancelled scope of anyio's would cancel this wait in each turn of the loop.
        with anyio.CancelScope(shield=True):
            while self._is_under_way():
                self._news.clear()
                try:
                    await self._news.wait()
                except asyncio.CancelledError as error:
                    cancelled = error
        return cancelled

    def _is_under_way(self) -> bool:
        return self._feeding or bool(self._tasks)

    async def _feed(self) -> None:
        """Begin items as there is room, until there are no more, or the fan-out has stopped."""
        if isinstance(self._items, AsyncIterable):
            await self._feed_from(self._items)
            return
        for item in self._items:
            self._begin(item)
            if not await self._has_room():
                return

    async def _feed_from(self, items: AsyncIterable[Item]) -> None:
        iterator = aiter(items)
        try:
            async for item in iterator:
                self._begin(item)
                if not await self._has_room():
                    return
        finally:
            # A generator that was cancelled is done for. So it isn't left to the garbage collector.
            if isinstance(iterator, AsyncGenerator):
                await iterator.aclose()

    async def _has_room(self) -> bool:
        """Wait for room. False when no more items are to begin."""
        while self._goes_on() and self._begun - self._taken >= self._in_flight:
            self._room.clear()
            await self._room.wait()
        return self._goes_on()

    def _goes_on(self) -> bool:
        return self._stopped_by is None and not self._left

    def _begin(self, item: Item) -> None:
        index = self._begun
        self._begun += 1
        if self._left:  # its iterator gave it although it was cancelled
            self._ended.put(Outcome(index, item, error=asyncio.CancelledError(), seconds=0.0))
            return
        task = asyncio.create_task(_run(self._function, index, item))
        self._tasks[task] = index, item
        task.add_done_callback(self._ran)

    def _ran(self, task: asyncio.Task[Outcome[Item, Value]]) -> None:
        index, item = self._tasks.pop(task)
        if task.cancelled():  # before its first step
            self._ended.put(Outcome(index, item, error=asyncio.CancelledError(), seconds=0.0))
        elif (fatal := task.exception()) is not None:
            self._fatal = self._fatal or fatal
        else:
            self._note(task.result())
        self._news.set()

    def _note(self, outcome: Outcome[Item, Value]) -> None:
        self._ended.put(outcome)
        if outcome.error is None or self._stopped_by is not None or not self._stops(outcome.error):
            return
        self._stopped_by = outcome.error
        self._room.set()
        if self._feeder is not None and isinstance(self._items, AsyncIterable):
            self._feeder.cancel()  # it may wait for an item that never comes

    def _stops(self, error: BaseException) -> bool:
        if isinstance(error, BaseExceptionGroup):
            group = cast("BaseExceptionGroup[BaseException]", error)
            return any(self._stops(member) for member in group.exceptions)
        return isinstance(error, self._stop_on)

    def _fed(self, feeder: asyncio.Task[None]) -> None:
        self._feeding = False
        error = asyncio.CancelledError() if feeder.cancelled() else feeder.exception()
        if isinstance(error, Exception | asyncio.CancelledError):
            self._stopped_by = self._stopped_by or error
        elif error is not None:
            self._fatal = self._fatal or error
        self._news.set()


async def _run(function: Callable[[Item], Awaitable[Value]], index: int, item: Item) -> Outcome[Item, Value]:
    # No method: an error's traceback leads to this frame, and the fan-out, if it were in here, to the error.
    began = time.perf_counter()
    try:
        value = await _started(function, item)
    except (Exception, asyncio.CancelledError) as error:
        error.__traceback__ = error.__traceback__ and error.__traceback__.tb_next
        return Outcome(index, item, error=error, seconds=time.perf_counter() - began)
    return Outcome(index, item, value=value, error=None, seconds=time.perf_counter() - began)


def _started(function: Callable[[Item], Awaitable[Value]], item: Item) -> Awaitable[Value]:
    started: Any = function(item)
    if not inspect.isawaitable(started):
        name = getattr(function, "__qualname__", repr(function))
        raise NotAsyncError(f"fan_out calls an async function; {name} returned {type(started).__name__}")
    awaitable: Awaitable[Value] = started
    return awaitable


class NotAsyncError(InvalidInputError):
    """The function is a plain one: each item would end in the same way."""


def _check_items(items: Any) -> None:
    if not isinstance(items, Iterable | AsyncIterable):
        raise InvalidInputError(f"items must be an iterable or an async iterable, not {type(items).__name__}")


def _check_in_flight(in_flight: Any) -> None:
    if not isinstance(in_flight, int) or isinstance(in_flight, bool) or in_flight < 1:
        raise InvalidInputError(f"in_flight must be a whole number of 1 or more, not {in_flight!r}")


def _as_classes(stop_on: object) -> tuple[type[BaseException], ...]:
    classes = cast("tuple[object, ...]", stop_on) if isinstance(stop_on, tuple) else (stop_on,)
    return tuple(_as_class(one) for one in classes)


def _as_class(one: object) -> type[BaseException]:
    if isinstance(one, type) and issubclass(one, BaseException):
        return one
    raise InvalidInputError(f"stop_on takes classes of exceptions, not {one!r}")
