"""Whether a limit is the key's: then one limiter takes over for all calls.

A provider's limit refuses one model, the gateway's all. So each (route, model) has a limiter of its own, and what is
refused there says nothing of others, unless different ones are refused together: a run of refusals (a CUSUM over the
calls of all, as in `limiter.chance`) in which at least two of them have a part. The key-wide limiter gives up when all
that is refused is again one's own affair, while calls of others pass.
"""

from __future__ import annotations

from collections import deque

from .limiter import Limiter, Numbers

_BELIEVED = 6.0
"""Refusals, net of accepted calls of all kinds."""
_EACH = 2
"""Of them at least, from each of two."""
_MEMORY = 12
"""Refusals that are looked at to give up."""
_PASSED = 24
"""Calls of others that were accepted meanwhile."""


class KeyWide:
    """The limiter of the key, when it has one."""

    __slots__ = ("_by", "_height", "_numbers", "_others", "_recent", "limiter")

    def __init__(self, numbers: Numbers) -> None:
        self._numbers = numbers
        self.limiter: Limiter | None = None
        """In charge; None while limits are each one's own."""
        self._height: float = 0.0
        self._by: dict[object, int] = {}
        self._recent: deque[object] = deque(maxlen=_MEMORY)
        self._others = 0

    @property
    def is_calm(self) -> bool:
        """Whether accepted calls need not be told."""
        return self._height == 0 and self.limiter is None

    def accepted(self, who: object) -> None:
        """A call of `who` was."""
        if self._height > 0:
            self._height -= 1.0
            if self._height == 0:
                self._by.clear()
        if self._recent and who != self._recent[-1]:
            self._others += 1

    def refused(self, who: object, now: float) -> bool:
        """A call of `who` was: whether the key-wide limiter takes over now."""
        self._recent.append(who)
        if self.limiter is not None:
            self._give_up(now)
            return False
        self._height += 1.0
        self._by[who] = self._by.get(who, 0) + 1
        together = sum(count >= _EACH for count in self._by.values()) >= 2
        if self._height < _BELIEVED or not together:
            return False
        self.limiter = Limiter(self._numbers)
        self.limiter.hold(now)
        self._height, self._others = 0.0, 0
        self._by.clear()
        self._recent.clear()
        return True

    def _give_up(self, now: float) -> None:
        recent = self._recent
        if len(set(recent)) > 1:
            if recent[0] != recent[-1]:
                self._others = 0
            return
        if len(recent) == _MEMORY and self._others >= _PASSED:
            self.forget()

    def forget(self) -> None:
        """Start anew."""
        self.limiter = None
        self._height, self._others = 0.0, 0
        self._by.clear()
        self._recent.clear()
