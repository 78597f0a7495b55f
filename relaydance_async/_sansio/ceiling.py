"""Limits that the caller has set: never gone above, never searched."""

from __future__ import annotations

from collections import deque
from typing import Protocol

MINUTE = 60.0


class Ceiling(Protocol):
    """One. Times are seconds on one monotonic clock."""

    def delay(self, now: float) -> float:
        """Seconds until the next call may pass; infinite: not before one that is under way has ended."""
        ...

    def passed(self, call: object, now: float) -> None:
        """A call passes."""
        ...

    def ended(self, call: object) -> None:
        """It has ended."""
        ...

    def forget_in_flight(self) -> None:
        """Nothing is under way: after a fork, or when a loop was broken off."""
        ...


class PerMinute:
    """So many calls in any minute, spread by nothing: the first may leave together.

    Args:
        calls: in 60 seconds.
    """

    __slots__ = ("_calls", "_log")

    def __init__(self, calls: int) -> None:
        self._calls = calls
        self._log: deque[float] = deque(maxlen=calls)

    def delay(self, now: float) -> float:
        """See `Ceiling`."""
        log = self._log
        return 0.0 if len(log) < self._calls else max(0.0, log[0] + MINUTE - now)

    def passed(self, call: object, now: float) -> None:
        """See `Ceiling`."""
        self._log.append(now)

    def ended(self, call: object) -> None:
        """See `Ceiling`."""

    def forget_in_flight(self) -> None:
        """See `Ceiling`."""


class InFlight:
    """So many calls at once.

    Args:
        calls: at once.
    """

    __slots__ = ("_calls", "_flying")

    def __init__(self, calls: int) -> None:
        self._calls = calls
        self._flying: set[object] = set()  # its steps are whole, whatever threads do

    def delay(self, now: float) -> float:
        """See `Ceiling`."""
        return 0.0 if len(self._flying) < self._calls else float("inf")

    def passed(self, call: object, now: float) -> None:
        """See `Ceiling`."""
        self._flying.add(call)

    def ended(self, call: object) -> None:
        """See `Ceiling`."""
        self._flying.discard(call)

    def forget_in_flight(self) -> None:
        """See `Ceiling`."""
        self._flying.clear()
