"""What a limiter has learned, as another process can use it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Learned:
    """A limit. What is not of its kind is 0.

    Attributes:
        kind: "rate", "window" or "under way"; "open": none is known.
        rate: calls a second, of a window as well.
        calls: of a window, or under way.
        period: seconds of a window.
        opened_ago: seconds since this window opened.
    """

    kind: str
    rate: float = 0.0
    calls: float = 0.0
    period: float = 0.0
    opened_ago: float = 0.0
