"""What the command line chose."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """How thoroughly to measure."""

    quick: bool = False
    """Fewer repeats and smaller sizes: to see that everything runs; the numbers are rough."""
    full: bool = False
    """Also what takes long: 5,000 in flight, and the points that run only on request."""

    @property
    def repeats(self) -> int:
        """How often each figure is measured; its median counts."""
        return 1 if self.quick else 3

    @property
    def seconds(self) -> float:
        """How long one steady load is measured."""
        return 0.4 if self.quick else 1.0
