"""UnderWay: so many calls at once (AIMD: additive increase, multiplicative decrease; RFC 5681)."""

from __future__ import annotations

from .facts import Facts, Sent
from .learned import Learned
from .state import FOREVER, State


class UnderWay(State):
    """So many calls under way."""

    __slots__ = ("_cut_at", "_cut_until", "_excess", "_limit", "_quiet", "_retry_at", "_row", "noise")
    name = "under way"

    def __init__(self, facts: Facts, now: float, calls: float) -> None:
        super().__init__(facts, now, "calls were refused until others had ended")
        self._limit = float(max(1, calls))
        self._cut_at = now
        self._retry_at = self._cut_until = now
        self._quiet = 0.0
        self._row = 0
        self._excess = 0.0
        self.noise = facts.noise

    @property
    def concurrency(self) -> float | None:
        return self._limit

    @property
    def _gives_way(self) -> bool:
        """To known other processes, so that all come to equal parts."""
        return self.facts.numbers.processes > 1

    @property
    def _allowed(self) -> int:
        # To the nearest, for a bit less than 4 is not 3.
        return int(self._limit + (0.0 if self._gives_way else 0.5))

    def learned(self, now: float) -> Learned:
        return Learned("under way", calls=self._limit)

    def resumed(self, now: float, probe: Sent) -> State:
        return UnderWay(self.facts, now, max(1.0, 0.8 * self._limit))

    def delay(self, now: float) -> float:
        if self.facts.in_flight >= self._allowed:
            return FOREVER
        return max(0.0, self._retry_at - now)

    def ended(self, sent: Sent, now: float, is_refused: bool) -> State:
        facts = self.facts
        if not is_refused:
            self._retry_at = min(self._retry_at, max(now, self._cut_until))
        elif facts.in_flight:
            # One place is free when a call has ended; without that the next one is refused as well.
            self._retry_at = max(self._retry_at, now + max(facts.latency / facts.in_flight, facts.rtt))
        return self

    def judged(self, sent: Sent, now: float, is_refused: bool) -> State:
        if sent.state is not self:
            return self
        if not is_refused:
            self._row = 0
            self._excess = max(0.0, self._excess - 1.0 / self._limit)
            if sent.level >= self._allowed and self._excess < 0.5:  # else a refusal may still prove to be the limit's
                self._grow(now)
            return self
        self._row += 1
        if self._row >= self.facts.numbers.in_a_row:
            return self.moves.hold(self.facts, now, sent.at, None, self, True)
        if sent.level < 0.9 * self._limit and self._row < 3:
            return self  # so few were under way: this is something else
        self._excess += 1.0
        if sent.at > self._cut_at and self._excess >= 2.0:
            self._cut(sent, now)
        return self

    def _grow(self, now: float) -> None:
        numbers, quiet = self.facts.numbers, now - self._cut_at
        latency = max(self.facts.latency, self.facts.rtt)
        calls = 0.0 if self._gives_way else numbers.quiet_calls * (1.0 + numbers.few / self._limit)
        if quiet < max(2.0, calls / self._limit) * latency:
            return
        # One more in a round of them all; a quarter more once nothing was refused for long.
        self._limit += 1.0 / self._limit
        if quiet > numbers.quiet_latencies * latency:
            self._limit *= 1.0 + (numbers.quiet_growth - 1.0) / self._limit

    def _cut(self, sent: Sent, now: float) -> None:
        limit = self._limit
        self._excess = 0.0
        self._limit = max(1.0, self.facts.numbers.under_way_cut * min(limit, max(sent.level - 1, 0.7 * limit)))
        self._cut_at = now
        self._retry_at = self._cut_until = now + max(self.facts.latency, self.facts.rtt) / 3
