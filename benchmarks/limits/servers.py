"""What servers limit, and what their 429s say. Times are seconds of the world's clock."""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

FOREVER = 1e9


class Meter(Protocol):
    """One limit of a server."""

    def take(self, now: float) -> float:
        """Take a call in: 0; or the seconds until it could be."""
        ...

    def give(self, now: float) -> None:
        """A call that was taken in has been answered."""
        ...

    def ideal(self, begin: float, end: float) -> float:
        """Calls that who knows the limit could make in that time, the first one at its begin."""
        ...


class Free:
    """No limit."""

    def take(self, now: float) -> float:
        return 0.0

    def give(self, now: float) -> None:
        pass

    def ideal(self, begin: float, end: float) -> float:
        return FOREVER


class TokenBucket(Free):
    """So many a second, and so many at once after a rest."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate, self._burst, self._level, self._at = rate, burst, burst, 0.0

    def take(self, now: float) -> float:
        self._level = min(self._burst, self._level + (now - self._at) * self._rate)
        self._at = now
        if self._level >= 1.0 - 1e-9:
            self._level -= 1.0
            return 0.0
        return (1.0 - self._level) / self._rate

    def ideal(self, begin: float, end: float) -> float:
        return (end - begin) * self._rate + (self._burst if begin == 0 else 0)


class FixedWindow(Free):
    """So many in each window of the server's clock. With `counts_refused`, a refused call counts as well."""

    def __init__(self, limit: int, window: float, phase: float = 0.0, counts_refused: bool = False) -> None:
        self._limit, self._window, self._phase = limit, window, phase
        self._counts_refused = counts_refused
        self._number, self._count = -1, 0

    def take(self, now: float) -> float:
        number = math.floor((now + self._phase) / self._window)
        if number != self._number:
            self._number, self._count = number, 0
        if self._count < self._limit:
            self._count += 1
            return 0.0
        return (number + 1) * self._window - self._phase - now

    def ideal(self, begin: float, end: float) -> float:
        first = math.floor((begin + self._phase) / self._window)
        return (math.floor((end + self._phase) / self._window) - first + (begin == 0)) * self._limit


class SlidingLog(Free):
    """So many in the window that ends now. With `counts_refused`, a refused call counts as well."""

    def __init__(self, limit: int, window: float, counts_refused: bool = False) -> None:
        self._limit, self._window, self._counts_refused = limit, window, counts_refused
        self._log: deque[float] = deque()

    def take(self, now: float) -> float:
        log = self._log
        while log and log[0] <= now - self._window:
            log.popleft()
        if len(log) < self._limit:
            log.append(now)
            return 0.0
        wait = log[-self._limit] + self._window - now
        if self._counts_refused:
            log.append(now)
        return wait

    def ideal(self, begin: float, end: float) -> float:
        return (math.floor((end - begin) / self._window) + (begin == 0)) * self._limit


class SlidingCounter(Free):
    """Of this window's count and the last one's, weighed by how much of it is still in sight (Cloudflare)."""

    def __init__(self, limit: int, window: float) -> None:
        self._limit, self._window = limit, window
        self._number, self._count, self._before = 0, 0, 0

    def take(self, now: float) -> float:
        number = math.floor(now / self._window)
        if number != self._number:
            self._before = self._count if number == self._number + 1 else 0
            self._number, self._count = number, 0
        passed = now / self._window - number
        if self._count + self._before * (1 - passed) <= self._limit - 1:
            self._count += 1
            return 0.0
        if self._count >= self._limit or not self._before:
            return (1 - passed) * self._window
        return max(0.0, (1 - (self._limit - 1 - self._count) / self._before - passed) * self._window)

    def ideal(self, begin: float, end: float) -> float:
        return (end - begin) * self._limit / self._window + (self._limit * 0.5 if begin == 0 else 0)


class UnderWay(Free):
    """So many at once, each of which takes `latency` seconds and is sent again `apart` seconds later at the soonest.

    `changed`: from when on there are how many.
    """

    def __init__(
        self, limit: int, latency: float, changed: tuple[float, int] | None = None, apart: float = 0.03
    ) -> None:
        self._limit, self._round, self._changed = limit, latency + apart, changed
        self._count = 0

    def take(self, now: float) -> float:
        limit = self._limit if self._changed is None or now < self._changed[0] else self._changed[1]
        if self._count < limit:
            self._count += 1
            return 0.0
        return self._round / limit

    def give(self, now: float) -> None:
        self._count -= 1

    def ideal(self, begin: float, end: float) -> float:
        limit = self._limit if self._changed is None or begin < self._changed[0] else self._changed[1]
        return limit * (end - begin) / self._round


class Refusing(Free):
    """Nothing is let in."""

    def take(self, now: float) -> float:
        return 1.0

    def ideal(self, begin: float, end: float) -> float:
        return 0.0


class Together(Free):
    """Several limits, of which each must let a call in."""

    def __init__(self, *meters: Meter) -> None:
        self._meters = meters

    def take(self, now: float) -> float:
        taken: list[Meter] = []
        for meter in self._meters:
            if wait := meter.take(now):
                for other in taken:
                    other.give(now)  # what a window counted stays counted, as in real servers
                return wait
            taken.append(meter)
        return 0.0

    def give(self, now: float) -> None:
        for meter in self._meters:
            meter.give(now)

    def ideal(self, begin: float, end: float) -> float:
        return min(meter.ideal(begin, end) for meter in self._meters)


class Changing(Free):
    """One limit after another: (from when, which)."""

    def __init__(self, *parts: tuple[float, Meter]) -> None:
        self._parts = parts
        self._ends = [*(at for at, _ in parts[1:]), FOREVER]

    def _now(self, now: float) -> Meter:
        return next(meter for (_, meter), end in zip(self._parts, self._ends, strict=True) if now < end)

    def take(self, now: float) -> float:
        return self._now(now).take(now)

    def ideal(self, begin: float, end: float) -> float:
        spans = zip(self._parts, self._ends, strict=True)
        return sum(
            meter.ideal(max(begin, at), min(end, until))
            for (at, meter), until in spans
            if max(begin, at) < min(end, until)
        )


RetryAfter = Callable[[float, float, random.Random], float | None]
"""What a 429 says, of the seconds until there is room, and of the time."""

RETRY_AFTER: dict[str, RetryAfter] = {
    "exact": lambda wait, now, chance: wait,
    "rounded": lambda wait, now, chance: max(1.0, math.ceil(wait)),
    "date": lambda wait, now, chance: math.floor(now + wait + 1) - math.floor(now),
    "short": lambda wait, now, chance: wait * 0.3,
    "zero": lambda wait, now, chance: 0.0,
    "long": lambda wait, now, chance: wait * 10,
    "15 s": lambda wait, now, chance: 15.0,
    "absent": lambda wait, now, chance: None,
}


@dataclass
class Server:
    """A server: what it limits, how fast it is, what goes wrong.

    Attributes:
        meter: the limits of all calls.
        models: limits of one model each, besides.
        retry_after: see `RETRY_AFTER`.
        latency: seconds that an answer takes, drawn anew for each.
        refusal: seconds that a 429 takes.
        noise: share of the calls that get a 429 whatever they do, over time.
        overload: from and to when it answers `system_cpu_overloaded`.
        permits: attempts that a client has under way at most.
        others: calls a second that somebody else makes with this key.
        network: seconds that a message takes each way, from and to.
        stalls: share of the time that a client's machine is busy with other things.
        slow: share of the time that its own machine is.
    """

    meter: Meter
    models: dict[str, Meter] = field(default_factory=dict[str, Meter])
    retry_after: str = "absent"
    latency: Callable[[random.Random], float] = lambda chance: chance.uniform(0.04, 0.06)
    refusal: float = 0.002
    noise: Callable[[float], float] = lambda now: 0.0
    overload: tuple[float, float] = (FOREVER, FOREVER)
    others: float = 0.0
    permits: int = 1_000_000
    network: tuple[float, float] = (0.01, 0.02)
    stalls: float = 0.0
    slow: float = 0.0
