"""One pace for all calls of a key, learned from its 429s.

The gateway publishes no rate limit, so it is found out:

1. Before any 429 the gate is open, and costs nothing.
2. The first 429 closes it for `Retry-After`: all calls wait, instead of collecting a 429 each.
3. Then calls pass one by one, at a rate that begins with what was accepted in the second before and doubles every
   quarter of a second, until the next 429. What was accepted meanwhile tells the limit (`estimate_limit`); the burst
   that a pause allows is as large as what was accepted before the first 429.
4. From there on the rate stays just below, creeps up, and steps back at each 429. The refused call waits its own
   `Retry-After`; the others only slow down, unless a 429 follows on another's heels.

A rate that has crept up far enough is forgotten, and the gate is open again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio

from .._sansio.pacing import estimate_limit

_WINDOW = 1.0
_RAMP = 16.0
"""Growth in a second while the limit is being looked for."""
_CREEP = 1.005
"""Growth in a second once it is known."""
_BELOW = 0.98
_STEP_BACK = 0.95
_HEELS = 0.25
"""Seconds; a 429 that follows another within that shows that slowing down was not enough."""
_CATCH_UP = 0.05
"""Seconds; a loop that was late by that much may make up for it."""
_FORGET = 20_000.0
"""Calls a second; a pace above that holds nobody back."""


class Gate:
    """Holds attempts back while the key cools down, and paces them afterwards.

    Plain numbers: one gate serves all event loops of a client.
    """

    def __init__(self, monotonic: Callable[[], float], sleep: Callable[[float], Awaitable[None]]) -> None:
        self._monotonic = monotonic
        self._sleep = sleep
        self._opens_at = 0.0
        self._rate: float | None = None  # calls a second; None: unlimited
        self._ramping = False
        self._first_rate = 0.0
        self._grown_at = 0.0
        self._next_at = 0.0
        self._refused_at = 0.0
        self._accepted = 0  # since `_counted_from`
        self._counted_from = 0.0
        self._burst = 0

    @property
    def rate(self) -> float | None:
        """The pace, in calls a second; None while the gate is open to all."""
        return self._rate

    def remaining(self) -> float:
        """Seconds until attempts may begin again; 0 when they may."""
        return max(0.0, self._opens_at - self._monotonic()) if self._opens_at else 0.0

    async def wait(self, turn: anyio.Lock) -> None:
        """Return when the attempt may begin. Cancellation leaves nothing behind.

        Args:
            turn: of the running loop. Only its holder sleeps; so the pace may change at any time for all the others.
        """
        if self._rate is None and not self.remaining():
            return
        async with turn:
            while (left := self.remaining() or self._until_next()) > 0:
                await self._sleep(left)
            self._pass()

    def accepted(self) -> None:
        """An attempt was accepted."""
        if self._rate is None:
            now = self._monotonic()
            if now - self._counted_from > _WINDOW:
                self._counted_from, self._accepted = now, 0
        self._accepted += 1

    def refused(self, retry_after: float) -> bool:
        """An attempt was refused by the rate limit.

        Returns:
            Whether that is news: the other refusals of the same volley are not.
        """
        now = self._monotonic()
        since, self._refused_at = now - self._refused_at, now
        if now < self._opens_at:
            self._opens_at = max(self._opens_at, now + retry_after)
            return False
        if self._rate is None:
            self._close(now, retry_after)
            self._burst = self._accepted
            self._begin_ramp(max(1.0, self._accepted / _WINDOW))
        elif self._ramping:
            self._settle(now)
        elif since < min(retry_after, _HEELS):
            self._close(now, retry_after)
            self._rate = max(0.1, self._rate * _STEP_BACK)
        else:
            self._rate = max(0.1, self._rate * _STEP_BACK)
        return True

    def _close(self, now: float, seconds: float) -> None:
        self._opens_at = now + seconds

    def _begin_ramp(self, rate: float) -> None:
        self._rate = self._first_rate = rate
        self._ramping = True
        self._grown_at = self._next_at = self._counted_from = self._opens_at
        self._accepted = 0

    def _settle(self, now: float) -> None:
        """The ramp has met the limit: this much was accepted, in this time."""
        took = min(max(now - self._counted_from, 1e-3), 60.0)
        limit = estimate_limit(
            accepted=self._accepted, burst=self._burst, took=took, first_rate=self._first_rate, growth=_RAMP
        )
        self._rate, self._ramping = limit * _BELOW, False
        self._grown_at = now

    def _until_next(self) -> float:
        """Seconds until the pace lets the next one pass."""
        if self._rate is None:
            return 0.0
        now = self._monotonic()
        self._rate *= (_RAMP if self._ramping else _CREEP) ** min(max(now - self._grown_at, 0.0), 3600.0)
        self._grown_at = max(now, self._grown_at)
        if self._rate > _FORGET:
            self._rate, self._ramping = None, False
            return 0.0
        self._next_at = max(self._next_at, now - _CATCH_UP)
        return self._next_at - now

    def _pass(self) -> None:
        if self._rate is not None:
            self._next_at += 1 / self._rate
