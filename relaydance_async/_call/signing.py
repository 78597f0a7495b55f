"""Whether an origin signs its answers, as far as this process has seen."""

from __future__ import annotations

from collections.abc import Mapping

from .._sansio.answerer import is_signed

_SEEN: dict[str, Signing] = {}
_MOST_ORIGINS = 1_000


def _normal(origin: str) -> str:
    """One name for each origin: a port that goes without saying is left out (RFC 6454 section 4)."""
    for scheme, port in ("https:", ":443"), ("http:", ":80"):
        if origin.startswith(scheme):
            return origin.removesuffix(port)
    return origin


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
        origin = _normal(origin)
        while origin not in _SEEN and len(_SEEN) >= _MOST_ORIGINS:
            del _SEEN[next(iter(_SEEN))]
        return _SEEN.setdefault(origin, cls())

    def look_at(self, headers: Mapping[str, str]) -> None:
        """An answer came."""
        if not self.signs and not self._is_told and is_signed(headers):
            self.signs = True
