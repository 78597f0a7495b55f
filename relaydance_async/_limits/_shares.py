"""How many attempts may be under way at once: of each kind, and together.

The rule, at a limit of L permits:

    L of 10 or more    For each of the three kinds 5 % of the permits, at least 1, are kept free of the other two.
                       So one kind holds at most L - 2 * max(1, L // 20): 90 of 100, 8 of 10.
    L below 10         Nothing is kept, but streams, which hold their permits for long, leave one: at most L - 1.
    L of 1             Every kind may have it.

L is `max_concurrency` at first. It halves when the gateway says that it is overrun. It grows by about one for each
limit's worth of successes (additive increase, multiplicative decrease: TCP's congestion avoidance, RFC 5681). It stays
between 1 and `max_concurrency`. No permit in use is taken away: just after a decrease, more than L may be in use.
Meanwhile a kind that has none in use may still have one, up to `max_concurrency` in all: else open streams, which end
only when their readers let them, could lock out the very calls that those readers make.
"""

from __future__ import annotations

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


class Share(Generic[T]):
    """What one kind, or all kinds together, have of the permits, and who waits for more.

    Attributes:
        kinds: whose share it is.
        most: permits that it may hold now.
        in_use: permits that it holds.
        line: those who wait.
    """

    __slots__ = ("in_use", "kinds", "line", "most")

    def __init__(self, kinds: tuple[Kind, ...], most: int) -> None:
        self.kinds: tuple[Kind, ...] = kinds
        self.most: int = most
        self.in_use: int = 0
        self.line: Line[T] = Line()


class Shares(Generic[T]):
    """The permits of one event loop.

    Attributes:
        maximum: the highest limit.
        limit: how many permits there are now.
        in_use: how many are taken.
        all: the shares, the one that was served least recently first.
        of: the share of each kind.
    """

    __slots__ = ("_limit", "all", "in_use", "limit", "maximum", "of")

    def __init__(self, maximum: int, shares: list[Share[T]]) -> None:
        self.maximum: int = maximum
        self.limit: int = maximum
        self._limit = float(maximum)
        self.in_use: int = 0
        self.all: list[Share[T]] = shares
        self.of: dict[Kind, Share[T]] = {kind: share for share in shares for kind in share.kinds}

    @classmethod
    def divided(cls, maximum: int) -> Shares[T]:
        """A share for each kind, by the rule above."""
        return cls(maximum, [Share((kind,), most_of(kind, maximum)) for kind in Kind])

    @classmethod
    def undivided(cls, maximum: int) -> Shares[T]:
        """One share for all, so that they are served in the order they came. Its limit stays as it is."""
        return cls(maximum, [Share(tuple(Kind), maximum)])

    def next(self) -> Share[T] | None:
        """The share whose turn it is: somebody waits, and may have a permit."""
        if self.in_use < self.maximum:
            for share in self.all:
                if share.line.waiting and self.has_room_for(share):
                    return share
        return None

    def has_room_for(self, share: Share[T]) -> bool:
        """Whether somebody of this share may have a permit now."""
        if self.in_use >= self.limit and (share.in_use or self.in_use >= self.maximum):
            return False
        return share.in_use < share.most

    def serve(self, share: Share[T]) -> None:
        """Take a permit for the one whose turn it was. The other shares go first now."""
        self.in_use += 1
        share.in_use += 1
        self.all.remove(share)
        self.all.append(share)

    def grow(self) -> None:
        """An attempt succeeded."""
        self._set_limit(min(float(self.maximum), self._limit + 1 / self._limit))

    def shrink(self) -> None:
        """The gateway is overrun."""
        self._set_limit(max(1.0, self._limit / 2))

    def _set_limit(self, limit: float) -> None:
        self._limit, self.limit = limit, int(limit)
        for kind, share in self.of.items():
            share.most = most_of(kind, self.limit)
