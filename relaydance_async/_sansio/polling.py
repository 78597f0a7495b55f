"""When to ask for a task again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate, count
from math import ceil

LONGEST = 15.0
"""Seconds between two polls in the long run, with up to 15,000 waits. The gateway refreshes a task about every 15 s, so
asking more often gains nothing."""

MOST_PER_SECOND = 1_000
"""Polls that all waits of a process make in a second, on average. A core of a processor sends a few thousand."""

_GROWING = [2.0 * 1.5**number for number in range(5)]
_BEGINS = list(accumulate(_GROWING, initial=1.0))  # the first poll is at once, before all windows
_LEAST = 1 / 3
"""The shortest pause, as a share of the window that the next poll lies in."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a wait stands among all waits. It is drawn at random once, so that the waits are spread evenly.

    Attributes:
        phase: the place in each window, from 0 (its begin) to 1 (its end, exclusive).
        turn: which windows the wait asks in when it leaves some out.
    """

    phase: float
    turn: int

    @classmethod
    def draw(cls, random: Callable[[], float]) -> Place:
        """A new place. `random` gives numbers from 0 to 1 (exclusive)."""
        return cls(random(), int(random() * 1_000_000))


def window(number: int) -> tuple[float, float]:
    """The begin and the width of a window of the schedule, in seconds from the begin of the wait; numbered from 0.

    The windows follow one another without gaps. The widths grow from 2 to 15 and stay there.
    """
    if number < len(_GROWING):
        return _BEGINS[number], _GROWING[number]
    return _BEGINS[-1] + (number - len(_GROWING)) * LONGEST, LONGEST


def windows() -> Iterator[tuple[float, float]]:
    """All windows, without an end."""
    return map(window, count())


def every_nth(width: float, waits: int) -> int:
    """How seldom a wait asks: in every n-th window of this width. 1 is every window.

    It is more than 1 where that many waits would ask more often than `MOST_PER_SECOND`. It is a power of 2. So a wait
    that asks more often when others have ended keeps the turns that it had, and adds one between two of them. With any
    other number the polls of those that still sleep and of those that ask more often would add up to a burst.
    """
    wanted = ceil(waits / (width * MOST_PER_SECOND))
    return 1 << max(0, wanted - 1).bit_length()


def next_poll(elapsed: float, place: Place, waits: int = 1) -> float:
    """The pause before the next poll of a wait, in seconds.

    A wait asks once in a window, always at the same place of it. So of N waits that began together N/width ask in each
    second, evenly, and the pauses of each wait grow with the windows. The times are counted from the begin of the wait,
    not from its last poll. So polls that took long shift nothing. Waits that were bunched by something from outside (a
    blocked event loop, a pause for a 429) are spread again one window later.

    When there are too many waits, each leaves out windows, in turns; see `every_nth`. The windows never move. So the
    polls stay even while the number of waits rises and falls.

    Args:
        elapsed: seconds since the wait began.
        place: of this wait.
        waits: how many are under way in this process now.
    """
    for number in count(_current(elapsed)):
        begin, width = window(number)
        pause = begin + place.phase * width - elapsed
        if pause >= _LEAST * width and (number + place.turn) % every_nth(width, waits) == 0:
            return pause
    raise AssertionError("the windows have no end")


def _current(elapsed: float) -> int:
    """The number of a window that has begun by this time. No window before it can hold the next poll."""
    if elapsed < _BEGINS[-1]:
        return 0
    return len(_GROWING) + int((elapsed - _BEGINS[-1]) // LONGEST)
