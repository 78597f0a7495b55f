"""Pace: calls a second (CUBIC, RFC 9438, on a pace, as botocore's adaptive mode has it).

After a refusal the pace falls, comes back to where it was, lingers there, and goes on searching. Refusals that come
below what the limit is known to let pass are noise; only an excess over the noise is a refusal of the limit.
"""

from __future__ import annotations

from .facts import Facts, Sent
from .learned import Learned
from .openings import Openings
from .state import State


class Pace(State):
    """So many calls a second."""

    __slots__ = (
        "_accepted",
        "_alike",
        "_at",
        "_below",
        "_calm",
        "_cut_at",
        "_cuts",
        "_excess",
        "_good",
        "_held_from",
        "_idle",
        "_k",
        "_last",
        "_level",
        "_levels",
        "_limit",
        "_max",
        "_opened_at",
        "_rate",
        "_row",
        "_since",
        "_tokens",
        "_total",
        "_total_before",
        "noise",
    )  # fmt: skip
    name = "rate"

    def __init__(self, facts: Facts, now: float, rate: float, opened_at: float | None = None) -> None:
        super().__init__(facts, now, "calls were refused, and passed again after a time")
        self.noise = facts.noise
        self._opened_at = opened_at
        self._total = 1
        self._total_before = self._alike = 0
        self._held_from = now
        self._cuts = 0
        self._rate = self._max = self._good = max(rate, 1e-3)
        self._limit = 0.0  # what surely passes; 0: not known yet
        self._tokens, self._at = 0.0, now
        self._excess, self._row, self._calm = 0.0, 0, 0
        self._level, self._levels, self._below = 0, 0, 0
        self._cut_at, self._idle, self._k = now, 0.0, 0.0
        self._accepted, self._since = 0, now
        self._last = now
        self._set_recovery(1.0)

    @property
    def rate(self) -> float | None:
        return self._rate

    def _set_recovery(self, share: float) -> None:
        numbers = self.facts.numbers
        # Slower at a low pace, where a refusal is a larger share; but less than in proportion, or the faster of two
        # processes would grow faster still.
        k = numbers.recovery / self._max**numbers.recovery_slope
        self._k = min(numbers.longest_recovery, max(k, numbers.shortest_recovery))
        if numbers.processes > 1:  # the same time for all: then they come to equal parts
            self._k = numbers.shared_recovery
        if share == 1.0:
            self._cut_at = self._at - self._k  # it begins where it lingers

    def learned(self, now: float) -> Learned:
        return Learned("rate", rate=self._max)

    def resumed(self, now: float, probe: Sent) -> State:
        """After a pause: at most of what was good before it. The second one in a row like this is a window's end."""
        numbers, facts = self.facts.numbers, self.facts
        gap = probe.at - self._held_from
        alike = self._alike + 1 if abs(self._total - self._total_before) <= 0.1 * self._total else 0
        if self._opened_at is not None and (not facts.is_shared or alike >= 3):
            period = probe.at - self._opened_at
            long = gap * self._total / period > numbers.bucket_gap and gap > numbers.bucket_trips * facts.rtt
            if long and period >= 1.0:
                openings = Openings(probe.at, period - 0.5 * gap, period)
                return self.moves.window(facts, now, self._total, openings, probe)
        return Pace(facts, now, 0.8 * self._good, probe.at)

    def tick(self, now: float) -> State:
        passed = now - self._at
        if passed <= 0:
            return self
        numbers = self.facts.numbers
        self._at = now
        self._tokens += passed * self._rate
        most = max(numbers.pace_burst, self._rate * numbers.catch_up)
        if self._tokens > most:
            # Only a pace that is used grows.
            idle = min(passed, (self._tokens - most) / self._rate)
            self._idle += idle
            self._since += idle
            self._tokens = most
        if self._excess > 0.3 and now - self._cut_at - self._idle > 1.7 * self._k:
            self._idle += passed  # not while a refusal may still prove to be the limit's
        t = (now - self._cut_at - self._idle) / self._k - 1.0
        share = 1.0 - numbers.cut
        self._rate = max(
            self._max * (1.0 + share * t * t * t if t < 1.0 else (1.0 + share) * 4.0 ** min(t - 1.0, 32.0)), 1e-3
        )
        if self._rate > numbers.open_above:
            return self.moves.begin(self.facts, now, self._rate)
        return self

    def delay(self, now: float) -> float:
        return 0.0 if self._tokens >= 1.0 - 1e-9 else (1.0 - self._tokens) / self._rate

    def passed(self, sent: Sent) -> None:
        self._tokens -= 1.0
        sent.mark = self._rate

    def judged(self, sent: Sent, now: float, is_refused: bool) -> State:
        if sent.state is not self:
            return self
        numbers = self.facts.numbers
        is_low = sent.mark < numbers.rest_memory * self._limit
        self._calm = self._calm + 1 if is_low else 0
        if self._calm > 3 and numbers.processes == 1:  # by then a bucket holds something again
            self.noise = min(numbers.noise_most, self.noise + (is_refused - self.noise) / 80)
        noise = self.noise if self.noise > 0.012 and numbers.processes == 1 else 0.0
        self._excess = max(0.0, self._excess - 1.5 * noise)
        if not is_refused:
            self._row = 0
            self._accepted += 1
            self._total += 1
            if sent.level >= self._level:
                self._levels = self._below = 0
            else:
                self._below += 1
            return self
        self._row += 1
        if self._row == 1:
            self._held_from = sent.at
        if self._levels == 0 or sent.level < self._level:
            self._level = sent.level
        self._levels += 1
        if (
            self._levels >= numbers.in_a_row
            and self._below >= numbers.in_a_row
            and self._level > 3
            and self.facts.counts_under_way
        ):
            return self.moves.under_way(self.facts, now, self._level - 1)
        if self._row >= numbers.in_a_row:
            return self.moves.hold(self.facts, now, self._held_from, None, self, True)
        self._excess += 1.0
        if self._excess >= (1.0 if noise == 0 else 2.0 if noise < 0.05 else 3.0):
            self._cut(sent, now)
        return self

    def _cut(self, sent: Sent, now: float) -> None:
        if sent.at <= self._last + self.facts.rtt:
            return  # it was admitted before the last cut was known, or just after it: the same cause
        numbers = self.facts.numbers
        self._excess = 0.0
        # A bucket was empty at the last cut and is now: what passed between is its rate.
        took = sent.at - self._since
        measured = self._accepted / took if took > 0 else self._rate
        factor = min(numbers.overrate, 1.02 + 0.5 / max(1, self._accepted))
        self._max = max(min(sent.mark, factor * measured), numbers.steepest * sent.mark, 1e-3)
        self._cuts += 1
        if self._accepted >= (5 if self._limit or self._cuts > 3 else 12):
            self._limit = max(measured, 0.93 * self._limit)
        if self.noise > 0 and self._limit:
            # So that the noise is measured again below the limit, and forgotten if it was none.
            self._max = min(self._max, 1.05 * self._limit)
        if self._accepted:  # else it is a further refusal of the same pause: the pace before it was good
            self._good = self._max
        self._accepted, self._since = 0, sent.at
        self._last = self._at
        self._cut_at, self._idle = now, 0.0
        self._set_recovery(0.0)
        self._rate = numbers.cut * self._max
        self._tokens = min(self._tokens, 0.0)
