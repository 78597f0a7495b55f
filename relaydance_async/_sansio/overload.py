"""What becomes of the calls under way when the gateway says that it is overrun: cut quickly, given back quickly.

Multiplicative decrease, multiplicative increase: an overload says nothing of a limit that is to be searched with care,
and it goes as it came (Envoy's adaptive concurrency also returns to its most within seconds).
"""

from __future__ import annotations

_CUT = 0.7
"""Of what is under way, at an answer that says so."""
_APART = 0.25
"""Seconds between two cuts. So an overload of a third of a second leaves half, and one of 2 s a tenth."""
_SHORT = 1.0
"""Seconds of an overload in which a quarter of the most may stay under way: it may be over as it came."""
_QUIET = 0.5
"""Seconds without such an answer, until it grows; and between two steps."""
_GROWTH = 1.35
"""Of one step: from half to all in about a second and a half."""


class Overload:
    """How many calls may be under way. Times are seconds on one monotonic clock.

    Args:
        most: when all is well.
    """

    __slots__ = ("_at", "_began", "_limit", "most")

    def __init__(self, most: int) -> None:
        self.most: int = most
        self._limit = float(most)
        self._at = self._began = float("-inf")

    def limit(self, now: float) -> int:
        """How many may be."""
        if self._limit >= self.most:
            return self.most
        while now - self._at >= _QUIET and self._limit < self.most:
            self._limit = min(float(self.most), self._limit * _GROWTH + 0.5)
            self._at += _QUIET
        return int(self._limit)

    def overloaded(self, now: float, sent_at: float, in_flight: int) -> bool:
        """A call that was sent then was answered so, while so many were under way: whether that was news."""
        if sent_at <= self._at or (now - self._at < _APART and self._limit < self.most):
            return False
        under_way = self._limit
        if self._limit >= self.most:  # later, those that were refused are not under way any more
            under_way = min(under_way, max(in_flight, 1))
            self._began = now
        least = self.most / 4 if now - self._began < _SHORT else 1.0
        self._limit = max(1.0, least, _CUT * under_way)
        self._at = now
        return True

    def forget(self) -> None:
        """All is well."""
        self._limit, self._at = float(self.most), float("-inf")
