"""Whether a limit is the key's: then one limiter takes over for all calls.

A provider's limit refuses one model, the gateway's all. So each (route, model) has a limiter of its own, and what is
refused there says nothing of others, unless different ones are refused together: a run of refusals (a CUSUM over the
calls of all, as in `limiter.chance`) in which at least two of them have a part. The key-wide limiter gives up when all
that is refused is again one's own affair, while calls of others pass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .limiter import Limiter, Numbers

if TYPE_CHECKING:  # most clients share nothing
    from .sharing import KeyPart

_BELIEVED = 6.0
"""Refusals, net of accepted calls of all kinds."""
_EACH = 2
"""Of them at least, from each of two."""
_ONE = 6
"""Refusals of one, and not more accepted, while as many of others passed and none was refused: it is its own."""
_MEMORY = 60
"""Answers over which that is counted."""


_NONE: dict[object, Any] = {}
"""Shared by all keys, and never written to: few are ever refused."""


class KeyWide:
    """The limiter of the key, when it has one."""

    __slots__ = ("_by", "_counts", "_height", "_numbers", "_own", "_seen", "limiter", "part")

    def __init__(self, numbers: Numbers) -> None:
        self._numbers = numbers
        self._own: Limiter | None = None
        self.limiter: Limiter | None = None
        """In charge; None while limits are each one's own."""
        self.part: KeyPart | None = None
        """Of what processes share. While it is in charge, it tells whether there is a limit."""
        self._height: float = 0.0
        self._by: dict[object, int] = _NONE
        self._counts: dict[object, list[int]] = _NONE
        """Accepted and refused calls of each, while it is in charge."""
        self._seen = 0

    @property
    def own(self) -> Limiter:
        """Whether it is in charge or not. Made when it is first needed: of a thousand keys, few have a limit."""
        if self._own is None:
            self._own = Limiter(self._numbers)
        return self._own

    @property
    def is_calm(self) -> bool:
        """Whether accepted calls need not be told."""
        return self._height == 0 and self.limiter is None

    @property
    def is_shared(self) -> bool:
        """Whether the limit is one that processes share."""
        return self.part is not None and self.part.is_in_charge

    def accepted(self, who: object) -> None:
        """A call of `who` was."""
        if self._height > 0:
            self._height -= 1.0
            if self._height == 0:
                self._by = _NONE
        if self.limiter is not None and not self.is_shared:
            self._count(who, 0)

    def refused(self, who: object, now: float) -> bool:
        """A call of `who` was: whether the key-wide limiter takes over now."""
        if self.is_shared:
            return False
        if self.limiter is not None:
            if any(counts[1] for other, counts in self._counts.items() if other is not who):
                self._counts = _NONE  # others are refused, too
            self._count(who, 1)
            if self._is_ones_own(who):
                self.forget()
            return False
        self._height += 1.0
        self._by = {**self._by, who: self._by.get(who, 0) + 1}
        together = sum(count >= _EACH for count in self._by.values()) >= 2
        if self._height < _BELIEVED or not together:
            return False
        self.begin().hold(now)
        return True

    def begin(self) -> Limiter:
        """The key has a limit. The way to the gateway stays known."""
        facts = self.own.facts
        self.own.forget()
        self.own.facts.trip, self.own.facts.latency = facts.trip, facts.latency
        self.limiter = self.own
        self._start_over()
        return self.own

    def _count(self, who: object, index: int) -> None:
        self._seen += 1
        if self._seen > _MEMORY:
            self._counts, self._seen = _NONE, 1
        counts = self._counts or {}
        counts.setdefault(who, [0, 0])[index] += 1
        self._counts = counts

    def _is_ones_own(self, who: object) -> bool:
        accepted, refused = self._counts[who]
        others = [counts for other, counts in self._counts.items() if other is not who]
        return refused >= _ONE and accepted <= refused and sum(counts[0] for counts in others) >= _ONE

    def _start_over(self) -> None:
        self._height, self._seen = 0.0, 0
        self._by = self._counts = _NONE

    def forget(self) -> None:
        """Start anew."""
        self.limiter = None
        if self._own is not None:
            self._own.forget_in_flight()
        self._start_over()
