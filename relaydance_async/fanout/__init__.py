"""Many calls at once: an async function for each item of an iterable, as many at a time as there is room for."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from typing import TypeVar

from .._sansio.extras import defaulting
from ..errors import (
    AuthenticationError,
    ConfigurationError,
    FanOutStoppedError,
    InsufficientBalanceError,
    PermissionDeniedError,
)
from ..models.outcome import Outcome
from ._fan_out import ErrorClasses, FanOut

__all__ = ["STOP_ON", "FanOut", "FanOutStoppedError", "Outcome", "fan_out", "fan_out_list"]

Item = TypeVar("Item")
Value = TypeVar("Value")

STOP_ON: tuple[type[Exception], ...] = (
    AuthenticationError,
    InsufficientBalanceError,
    PermissionDeniedError,
    ConfigurationError,
)
"""What stops a fan-out by default: the next item would fail of it too."""


@defaulting
def fan_out(
    function: Callable[[Item], Awaitable[Value]],
    items: Iterable[Item] | AsyncIterable[Item],
    *,
    in_flight: int = 100,
    ordered: bool = False,
    stop_on: ErrorClasses = STOP_ON,
) -> FanOut[Item, Value]:
    """Call an async function with each item, many at once, and give out how each ended.

        async with fan_out(make_clip, rows, in_flight=200) as outcomes:
            async for outcome in outcomes:
                if outcome.error is None:
                    print(outcome.index, outcome.value)

    An item that fails stops no other. Its exception is `outcome.error`; `outcome.value` raises it.

    Items are taken when there is room, so the iterable may be large or endless. An item has its place until you take
    its outcome. So there are never more than `in_flight` items that have begun and that you haven't seen, and when you
    are slow, so is the taking. (A plain iterable is asked on the event loop: it should not block.)

    On leaving the `async with` early, by `break`, an exception or a cancellation, the items under way are cancelled
    and waited for. How each of them ended is in `outcomes.untaken`. An exception of yours comes out unchanged. An async
    generator is closed; any other iterator can be gone on with.

    Each item runs in a task of its own, with a copy of the context variables. Only on asyncio and uvloop.

    Args:
        function: is called with an item; what it returns is awaited.
        items: an iterable or an async iterable.
        in_flight: items at once. The client's `max_concurrency` bounds the requests; a video task that is waited for
            takes a place here, and no request.
        ordered: give the outcomes out in the order of the items. An item that is slow then holds up all after it, and
            their places.
        stop_on: classes of errors, also inside of an exception group, after which no more items are begun. Add to the
            usual ones with `stop_on=(*STOP_ON, MyError)`; `()` stops for none.

    Raises:
        InvalidInputError: at once: not a function, not an iterable, `in_flight` below 1.
        FanOutStoppedError: at the end of the iteration: an error of `stop_on`, or one that the iterable itself raised.
            It has the index of the first item that was not begun.
    """
    return FanOut(function, items, in_flight=in_flight, ordered=ordered, stop_on=stop_on)


async def fan_out_list(
    function: Callable[[Item], Awaitable[Value]],
    items: Iterable[Item] | AsyncIterable[Item],
    *,
    in_flight: int = 100,
    stop_on: ErrorClasses = STOP_ON,
) -> list[Outcome[Item, Value]]:
    """All outcomes of a `fan_out`, in the order of the items.

    Args:
        function: as of `fan_out`.
        items: as of `fan_out`, but not endless.
        in_flight: as of `fan_out`.
        stop_on: as of `fan_out`.

    Raises:
        InvalidInputError: as of `fan_out`.
        FanOutStoppedError: as of `fan_out`. What had come is in its `outcomes`.

    Cancelling it cancels the items under way, and what had come is lost with the list: use `fan_out`, and keep each
    value as it comes, where that counts.
    """
    got: list[Outcome[Item, Value]] = []
    try:
        async with fan_out(function, items, in_flight=in_flight, stop_on=stop_on) as outcomes:
            async for outcome in outcomes:
                got.append(outcome)
    except FanOutStoppedError as error:
        error.outcomes = tuple(_by_index(got))
        raise
    return _by_index(got)


def _by_index(outcomes: list[Outcome[Item, Value]]) -> list[Outcome[Item, Value]]:
    return sorted(outcomes, key=lambda outcome: outcome.index)
