"""Cancels a call at an exact place: at the n-th time that its task waits for something.

A test that cancels after a while meets the places where a call waits long. Here each place is met, by its number.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from dataclasses import dataclass
from functools import partial
from typing import Any

import anyio

Selects = Callable[[int], bool]
"""Whether to cancel at the step of this number, counted from 1."""


class Stepped:
    """Awaits a coroutine, and calls `interrupt` with what it waits for, at the chosen steps."""

    def __init__(self, inner: Coroutine[Any, Any, Any], selects: Selects, interrupt: Callable[[Any], None]) -> None:
        self._inner = inner
        self._selects = selects
        self._interrupt = interrupt
        self.steps = 0
        self.interrupted = False

    def __await__(self) -> Generator[Any, Any, Any]:
        resume: Callable[[], Any] = partial(self._inner.send, None)
        while True:
            try:
                awaited = resume()
            except StopIteration as stop:
                return stop.value
            self.steps += 1
            if self._selects(self.steps):
                self.interrupted = True
                self._interrupt(awaited)
            try:
                answer = yield awaited
            except BaseException as error:  # handed on to the coroutine, whose it is
                resume = partial(self._inner.throw, error)
            else:
                resume = partial(self._inner.send, answer)


@dataclass
class Outcome:
    """How an interrupted call ended."""

    interrupted: bool
    """Whether it had as many steps at all."""
    cancelled: bool
    error: BaseException | None
    """What came out of the call itself, before a timeout or a cancel scope made something else of it."""
    value: Any


Manner = Callable[[Coroutine[Any, Any, Any], Selects], Awaitable[Outcome]]
"""A way to cancel."""


async def _observed(call: Coroutine[Any, Any, Any], outcome: Outcome) -> None:
    try:
        outcome.value = await call
    except BaseException as error:
        outcome.error = error
        outcome.cancelled = isinstance(error, asyncio.CancelledError)
        raise


async def _in_a_task(call: Coroutine[Any, Any, Any], selects: Selects, *, late: bool) -> Outcome:
    outcome = Outcome(False, False, None, None)

    def cancel(_: object) -> None:
        task.cancel()

    def interrupt(awaited: Any) -> None:
        if late and awaited is not None:
            # Before the task's own wake-up: so it is cancelled although what it waited for has come.
            awaited.add_done_callback(cancel)
        else:
            task.cancel()

    stepped = Stepped(_observed(call, outcome), selects, interrupt)

    async def run() -> None:
        await stepped

    task = asyncio.create_task(run())
    await asyncio.wait([task])
    if not task.cancelled() and (error := task.exception()) is not None:
        raise error
    outcome.interrupted = stepped.interrupted
    # Plain cancellation is never swallowed: whoever asked for it is told.
    assert outcome.cancelled == stepped.interrupted == task.cancelled()
    return outcome


async def by_task_cancel(call: Coroutine[Any, Any, Any], selects: Selects) -> Outcome:
    """`Task.cancel` while it waits."""
    return await _in_a_task(call, selects, late=False)


async def by_late_task_cancel(call: Coroutine[Any, Any, Any], selects: Selects) -> Outcome:
    """`Task.cancel` when what it waits for has just come: a connection that is made, a permit that is given."""
    return await _in_a_task(call, selects, late=True)


async def by_cancel_scope(call: Coroutine[Any, Any, Any], selects: Selects) -> Outcome:
    """`anyio.CancelScope.cancel`, which cancels at every further await."""
    outcome = Outcome(False, False, None, None)
    scope = anyio.CancelScope()
    stepped = Stepped(_observed(call, outcome), selects, lambda _: scope.cancel())
    with scope:
        await stepped
    outcome.interrupted = stepped.interrupted
    assert outcome.cancelled == scope.cancelled_caught
    return outcome


async def by_move_on_after(call: Coroutine[Any, Any, Any], selects: Selects) -> Outcome:
    """`anyio.move_on_after` whose time is over."""
    outcome = Outcome(False, False, None, None)

    def interrupt(_: Any) -> None:
        scope.deadline = anyio.current_time()

    scope = anyio.move_on_after(3600)
    stepped = Stepped(_observed(call, outcome), selects, interrupt)
    with scope:
        await stepped
    outcome.interrupted = stepped.interrupted
    assert outcome.cancelled == scope.cancelled_caught
    return outcome


async def by_asyncio_timeout(call: Coroutine[Any, Any, Any], selects: Selects) -> Outcome:
    """`asyncio.timeout` whose time is over."""
    outcome = Outcome(False, False, None, None)
    loop = asyncio.get_running_loop()
    stepped = Stepped(_observed(call, outcome), selects, lambda _: limit.reschedule(loop.time()))
    try:
        async with asyncio.timeout(None) as limit:
            await stepped
    except TimeoutError:
        assert outcome.cancelled
    outcome.interrupted = stepped.interrupted
    return outcome


def once(at: int) -> Selects:
    """At that step only."""
    return lambda step: step == at


def twice(at: int) -> Selects:
    """At that step, and at the first one of the cleanup that follows."""
    return lambda step: step in (at, at + 1)


def again_and_again(at: int) -> Selects:
    """At that step, and at every one of the cleanup that follows."""
    return lambda step: step >= at


MANNERS: dict[str, tuple[Manner, Any]] = {
    "task": (by_task_cancel, once),
    "late": (by_late_task_cancel, once),
    "twice": (by_task_cancel, twice),
    "again and again": (by_task_cancel, again_and_again),
    "scope": (by_cancel_scope, once),
    "move_on_after": (by_move_on_after, once),
    "asyncio.timeout": (by_asyncio_timeout, once),
}
