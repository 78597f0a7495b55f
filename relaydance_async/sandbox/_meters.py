"""How limits count, each a small machine over a time that it is given: no clock and no lock of its own.

A call may pass when `wait` is None, else it may try again after so many seconds. `count` counts a call, `leave` says
that one is over.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Protocol

# A caller that comes back after exactly the wait must not fail by the last bit of a float.
SLACK = 1e-6
UNKNOWN_WAIT = 1.0


class Meter(Protocol):
    """One count of calls."""

    def wait(self, now: float) -> float | None: ...
    def count(self, now: float) -> None: ...
    def leave(self) -> None: ...


class TokenBucket:
    """`burst` calls at once, and `rate` a second after that."""

    def __init__(self, rate: float, burst: int, now: float) -> None:
        self._rate, self._burst = rate, float(burst)
        self._tokens, self._then = float(burst), now

    def wait(self, now: float) -> float | None:
        self._tokens = min(self._burst, self._tokens + (now - self._then) * self._rate)
        self._then = now
        return None if self._tokens >= 1 - SLACK else (1 - self._tokens) / self._rate

    def count(self, now: float) -> None:
        self._tokens = max(0.0, self._tokens - 1)

    def leave(self) -> None: ...


class FixedWindow:
    """`limit` calls in each window; windows begin at whole multiples of `window`, for all callers at once."""

    def __init__(self, limit: int, window: float) -> None:
        self._limit, self._window = limit, window
        self._number: int = -1
        self._calls = 0

    def wait(self, now: float) -> float | None:
        self._turn(now)
        return None if self._calls < self._limit else (self._number + 1) * self._window - now

    def count(self, now: float) -> None:
        self._turn(now)
        self._calls += 1

    def leave(self) -> None: ...

    def _turn(self, now: float) -> None:
        number = math.floor((now + SLACK) / self._window)
        if number != self._number:
            self._number, self._calls = number, 0


class SlidingLog:
    """`limit` calls in any stretch of `window` seconds: it remembers when each call came."""

    def __init__(self, limit: int, window: float) -> None:
        self._window = window
        self._times: deque[float] = deque(maxlen=limit)

    def wait(self, now: float) -> float | None:
        if len(self._times) < (self._times.maxlen or 0):
            return None
        left = self._times[0] + self._window - now
        return left if left > SLACK else None

    def count(self, now: float) -> None:
        self._times.append(now)

    def leave(self) -> None: ...


class SlidingCounter:
    """The same by estimate: the last window's calls count for as much of it as the sliding one still covers."""

    def __init__(self, limit: int, window: float) -> None:
        self._limit, self._window = limit, window
        self._number: int = -1
        self._before = self._calls = 0

    def wait(self, now: float) -> float | None:
        self._turn(now)
        passed = now / self._window - self._number
        if self._before * (1 - passed) + self._calls <= self._limit - 1 + SLACK:
            return None
        if self._calls < self._limit:
            share = 1 - (self._limit - 1 - self._calls) / self._before
            return (share - passed) * self._window
        # Not in this window any more: in the next one, when enough of this one has slid out.
        return (1 - passed + 1 - (self._limit - 1) / self._calls) * self._window

    def count(self, now: float) -> None:
        self._turn(now)
        self._calls += 1

    def leave(self) -> None: ...

    def _turn(self, now: float) -> None:
        number = math.floor((now + SLACK) / self._window)
        if number != self._number:
            self._before = self._calls if number == self._number + 1 else 0
            self._number, self._calls = number, 0


class UnderWay:
    """`limit` calls under way at once."""

    def __init__(self, limit: int) -> None:
        self._limit, self._calls = limit, 0

    def wait(self, now: float) -> float | None:
        return None if self._calls < self._limit else UNKNOWN_WAIT

    def count(self, now: float) -> None:
        self._calls += 1

    def leave(self) -> None:
        self._calls -= 1
