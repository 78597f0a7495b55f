"""One pace for all calls of a key, learned from its 429s.

The gateway publishes no rate limit, so it is found out:

1. The first calls of a client pass at a pace that doubles with every few of them (TCP's slow start), so that a first
   429 comes back before all have left. If none does, the gate is then open, and all but free.
2. The first 429 closes it for `Retry-After`: all calls wait, instead of collecting a 429 each.
3. Then calls pass one by one, at a rate that begins with what was accepted in the second before and doubles six times a
   second, until two 429s come close together (a lone one is somebody else's). What was accepted meanwhile,
   by the time it took, is a first guess at the limit.
4. From there on each second is a trial: refusals lower the rate to what was accepted, by half at most; a second without
   one raises it a little, and more after several. The refused call waits its own `Retry-After`; the others only slow
   down, unless most are refused: then it is 2. again.

A rate that has grown high enough is forgotten, and the gate is open again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from ._queue import Queue

_START = 200.0
"""Calls a second that a client begins with."""
_AT_ONCE = 10
"""Calls that may begin together all the same, then."""
_DOUBLING = 25
"""Calls in which that pace doubles; so it holds the 100th call back by 0.12 s, and none for longer than 0.13 s."""
_WINDOW = 1.0
"""Seconds of a trial."""
_RAMP = 64.0
"""Growth in a second while the limit is being looked for."""
_NEAR = 0.25
"""Seconds between two 429s that confirm each other."""
_GUESS = 1.15
_BELOW = 0.98
_BACK = 0.5
"""The most that one trial lowers the rate by: of the few calls of a quiet second, one refusal says little."""
_LEAST = 0.1
"""Calls a second; the slowest pace."""
_GROWTH = 0.02
_PATIENCE = 4
"""Good trials after which growth begins to double: until then a bucket that has filled may be hiding the limit."""
_ENOUGH = 5
"""Refusals that end a trial at once."""
_CATCH_UP = 0.05
"""Seconds; a loop that was late by that much may make up for it."""
_FORGET = 20_000.0
"""Calls a second; a pace above that holds nobody back."""


class Line:
    """Those of one event loop who wait at the gate. The first of them sleeps, and lets the others pass with it."""

    def __init__(self) -> None:
        self.led: bool = False
        """Whether there is a first one."""
        self.others: Queue[float | None] = Queue()
        """Let go with the time at which they passed, or with None, to be the first now."""

    def lead_on(self) -> None:
        """The first one leaves."""
        if self.others:
            self.others.let_go(None)
        else:
            self.led = False

    def give_back(self, passed_at: float | None) -> None:
        """One was cancelled just when it was let go."""
        if passed_at is None:
            self.lead_on()


class Gate:
    """Holds attempts back while the key cools down, and paces them afterwards.

    Plain numbers: one gate serves all event loops of a client.
    """

    def __init__(self, monotonic: Callable[[], float], sleep: Callable[[float], Awaitable[None]]) -> None:
        self._monotonic = monotonic
        self._sleep = sleep
        self._opens_at = 0.0
        self._closed = False
        self._rate: float | None = _START  # calls a second; None: unlimited
        self._starting = True
        self._ramping = False
        self._grown_at = 0.0
        self._next_at = 0.0
        self._refused_at = -_WINDOW
        self._good_trials = 0
        self._passed = self._refused = 0  # since `_counted_from`
        self._counted_from = 0.0

    @property
    def rate(self) -> float | None:
        """The pace, in calls a second; None while the gate is open to all."""
        return self._rate

    def remaining(self) -> float:
        """Seconds until attempts may begin again; 0 when they may."""
        return max(0.0, self._opens_at - self._monotonic()) if self._closed else 0.0

    async def wait(self, line: Line) -> float:
        """Return when the attempt may begin. Cancellation leaves nothing behind.

        Args:
            line: of the running loop. Only its first one sleeps; so the pace may change at any time for all the others.

        Returns:
            The time at which it passed, to be given to `refused`.
        """
        if not line.led:
            if self._until_next() <= 0:
                return self._pass()
            line.led = True
        elif (passed_at := await line.others.wait(line.give_back)) is not None:
            return passed_at
        try:
            return await self._lead(line)
        finally:
            line.lead_on()

    async def _lead(self, line: Line) -> float:
        while (left := self._until_next()) > 0:
            await self._sleep(left)
        passed_at = self._pass()
        # A turn of the event loop for each would hold them back, more than the pace does, when the loop is busy.
        while line.others and self._until_next() <= 0:
            line.others.let_go(self._pass())
        return passed_at

    def refused(self, retry_after: float, passed_at: float) -> None:
        """An attempt was refused by the rate limit.

        Args:
            retry_after: seconds that it asks for.
            passed_at: when the attempt passed.
        """
        now = self._monotonic()
        if self._rate is not None and not (self._closed or self._starting) and passed_at < self._counted_from:
            return  # it says nothing of the pace as it is now
        near = now - self._refused_at < _NEAR
        self._refused_at = now
        self._refused += 1
        if self._closed:
            self._opens_at = max(self._opens_at, now + retry_after)
        elif self._rate is None or self._starting:
            self._starting = False
            self._close(now + retry_after)
        elif self._ramping:
            if near:
                self._settle(now)
        elif self._refused >= _ENOUGH:
            self._rate = self._end_trial(self._rate, now, retry_after)

    def _pass(self) -> float:
        now = self._monotonic()
        if self._rate is None:
            if now - self._counted_from > _WINDOW:
                self._begin_count(now)
        else:
            self._next_at += 1 / self._rate
            if self._starting:
                self._rate *= 2 ** (1 / _DOUBLING)
        self._passed += 1
        return now

    def _begin_count(self, now: float) -> None:
        self._counted_from, self._passed, self._refused = now, 0, 0

    def _close(self, until: float) -> None:
        self._opens_at, self._closed = until, True

    def _open(self, now: float) -> None:
        """The pause is over, and all refusals of the volley are in."""
        self._closed = False
        self._rate = max(1.0, self._passed - self._refused) / _WINDOW
        self._ramping = True
        self._grown_at = self._next_at = now
        self._begin_count(now)

    def _settle(self, now: float) -> None:
        """The ramp has met the limit: this much was accepted, in this time."""
        took = max(now - self._counted_from, 1e-3)
        # Rather too high, which the first trial shows, than too low, which takes many to make up for.
        self._rate = _GUESS * max(1.0, self._passed - self._refused) / took
        self._ramping, self._good_trials = False, 0
        self._begin_count(now)

    def _end_trial(self, rate: float, now: float, retry_after: float) -> float:
        """The rate after a trial of this one; or the gate closes."""
        accepted = max(0, self._passed - self._refused)
        if not self._refused:
            self._good_trials += 1
            rate *= 1 + min(1.0, _GROWTH * 2.0 ** max(0, self._good_trials - _PATIENCE))
        elif self._refused > accepted and self._refused >= _ENOUGH:
            self._close(now + retry_after)
            return rate
        else:
            self._good_trials = 0
            rate = max(_LEAST, rate * _BELOW * max(_BACK, accepted / max(1, self._passed)))
        self._begin_count(now)
        return rate

    def _until_next(self) -> float:
        """Seconds until the next one may pass."""
        if self._rate is None and not self._closed:
            return 0.0
        now = self._monotonic()
        if self._closed:
            if self._opens_at > now:
                return self._opens_at - now
            self._open(now)
        rate = self._rate
        if rate is None:
            return 0.0
        if self._starting:
            self._next_at = max(self._next_at, now - _AT_ONCE / rate)
        elif self._ramping:
            rate *= _RAMP ** min(max(now - self._grown_at, 0.0), _WINDOW)
            self._grown_at = now
        elif now - self._counted_from >= _WINDOW:
            rate = self._end_trial(rate, now, 0.0)
        if rate > _FORGET:
            self._rate, self._ramping, self._starting = None, False, False
            return 0.0
        self._rate = rate
        if not self._starting:
            self._next_at = max(self._next_at, now - _CATCH_UP)
        return self._next_at - now
