"""The pace of a key, learned from its 429s: six states, and what moves between them.

The gateway publishes no rate limit, so it is found out.

    Starting   A client's first calls. The pace doubles with every few of them (TCP's slow start), so that a first 429
               comes back before all have left.
    Open       No limit is known. Calls are only counted.
    Closed     A 429 came. No call passes until the time that it asked for.
    Trying     The 429 asked for a longer pause than `longest_pause`, which was cut short: it may be wrong, or meant for
               one model only. One call at a time tries.
    Ramping    After the pause. The pace begins with what was accepted before it, and doubles six times a second.
    Steady     The limit is about known. Each second is a trial: the pace falls when calls were refused, by half at
               most, and rises when none was.

    from        event                                                     to
    ----------  --------------------------------------------------------  --------
    Starting    the pace has grown above `open_above`                     Open
    Starting    a refusal                                                 Closed
    Open        a refusal                                                 Closed
    Closed      a refusal                                                 Closed, for longer if it asks for more
    Closed      the pause is over                                         Ramping
    Closed      the same, and it was cut short                            Trying
    Trying      a refusal                                                 Closed
    Trying      a call that tried was accepted                            Ramping
    Closed      the same, and more than `open_above` passed before it     Open
    Ramping     two refusals close together (one alone proves nothing)    Steady
    Ramping     the pace has grown above `open_above`                     Open
    Steady      a trial ends                                              Steady, at another pace
    Steady      a trial in which most calls were refused                  Closed
    Steady      the pace has grown above `open_above`                     Open

A state is told of three events, and answers each with the state that follows: `tick` (time has passed), `admitted`
(a call passed) and `refused` (a call got a 429). `Trying` is also told of `accepted`. `delay` and `admitted` are asked
of a state that was just ticked. A state is never used again once another has followed it. All times are seconds on one
monotonic clock.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class PaceLimits:
    """All numbers of the pace.

    The gateway documents none of them. Where no other source is named, a number was chosen by simulating fan-outs
    against token buckets of 10 to 1,000 calls a second, 5 to 100 ms away (tests/limits/test_admission_fanout.py).

    Attributes:
        start: calls a second that a client begins with.
        start_burst: calls that may begin together at the start.
        start_doubling: calls in which the first pace doubles (slow start, RFC 5681). So the 100th call waits 0.12 s,
            and none waits longer than 0.13 s.
        open_above: calls a second. A faster pace holds nobody back: one core sends a few thousand.
        trial: seconds of a trial, and of the count that says what was accepted before a pause.
        ramp: factor by which the pace grows in a second while the limit is looked for.
        near: seconds. Two refusals within this time confirm each other; one alone may be somebody else's doing.
        ramp_floor: calls a second, the least that a ramp begins with.
        shortest_ramp: seconds. A ramp counts as at least this long, or its pace would be divided by nothing.
        guess: factor on what was accepted while ramping. Rather too high, which the first trial shows, than too low,
            which takes many trials to make up for.
        below: factor on what was accepted in a trial with refusals: a little less than that, so that refusals end.
        steepest: the smallest factor of one trial. Of the few calls of a quiet second, one refusal says little.
        floor: calls a second, the slowest pace.
        growth: share by which a trial without refusals raises the pace.
        patience: good trials after which that share begins to double. Before, a bucket that has filled may hide the
            limit.
        enough: refusals that end a trial at once.
        longest_pause: seconds that a 429 may stop all calls of a key. Its own call waits for as long as it asks.
        try_gap: seconds. While a call tries and has no answer, the next one tries after so long.
        catch_up: seconds. An event loop that was late by this much may make up for it.
    """

    start: float = 200.0
    start_burst: int = 10
    start_doubling: int = 25
    open_above: float = 20_000.0
    trial: float = 1.0
    ramp: float = 64.0
    near: float = 0.25
    ramp_floor: float = 1.0
    shortest_ramp: float = 1e-3
    guess: float = 1.15
    below: float = 0.98
    steepest: float = 0.5
    floor: float = 0.1
    growth: float = 0.02
    patience: int = 4
    enough: int = 5
    longest_pause: float = 60.0
    try_gap: float = 5.0
    catch_up: float = 0.05


@dataclass(frozen=True, slots=True)
class Starting:
    """The first calls of a client.

    Attributes:
        rate: calls a second.
        next_at: when the next call may pass.
        calls: that passed so far.
    """

    rate: float
    next_at: float = 0.0
    calls: int = 0

    def tick(self, now: float, limits: PaceLimits) -> State:
        """Time has passed."""
        if self.rate > limits.open_above:
            return Open(0.0, self.calls, 0)
        earliest = now - limits.start_burst / self.rate
        return self if self.next_at >= earliest else Starting(self.rate, earliest, self.calls)

    def delay(self, now: float) -> float:
        """Seconds until the next call may pass."""
        return max(0.0, self.next_at - now)

    def admitted(self, now: float, limits: PaceLimits) -> State:
        """A call passed."""
        faster = self.rate * 2 ** (1 / limits.start_doubling)
        return Starting(faster, self.next_at + 1 / self.rate, self.calls + 1)

    def refused(self, now: float, retry_after: float, admitted_at: float, limits: PaceLimits) -> State:
        """A call that passed at `admitted_at` was refused, for that many seconds."""
        return _closed(now, retry_after, self.calls, 1, limits)


@dataclass(slots=True)
class Open:
    """No limit is known.

    The one state that changes in place: an object for each call of an unlimited key would cost more than the rest.

    Attributes:
        since: when the count began.
        calls, refusals: since then.
    """

    since: float
    calls: int
    refusals: int

    @property
    def rate(self) -> None:
        """There is none."""
        return

    def tick(self, now: float, limits: PaceLimits) -> State:
        """Time has passed."""
        return self

    def delay(self, now: float) -> float:
        """Seconds until the next call may pass."""
        return 0.0

    def admitted(self, now: float, limits: PaceLimits) -> State:
        """A call passed."""
        if now - self.since > limits.trial:
            return Open(now, 1, 0)
        self.calls += 1
        return self

    def refused(self, now: float, retry_after: float, admitted_at: float, limits: PaceLimits) -> State:
        """A call that passed at `admitted_at` was refused, for that many seconds."""
        return _closed(now, retry_after, self.calls, self.refusals + 1, limits)


@dataclass(frozen=True, slots=True)
class Closed:
    """No call passes.

    Attributes:
        until: the end of the pause.
        refused_at: when the last refusal came.
        calls, refusals: of the count before the pause. The last refusals of it are still coming in.
        is_cut: whether a longer pause was asked for.
    """

    until: float
    refused_at: float
    calls: int
    refusals: int
    is_cut: bool = False

    @property
    def rate(self) -> float:
        """Calls a second."""
        return 0.0

    def tick(self, now: float, limits: PaceLimits) -> State:
        """Time has passed."""
        if self.until > now:
            return self
        if self.is_cut:
            return Trying(self.refused_at)
        rate = max(limits.ramp_floor, (self.calls - self.refusals) / limits.trial)
        return Ramping(rate, now, now, now, 0, 0, self.refused_at).tick(now, limits)

    def delay(self, now: float) -> float:
        """Seconds until the next call may pass."""
        return max(0.0, self.until - now)

    def admitted(self, now: float, limits: PaceLimits) -> State:
        """A call passed all the same, let in by another thread."""
        return replace(self, calls=self.calls + 1)

    def refused(self, now: float, retry_after: float, admitted_at: float, limits: PaceLimits) -> State:
        """A call that passed at `admitted_at` was refused, for that many seconds."""
        longer = _closed(now, retry_after, self.calls, self.refusals + 1, limits)
        return longer if longer.until > self.until else replace(longer, until=self.until, is_cut=self.is_cut)


def _closed(now: float, retry_after: float, calls: int, refusals: int, limits: PaceLimits) -> Closed:
    """A pause of as long as was asked for, within bounds."""
    pause = min(retry_after, limits.longest_pause)
    return Closed(now + pause, now, calls, refusals, is_cut=pause < retry_after)


@dataclass(frozen=True, slots=True)
class Trying:
    """One call at a time passes, until one is accepted.

    Attributes:
        refused_at: when the last refusal came.
        next_at: when the next call may pass.
        calls: that passed so far.
    """

    refused_at: float
    next_at: float = 0.0
    calls: int = 0

    @property
    def rate(self) -> float:
        """Calls a second."""
        return 0.0

    def tick(self, now: float, limits: PaceLimits) -> State:
        """Time has passed."""
        return self

    def delay(self, now: float) -> float:
        """Seconds until the next call may pass."""
        return max(0.0, self.next_at - now)

    def admitted(self, now: float, limits: PaceLimits) -> State:
        """A call passed."""
        return Trying(self.refused_at, now + limits.try_gap, self.calls + 1)

    def accepted(self, now: float, limits: PaceLimits) -> State:
        """A call that tried was accepted."""
        return Ramping(limits.ramp_floor, now, now, now, 0, 0, self.refused_at)

    def refused(self, now: float, retry_after: float, admitted_at: float, limits: PaceLimits) -> State:
        """A call that passed at `admitted_at` was refused, for that many seconds."""
        return _closed(now, retry_after, 0, 1, limits)


@dataclass(frozen=True, slots=True)
class Ramping:
    """The limit is looked for.

    Attributes:
        rate: calls a second, at `grown_at`.
        grown_at: when the rate grew last.
        next_at: when the next call may pass.
        since: when the ramp began.
        calls, refusals: since then.
        refused_at: when the last refusal came.
    """

    rate: float
    grown_at: float
    next_at: float
    since: float
    calls: int
    refusals: int
    refused_at: float

    def tick(self, now: float, limits: PaceLimits) -> State:
        """Time has passed."""
        # A ramp that nobody used for a while has learned nothing in that time.
        grown = self.rate * limits.ramp ** min(max(now - self.grown_at, 0.0), limits.trial)
        if grown > limits.open_above:
            return Open(self.since, self.calls, self.refusals)
        next_at = max(self.next_at, now - limits.catch_up)
        return Ramping(grown, now, next_at, self.since, self.calls, self.refusals, self.refused_at)

    def delay(self, now: float) -> float:
        """Seconds until the next call may pass."""
        return max(0.0, self.next_at - now)

    def admitted(self, now: float, limits: PaceLimits) -> State:
        """A call passed."""
        next_at = self.next_at + 1 / self.rate
        return Ramping(self.rate, self.grown_at, next_at, self.since, self.calls + 1, self.refusals, self.refused_at)

    def refused(self, now: float, retry_after: float, admitted_at: float, limits: PaceLimits) -> State:
        """A call that passed at `admitted_at` was refused, for that many seconds."""
        if admitted_at < self.since:
            return self  # it says nothing of the pace as it is now
        if now - self.refused_at < limits.near:
            return self._settled(now, limits)
        return Ramping(self.rate, self.grown_at, self.next_at, self.since, self.calls, self.refusals + 1, now)

    def _settled(self, now: float, limits: PaceLimits) -> Steady:
        """The ramp has met the limit: so much was accepted, in this time."""
        accepted = max(limits.ramp_floor, self.calls - (self.refusals + 1))
        rate = limits.guess * accepted / max(now - self.since, limits.shortest_ramp)
        return Steady(rate, self.next_at, now, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Steady:
    """The limit is about known.

    Attributes:
        rate: calls a second.
        next_at: when the next call may pass.
        since: when the trial began.
        calls, refusals: since then.
        good_trials: in a row, without a refusal.
    """

    rate: float
    next_at: float
    since: float
    calls: int
    refusals: int
    good_trials: int

    def tick(self, now: float, limits: PaceLimits) -> State:
        """Time has passed."""
        if now - self.since >= limits.trial:
            return self._judged(now, limits)._caught_up(now, limits)
        return self._caught_up(now, limits)

    def delay(self, now: float) -> float:
        """Seconds until the next call may pass."""
        return max(0.0, self.next_at - now)

    def admitted(self, now: float, limits: PaceLimits) -> State:
        """A call passed."""
        next_at = self.next_at + 1 / self.rate
        return Steady(self.rate, next_at, self.since, self.calls + 1, self.refusals, self.good_trials)

    def refused(self, now: float, retry_after: float, admitted_at: float, limits: PaceLimits) -> State:
        """A call that passed at `admitted_at` was refused, for that many seconds."""
        if admitted_at < self.since:
            return self  # it says nothing of the pace as it is now
        refusals = self.refusals + 1
        if refusals >= limits.enough and refusals > self.calls - refusals:
            return _closed(now, retry_after, self.calls, refusals, limits)
        counted = Steady(self.rate, self.next_at, self.since, self.calls, refusals, self.good_trials)
        return counted._judged(now, limits) if refusals >= limits.enough else counted

    def _judged(self, now: float, limits: PaceLimits) -> Steady:
        """The next trial, at the pace that follows from this one."""
        if not self.refusals:
            good = self.good_trials + 1
            growth = min(1.0, limits.growth * 2.0 ** max(0, good - limits.patience))
            return Steady(self.rate * (1 + growth), self.next_at, now, 0, 0, good)
        accepted = max(0, self.calls - self.refusals) / max(1, self.calls)
        rate = max(limits.floor, self.rate * limits.below * max(limits.steepest, accepted))
        return Steady(rate, self.next_at, now, 0, 0, 0)

    def _caught_up(self, now: float, limits: PaceLimits) -> State:
        if self.rate > limits.open_above:
            return Open(self.since, self.calls, self.refusals)
        earliest = now - limits.catch_up
        if self.next_at >= earliest:
            return self
        return Steady(self.rate, earliest, self.since, self.calls, self.refusals, self.good_trials)


State: TypeAlias = Starting | Open | Closed | Trying | Ramping | Steady
