"""When to ask for a task again."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

LONGEST = 15.0
"""Seconds between two polls in the long run; the gateway refreshes a task about every 15 s, so that asking more often
gains nothing."""

_FIRST_AT, _FIRST_WIDTH, _GROWTH = 1.0, 2.0, 1.5
_LEAST = 1 / 3
"""The shortest pause, as a share of the window that the next poll lies in."""


def windows() -> Iterator[tuple[float, float]]:
    """The windows of the schedule, each with its begin and its width, in seconds from the begin of the wait.

    They follow one another without gaps; the widths grow from 2 to 15 and stay there.
    """
    begin, width = _FIRST_AT, _FIRST_WIDTH
    while True:
        yield begin, width
        begin, width = begin + width, min(LONGEST, width * _GROWTH)


_GROWING: list[tuple[float, float]] = []
for _begin, _width in windows():
    if _width == LONGEST:
        _STEADY_FROM = _begin
        break
    _GROWING.append((_begin, _width))


def next_poll(elapsed: float, phase: float) -> float:
    """The pause before the next poll of a wait, in seconds.

    A wait asks once in each of the `windows`, always at the same place of them: its phase. So of N waits that began
    together N/width ask in each second, evenly, and the pauses of each grow from about 2 s to 15 s. Because the times
    are reckoned from the begin of the wait, and not from its last poll, polls that took long shift nothing, and waits
    that something from outside has bunched (a blocked event loop, a pause for a 429) are spread again one window later.

    Args:
        elapsed: seconds since the wait began.
        phase: from 0 to 1 (exclusive), drawn at random for each wait.
    """
    for begin, width in _GROWING:
        pause = begin + phase * width - elapsed
        if pause >= _LEAST * width:
            return pause
    pause = _STEADY_FROM + phase * LONGEST - elapsed
    return pause + LONGEST * max(0, ceil(_LEAST - pause / LONGEST))
