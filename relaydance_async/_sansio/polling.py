"""When to ask for a task again."""

from __future__ import annotations

from collections.abc import Callable, Iterator

FIRST = 2.0
LONGEST = 15.0
"""Seconds; the gateway refreshes a task about every 15 s, so asking more often at length gains nothing."""

_GROWTH = 1.5


def poll_schedule(jitter: Callable[[], float]) -> Iterator[float]:
    """The waits between polls, in seconds: from about 2 up to about 15, each between 0.75 and 1.25 times its mean.

    The jitter spreads waits that began together, so that thousands of them don't ask in bursts.

    Args:
        jitter: draws evenly from 0 to 1.
    """
    wait = FIRST
    while True:
        yield wait * (0.75 + 0.5 * jitter())
        wait = min(LONGEST, wait * _GROWTH)
