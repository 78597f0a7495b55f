"""How many attempts may be under way at once: of each kind, and together.

The rule, at a limit of L permits:

    L of 10 or more    for each of the three kinds, 5 % of the permits (at least 1) are kept free of the other two. So one
                       kind holds at most L - 2 * max(1, L // 20): 90 of 100, 8 of 10.
    L below 10         nothing is kept, but streams, which hold their permits for long, leave one: at most L - 1.
    L of 1             every kind may have it.

L is `max_concurrency` at first. It halves when the gateway says that it is overrun, and grows by about one for each
limit's worth of successes (additive increase, multiplicative decrease: TCP's congestion avoidance, RFC 5681), between 1
and `max_concurrency`. The rule follows it. Permits in use are never taken away, so after it fell more may be in use.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from ._admission import Kind
from ._line import Line, Queued

T = TypeVar("T", bound=Queued)

_DIVIDED_FROM = 10
"""Permits. With fewer, keeping some for each kind would leave too few to share."""
_KEPT = 20
"""One in so many is kept for each kind."""


def most_of(kind: Kind, limit: int) -> int:
    """The permits that one kind may hold at that limit."""
    if limit >= _DIVIDED_FROM:
        return limit - 2 * max(1, limit // _KEPT)
    return max(1, limit - 1) if kind is Kind.STREAM else limit


def all_of(kind: Kind, limit: int) -> int:
    """The same, where nothing is kept for anyone."""
    return limit


class Share(Generic[T]):
    """What one kind has of the permits, and who waits for more."""

    __slots__ = ("in_use", "kind", "line", "most")

    def __init__(self, kind: Kind, most: int) -> None:
        self.kind: Kind = kind
        self.in_use: int = 0
        self.most: int = most
        """Permits that it may hold now."""
        self.line: Line[T] = Line()


class Shares(Generic[T]):
    """The permits of one event loop.

    Attributes:
        maximum: the highest limit.
        limit: how many permits there are now.
        in_use: how many are taken.
        of: the share of each kind.
    """

    __slots__ = ("_limit", "_most", "_turns", "in_use", "limit", "maximum", "of")

    def __init__(self, maximum: int, most: Callable[[Kind, int], int] = most_of) -> None:
        self.maximum: int = maximum
        self.limit: int = maximum
        self.in_use: int = 0
        self._limit = float(maximum)
        self._most = most
        self.of: dict[Kind, Share[T]] = {kind: Share(kind, most(kind, maximum)) for kind in Kind}
        self._turns = list(self.of.values())  # the one that was served least recently first

    @property
    def waiting(self) -> int:
        """How many wait, of all kinds."""
        return sum(share.line.waiting for share in self._turns)

    def is_free(self, share: Share[T]) -> bool:
        """Whether there is a permit for this kind."""
        return self.in_use < self.limit and share.in_use < share.most

    def next(self) -> Share[T] | None:
        """The kind whose turn it is among those that wait and may have a permit."""
        if self.in_use >= self.limit:
            return None
        for share in self._turns:
            if share.line.waiting and share.in_use < share.most:
                return share
        return None

    def served(self, share: Share[T]) -> None:
        """It had its turn: the other kinds go first now."""
        self._turns.remove(share)
        self._turns.append(share)

    def take(self, share: Share[T]) -> None:
        """Take a permit."""
        self.in_use += 1
        share.in_use += 1

    def give_back(self, share: Share[T]) -> None:
        """Give a permit back."""
        self.in_use -= 1
        share.in_use -= 1

    def grow(self) -> None:
        """An attempt succeeded."""
        if self._limit < self.maximum:
            self._set(min(float(self.maximum), self._limit + 1 / self._limit))

    def shrink(self) -> None:
        """The gateway is overrun."""
        self._set(max(1.0, self._limit / 2))

    def _set(self, limit: float) -> None:
        self._limit, self.limit = limit, int(limit)
        for share in self._turns:
            share.most = self._most(share.kind, self.limit)
