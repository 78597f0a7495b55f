"""Whether the gateway is failing, and who may ask it then: three states, and what moves between them.

A gateway that is down should not get all attempts of all calls, and a call should not spend its attempts on it.

    Healthy   Every call passes. There is a budget: a failure takes 1 from it, a success gives 0.1 back. So over time at
              most one request in ten is a failed one.
    Down      The budget is empty, or several requests in a row may or may not have been accepted. No call passes until
              the next probe is due.
    Probing   One call passed, as the probe. If it has no answer for long, another one follows.

    from      event                                                   to
    --------  ------------------------------------------------------  -------
    Healthy   a failure that empties the budget                       Down
    Healthy   `doubts` answers in a row that leave the caller in doubt  Down, and the probe is due at once
    Down      the probe is due and a call passes                      Probing
    Probing   the probe fails                                         Down, for longer
    Probing   the probe succeeds                                      Healthy, with half of the budget

What calls that passed before an outage learn later says nothing new: it is not counted. An outage ends only by a probe,
which the next call makes, so a client without calls needs nothing to recover. When outages follow one another before
the budget was full again, the waits go on growing: then the probes succeed while other calls fail.

All times are seconds on one monotonic clock. A state is never changed.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class OutageLimits:
    """All numbers of it.

    Attributes:
        budget: failures (gRPC's retry throttling, proposal A6: the example's `maxTokens`).
        earned: of a failure, by each success (the same, `tokenRatio`).
        doubts: answers in a row that may or may not have been accepted. Fewer could be a coincidence; with more, more
            rows of a batch would be in doubt.
        first_wait: seconds from a failure to the first probe.
        longest_wait: seconds between probes. The wait doubles up to this.
        patience: seconds that a probe may take before another one is made.
    """

    budget: float = 10.0
    earned: float = 0.1
    doubts: int = 3
    first_wait: float = 0.25
    longest_wait: float = 5.0
    patience: float = 5.0

    def wait(self, probes: int, jitter: float) -> float:
        """Seconds before the next probe, after so many: half of it by chance, so that clients don't ask together."""
        return min(self.longest_wait, self.first_wait * 2.0 ** min(probes, 64)) * (0.5 + 0.5 * jitter)


@dataclass(frozen=True, slots=True)
class Failure:
    """What says that the gateway is failing.

    Attributes:
        why: in a few words.
        in_doubt: whether the request may have been accepted, and is paid for then.
    """

    why: str
    in_doubt: bool = False


@dataclass(frozen=True, slots=True)
class Healthy:
    """Every call passes.

    Attributes:
        budget: of failures.
        since: when it began; what passed before doesn't count.
        doubts: failures in a row that left their callers in doubt.
        probes: of outages that followed one another.
        is_unharmed: whether one more success changes nothing.
    """

    budget: float
    since: float = float("-inf")
    doubts: int = 0
    probes: int = 0
    is_unharmed: bool = field(default=False, compare=False)

    def delay(self, now: float) -> float:
        """Seconds until the next call may pass."""
        return 0.0

    def succeeded(self, limits: OutageLimits) -> State:
        """A call did."""
        if self.budget >= limits.budget:
            return self if self.is_unharmed else Healthy(limits.budget, self.since, is_unharmed=True)
        return replace(self, budget=min(limits.budget, self.budget + limits.earned), doubts=0)

    def failed(self, failure: Failure, now: float, passed_at: float, jitter: float, limits: OutageLimits) -> State:
        """A call that passed at `passed_at` did."""
        if passed_at < self.since:
            return self
        doubts = self.doubts + 1 if failure.in_doubt else self.doubts
        budget = self.budget - 1.0
        if budget > 0 and doubts < limits.doubts:
            return replace(self, budget=budget, doubts=doubts, is_unharmed=False)
        wait = limits.wait(self.probes, jitter) if budget <= 0 or self.probes else 0.0
        return Down(now, now + wait, self.probes, failure.why)


@dataclass(frozen=True, slots=True)
class Down:
    """No call passes.

    Attributes:
        since: when the outage began.
        probe_at: when a call may pass as the probe.
        probes: so far.
        why: what the last failure was.
    """

    since: float
    probe_at: float
    probes: int
    why: str

    def delay(self, now: float) -> float:
        """Seconds until the next call may pass."""
        return max(0.0, self.probe_at - now)

    def passed(self, now: float, limits: OutageLimits) -> Probing:
        """A call did, as the probe."""
        return Probing(self.since, now, now + limits.patience, self.probes + 1, self.why)


@dataclass(frozen=True, slots=True)
class Probing:
    """A probe is on its way.

    Attributes:
        since: when the outage began.
        began_at: when the last probe did.
        patient_until: when another one may follow it.
        probes: so far.
        why: what the last failure was.
    """

    since: float
    began_at: float
    patient_until: float
    probes: int
    why: str

    def delay(self, now: float) -> float:
        """Seconds until the next call may pass."""
        return max(0.0, self.patient_until - now)

    def passed(self, now: float, limits: OutageLimits) -> Probing:
        """Another one did, as the probe."""
        return Probing(self.since, now, now + limits.patience, self.probes + 1, self.why)

    def probe_succeeded(self, now: float, limits: OutageLimits) -> Healthy:
        """The gateway is back."""
        return Healthy(limits.budget / 2, now, 0, self.probes)

    def probe_failed(self, why: str, now: float, jitter: float, limits: OutageLimits) -> Down:
        """It isn't."""
        return Down(self.since, now + limits.wait(self.probes, jitter), self.probes, why)

    def probe_given_up(self, now: float) -> Down:
        """The probe was cancelled: the next one is due."""
        return Down(self.since, now, self.probes - 1, self.why)


State: TypeAlias = Healthy | Down | Probing
