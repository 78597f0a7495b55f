"""A caller's functions, called amid a call. What they raise is logged: it must not cost what is paid for."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def call_back(function: Callable[[T], Awaitable[object] | object], value: T, log: Callable[[], None]) -> None:
    """Call it, and await what it returns.

    Args:
        log: called where it raised, with the exception under way.

    Raises:
        BaseException: what ends the program, or a cancellation of the running task.
    """
    try:
        answer = function(value)
    except BaseException as error:
        if ends_program(error):
            raise
        log()
        return
    if not inspect.isawaitable(answer):
        return
    try:
        await answer
    except BaseException as error:
        if ends_task(error):
            raise
        log()


def ends_program(error: BaseException) -> bool:
    """Whether it is not the affair of whoever raised it. Nothing else arrives in a function that does not wait."""
    return isinstance(error, KeyboardInterrupt | SystemExit)


def ends_task(error: BaseException) -> bool:
    """The same of something that was awaited: a cancellation of the running task, or its end, arrives there too."""
    if isinstance(error, Exception):
        return False
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is None or task.cancelling() > 0
    return ends_program(error) or isinstance(error, GeneratorExit) or type(error).__name__ == "Cancelled"  # trio's
