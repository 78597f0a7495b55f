"""Whether an origin signs its answers, as far as this process has seen."""

from __future__ import annotations

from collections.abc import Mapping

from .._sansio.answerer import is_signed

_SEEN: dict[str, Signing] = {}
_MOST_ORIGINS = 1_000


class Signing:
    """What is known of one origin. An origin that has signed one answer signs all of its own."""

    __slots__ = ("_is_told", "signs")

    def __init__(self, signs: bool | None = None) -> None:
        self._is_told = signs is not None
        self.signs: bool = bool(signs)
        """Whether it signs."""

    @classmethod
    def of(cls, origin: str) -> Signing:
        """What this process has seen of it, whichever client asked."""
        while origin not in _SEEN and len(_SEEN) >= _MOST_ORIGINS:
            del _SEEN[next(iter(_SEEN))]
        return _SEEN.setdefault(origin, cls())

    def look_at(self, headers: Mapping[str, str]) -> None:
        """An answer came."""
        if not self.signs and not self._is_told and is_signed(headers):
            self.signs = True
