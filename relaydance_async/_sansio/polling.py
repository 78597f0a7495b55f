"""When to ask for a task again."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice, repeat
from math import ceil

LONGEST = 15.0
"""Seconds between two polls in the long run, of up to 15,000 waits; the gateway refreshes a task about every 15 s, so
that asking more often gains nothing."""

MOST_PER_SECOND = 1_000
"""Polls that the waits of one client make in a second, on average. A core of a processor sends a few thousand."""

_GROWING = [2.0 * 1.5**number for number in range(5)]
_LEAST = 1 / 3
"""The shortest pause, as a share of the window that the next poll lies in."""


def windows(waits: int = 1) -> Iterator[tuple[float, float]]:
    """The windows of the schedule, each with its begin and its width, in seconds from the begin of the wait.

    They follow one another without gaps; the widths grow from 2 to 15 and stay there. They are wider where that many
    waits would ask more often than `MOST_PER_SECOND`.
    """
    least = waits / MOST_PER_SECOND
    begin = max(_GROWING[0], least) / 2  # after the first poll, which is at once
    for width in chain(_GROWING, repeat(LONGEST)):
        yield begin, max(width, least)
        begin += max(width, least)


def next_poll(elapsed: float, phase: float, waits: int = 1) -> float:
    """The pause before the next poll of a wait, in seconds.

    A wait asks once in each of the `windows`, always at the same place of them: its phase. So of N waits that began
    together N/width ask in each second, evenly, and the pauses of each grow with the windows. Because the times
    are reckoned from the begin of the wait, and not from its last poll, polls that took long shift nothing, and waits
    that something from outside has bunched (a blocked event loop, a pause for a 429) are spread again one window later.

    Args:
        elapsed: seconds since the wait began.
        phase: from 0 to 1 (exclusive), drawn at random for each wait.
        waits: the most that the client has had under way since this one began.
    """
    *growing, steady = islice(windows(waits), len(_GROWING) + 1)
    for begin, width in growing:
        pause = begin + phase * width - elapsed
        if pause >= _LEAST * width:
            return pause
    begin, width = steady
    pause = begin + phase * width - elapsed
    return pause + width * max(0, ceil(_LEAST - pause / width))
