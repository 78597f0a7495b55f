"""When a window opens: each time within bounds, after a refused call, and not after an accepted one.

A fixed window opens by a clock, each time a period after the last. A sliding one opens a period after its first call.
What is known contradicts the one or the other after some windows; until then both are believed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations

_MOST = 8
"""Openings that are remembered. A clock's period is known the better the more there are."""


@dataclass(frozen=True, slots=True)
class Openings:
    """Those that are known.

    Attributes:
        at: when the first call of this window was admitted.
        low: seconds that a period is longer than.
        high: seconds that it takes at most, if the window slides.
        number: of this window.
        refused: when the last call that was refused in it was admitted.
        known: (number, refused, accepted) of openings: when a call was refused before, and when the first was accepted.
        is_clock, is_sliding: whether it may be.
        is_lost: whether neither holds: it opens at another time now.
        was_lost: whether that was so the last time. Then the period is another one, too.
    """

    at: float
    low: float
    high: float
    number: int = 0
    refused: float = float("-inf")
    known: tuple[tuple[int, float, float], ...] = ()
    is_clock: bool = True
    is_sliding: bool = True
    is_lost: bool = False
    was_lost: bool = False

    @property
    def period(self) -> float:
        """Seconds, about."""
        if self.is_sliding or len(self.known) < 2:
            return self.high
        (first, _, begin), (last, _, end) = self.known[0], self.known[-1]
        return (end - begin) / (last - first)

    @property
    def likely_period(self) -> float:
        """The same, rather in the middle of the bounds."""
        return (self.low + self.high) / 2 if self.period == self.high else self.period

    def shut(self, at: float, slack: float) -> Openings:
        """A call that was admitted then was refused. `slack`: seconds that what is known may be wrong."""
        if self.is_lost:
            return replace(self, refused=at)
        return replace(self, refused=max(at, self.refused), low=max(self.low, at - self.at))._checked(slack)

    def opened(self, at: float, slack: float, is_proven: bool) -> Openings:
        """A call that was admitted then is the first of the next window. `is_proven`: it surely wasn't of this one."""
        if self.is_lost:
            return replace(self.begun_anew(at), is_lost=False, was_lost=True)
        number, known, high = self.number + 1, self.known, self.high
        if is_proven:
            known, high = (*known[1 - _MOST :], (number, self.refused, at)), min(high, at - self.at)
        following = replace(
            self, at=at, number=number, refused=float("-inf"), known=known, high=high, was_lost=False
        )  # fmt: skip
        return following._checked(slack)

    def begun_anew(self, at: float) -> Openings:
        """Nobody called for a time, so it isn't known how many opened; the period is the same."""
        return replace(self, at=at, number=self.number + 1, refused=float("-inf"), known=())

    @property
    def shut_until(self) -> float:
        """It surely has not opened again before, as far as anything is known of that."""
        return min((first for first, _ in self._believed() if first > self.at), default=self.at + self.low)

    def following(self) -> tuple[float, float]:
        """When the next one has not opened yet, and when it has, as what is known best has it."""
        return min(self._believed(), key=lambda bounds: bounds[1] - bounds[0])

    def _believed(self) -> list[tuple[float, float]]:
        own = self.at + self.low, self.at + max(self.high, self.low)
        if not self.is_clock or len(self.known) < 2:
            return [own]
        return [own, self._by_clock()] if self.is_sliding else [self._by_clock()]

    def _by_clock(self) -> tuple[float, float]:
        following, first, last = self.number + 1, max(self.at, self.refused), float("inf")
        for (i, before, begin), (j, after, end) in combinations(self.known, 2):
            share = (following - j) / (j - i)
            first = max(first, after + share * (after - begin))
            last = min(last, end + share * (end - before))
        return first, last

    def _checked(self, slack: float) -> Openings:
        first, last = self._by_clock()
        is_clock = self.is_clock and first <= last + slack
        is_sliding = self.is_sliding and self.low <= self.high + slack
        if is_clock or is_sliding:
            return replace(self, is_clock=is_clock, is_sliding=is_sliding)
        period = max(self.period, self.refused - self.at) if self.was_lost else self.period
        return replace(
            self, low=min(self.low, 0.97 * period), high=1.03 * period, known=(), is_clock=True, is_sliding=True,
            is_lost=not self.was_lost,
        )  # fmt: skip
