"""How many attempts may be under way at once: of each kind, and together.

The rule, at a limit of L permits:

    L of 10 or more    For each of the three kinds 5 % of the permits, at least 1, are kept free of the other two.
                       So one kind holds at most L - 2 * max(1, L // 20): 90 of 100, 8 of 10.
    L below 10         Nothing is kept, but streams, which hold their permits for long, leave one: at most L - 1.
    L of 1             Every kind may have it.

L is `max_concurrency` at first. It falls when the gateway says that it is overrun, and comes back within seconds
(`_sansio.overload`). No permit in use is taken away: just after a decrease, more than L may be in use.
Meanwhile a kind that has none in use may still have one, up to `max_concurrency` in all: else open streams, which end
only when their readers let them, could lock out the very calls that those readers make.
"""

from __future__ import annotations

from ._admission import Kind

_DIVIDED_FROM = 10
"""Permits. With fewer, keeping some for each kind would leave too few to share."""
_KEPT = 20
"""One in so many is kept for each kind."""


def most_of(kind: Kind, limit: int) -> int:
    """The permits that one kind may hold at that limit."""
    if limit >= _DIVIDED_FROM:
        return limit - 2 * max(1, limit // _KEPT)
    return max(1, limit - 1) if kind is Kind.STREAM else limit


class Share:
    """What one kind, or all kinds together, have of the permits.

    Attributes:
        kinds: whose share it is.
        most: permits that it may hold now.
        in_use: permits that it holds.
    """

    __slots__ = ("in_use", "kinds", "most")

    def __init__(self, kinds: tuple[Kind, ...], most: int) -> None:
        self.kinds: tuple[Kind, ...] = kinds
        self.most: int = most
        self.in_use: int = 0


class Shares:
    """The permits of one event loop.

    Attributes:
        maximum: the highest limit.
        limit: how many permits there are now.
        in_use: how many are taken.
        of: the share of each kind.
    """

    __slots__ = ("in_use", "limit", "maximum", "of")

    def __init__(self, maximum: int, shares: list[Share]) -> None:
        self.maximum: int = maximum
        self.limit: int = maximum
        self.in_use: int = 0
        self.of: dict[Kind, Share] = {kind: share for share in shares for kind in share.kinds}

    @classmethod
    def divided(cls, maximum: int) -> Shares:
        """A share for each kind, by the rule above."""
        return cls(maximum, [Share((kind,), most_of(kind, maximum)) for kind in Kind])

    @classmethod
    def undivided(cls, maximum: int) -> Shares:
        """One share for all, so that they are served in the order they came. Its limit stays as it is."""
        return cls(maximum, [Share(tuple(Kind), maximum)])

    def has_room_for(self, share: Share) -> bool:
        """Whether somebody of this share may have a permit now."""
        if self.in_use >= self.limit and (share.in_use or self.in_use >= self.maximum):
            return False
        return share.in_use < share.most

    def take(self, share: Share) -> None:
        """Somebody of this share takes a permit."""
        self.in_use += 1
        share.in_use += 1

    def give(self, share: Share) -> None:
        """And gives it back."""
        self.in_use -= 1
        share.in_use -= 1

    def set_limit(self, limit: int) -> None:
        """There are so many permits now, 1 at least and `maximum` at most."""
        self.limit = max(1, min(self.maximum, limit))
        for kind, share in self.of.items():
            share.most = most_of(kind, self.limit)
