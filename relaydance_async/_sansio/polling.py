"""When to ask for a task again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate, count
from math import ceil, sqrt

LONGEST = 15.0
"""Seconds between two polls in the long run, with up to 300 waits. The gateway refreshes a task about every 15 s, so
asking more often gains nothing."""

MOST_PER_SECOND = 1_000
"""Polls that all waits of a process make in a second, on average. A core of a processor sends a few thousand."""

AT_ONCE = 100
"""Waits. With more under way, also the first poll of a wait has its place in the schedule."""

_FEW = 300
"""Waits that poll as often as the schedule says in the long run. The gateway itself asks for one task after another,
with 1 s in between on one channel: 300 clips are refreshed once in 5 minutes. So the more wait, the less often each
asks."""
_SHARE = 0.5
"""Of the key's limit, for polls; the rest is for submits and all else."""
_SLOWEST = 16
"""The limit alone makes a wait leave out no more windows than that. It may rise while the wait sleeps."""

_SHORTEST_LEAD, _LONGEST_LEAD = 1.0, 10.0
"""Seconds before its deadline that a wait looks for the last time: between these, by how long answers take."""
_LEAD_SHARE = 0.25
"""The most of the whole wait that the lead takes, and that the last looks of many waits are spread over."""

_GROWING = [2.0 * 1.5**number for number in range(5)]
_BEGINS = list(accumulate(_GROWING, initial=1.0))  # the first poll of few waits is at once, before all windows
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


def polls_per_second(waits: int) -> float:
    """Polls that so many waits make together, at most. Four times as many waits make twice as many polls."""
    return min(MOST_PER_SECOND, _FEW / LONGEST * sqrt(max(1.0, waits / _FEW)))


def every_nth(width: float, waits: int, limit: float | None = None) -> int:
    """How seldom a wait asks: in every n-th window of this width. 1 is every window.

    It is more than 1 where that many waits would ask more often than `polls_per_second`, or than their share of the
    key's limit. It is a power of 2. So a wait that asks more often when others have ended keeps the turns that it had,
    and adds one between two of them. With any other number the polls of those that still sleep and of those that ask
    more often would add up to a burst.

    Args:
        width: of the window, in seconds.
        waits: how many are under way in this process.
        limit: of the key, in calls a second; None while it is not known.
    """
    by_number = _power_of_2(waits / (width * polls_per_second(waits)))
    if limit is None:
        return by_number
    return max(by_number, min(_SLOWEST, _power_of_2(waits / (width * limit * _SHARE))))


def _power_of_2(wanted: float) -> int:
    """The least one that is not below."""
    return 1 << max(0, ceil(wanted) - 1).bit_length()


def last_look(deadline: float, place: Place, took: float, waits: int, limit: float | None = None) -> float:
    """When a wait looks for the last time, in seconds from its begin: just in time for the answer.

    Many waits with the same deadline do not all look at once.

    Args:
        deadline: of the wait, in seconds from its begin.
        place: of this wait.
        took: seconds that the last poll took, with its own wait for a permit.
        waits: how many are under way in this process.
        limit: of the key, in calls a second; None while it is not known.
    """
    most = deadline * _LEAD_SHARE
    lead = min(max(2 * took, _SHORTEST_LEAD), _LONGEST_LEAD, most)
    rate = MOST_PER_SECOND if limit is None else min(MOST_PER_SECOND, limit * _SHARE)
    return deadline - lead - place.phase * min(waits / rate, most)


def next_poll(elapsed: float, place: Place, waits: int = 1, limit: float | None = None) -> float:
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
        limit: of the key, in calls a second; None while it is not known.
    """
    for number in count(_current(elapsed)):
        begin, width = window(number)
        pause = begin + place.phase * width - elapsed
        if pause >= _LEAST * width and (number + place.turn) % every_nth(width, waits, limit) == 0:
            return pause
    raise AssertionError("the windows have no end")


def _current(elapsed: float) -> int:
    """The number of a window that has begun by this time. No window before it can hold the next poll."""
    if elapsed < _BEGINS[-1]:
        return 0
    return len(_GROWING) + int((elapsed - _BEGINS[-1]) // LONGEST)
