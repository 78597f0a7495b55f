"""Hold: a limit is reached. One probe at a time asks whether it is open again.

How the refused and the accepted probe differ tells what is limited. A rate opens with time, what is under way with
completions.
"""

from __future__ import annotations

from .facts import Facts, Sent, Verdict
from .openings import Openings
from .state import Cycle, State


class Hold(State):
    """One call at a time passes.

    Args:
        began_at: when the first refused call was admitted.
        cycle: what passed before, if that was counted from its begin.
        back: the state that goes on afterwards, if the limit was known.
        was_well: whether nothing had been refused for long: then it may be an outage.
    """

    __slots__ = (
        "_back",
        "_began",
        "_cycle",
        "_early",
        "_is_early",
        "_next_at",
        "_probe",
        "_refused",
        "_step",
        "_tells",
    )
    name = "held"

    def __init__(
        self, facts: Facts, now: float, began_at: float, cycle: Cycle | None, back: State | None, was_well: bool
    ) -> None:
        super().__init__(facts, now, "calls are refused: one at a time asks whether that is over")
        self._began = began_at
        self._cycle = cycle
        self._back = back
        if back is not None:
            back.opened = None
        self._probe: Sent | None = None
        self._refused: Sent | None = None
        self._early = 0
        self._is_early = False
        self._tells: bool | None = None
        self._step = facts.numbers.slow_growth if was_well else facts.numbers.probe_growth
        self._next_at = now + self._wait(now, facts.numbers.first_probe * facts.rtt)
        is_idle = facts.in_flight < 0.5 * facts.peak  # else it may be what is under way, that opens any time
        if cycle is not None and cycle.closed[1] > 0 and not self._asked() and is_idle:
            # As long as it was closed before, it mostly is now; a fixed window may open earlier.
            self._next_at = max(self._next_at, cycle.opened_at + cycle.closed[0])

    @property
    def rate(self) -> float | None:
        return 0.0

    def _asked(self) -> float:
        facts = self.facts
        return 0.0 if facts.retry_after is None or facts.trusts is False else facts.retry_after

    def _wait(self, now: float, least: float) -> float:
        """Until the next probe."""
        numbers, asked = self.facts.numbers, self._asked()
        self._is_early = False
        if asked > least:
            early = numbers.early_share * asked
            tests = 2 if self._cycle is not None else 1 if asked > numbers.long_asked else 0
            if self.facts.trusts is None and self._early < tests and early > least:
                self._early += 1
                self._is_early = True
                return early
            return max(least, min(self.facts.refused_at + asked - now, numbers.longest_retry_after))
        return least

    def delay(self, now: float) -> float:
        probe = self._probe
        if probe is not None and probe.verdict is Verdict.NOTHING:
            self._probe = None  # it was cancelled: the next one may go
        elif probe is not None:
            return max(1e-3, probe.at + self.facts.numbers.patience * self.facts.rtt - now)
        return max(0.0, self._next_at - now)

    def passed(self, sent: Sent) -> None:
        self._probe = sent

    def ended(self, sent: Sent, now: float, is_refused: bool) -> State:
        if sent is not self._probe:
            if is_refused and self._asked() and self._probe is None and not self._is_early:
                self._next_at = max(self._next_at, now + self._wait(now, 0.0))
            return self
        return self._shut(sent, now) if is_refused else self._opens(sent, now)

    def judged(self, sent: Sent, now: float, is_refused: bool) -> State:
        if sent is self._probe and not is_refused:
            return self._opens(sent, now)
        if self._cycle is not None and not is_refused and sent.at >= self._cycle.opened_at:
            self._cycle.accepted += 1
        return self

    def mistaken(self, sent: Sent, now: float) -> State:
        if self._is_early:
            self.facts.trusts = None
        return self._shut(sent, now)

    def _shut(self, probe: Sent, now: float) -> State:
        self._probe = None
        numbers, facts = self.facts.numbers, self.facts
        before, self._refused = self._refused, probe
        if probe.level - 1 < 0.5 * max(facts.peak, facts.most_let_in):
            self._tells = False  # so little is under way that this can't be what is limited
        elif self._tells is None and (before is None or probe.completed == before.completed):
            self._tells = True  # refused while nothing had ended
        if self._is_early and self._early == 2:
            facts.trusts = True
        wait = min(numbers.longest_probe, max(2 * facts.rtt, self._growth(now)))
        self._next_at = now + (self._wait(now, 2 * facts.rtt) if self._asked() else wait)
        return self

    def _growth(self, now: float) -> float:
        numbers, cycle, held = self.facts.numbers, self._cycle, now - self._began
        if cycle is not None and cycle.closed[0] > numbers.bucket_trips * self.facts.rtt:
            return numbers.window_growth * (now - cycle.opened_at)
        growth = self._step
        if held >= numbers.slow_from:  # an outage, or a long window if it let calls pass before
            growth = min(growth, numbers.long_growth if self.facts.expected else numbers.slow_growth)
        if cycle is not None and held < cycle.closed[1]:
            growth = min(growth, 0.15)
        return growth * held

    def _opens(self, probe: Sent, now: float) -> State:
        following = self._open(probe, now)
        following.opened = (probe, self)
        return following

    def _open(self, probe: Sent, now: float) -> State:
        facts, numbers, cycle = self.facts, self.facts.numbers, self._cycle
        facts.most_let_in /= 2
        if self._is_early:
            # It was too long, so this pause says nothing of the limit.
            facts.trusts = False
            return self.moves.rounds(facts, now, probe, (0.0, 0.0))
        refused = self._refused
        if refused is not None and self._tells and probe.completed > refused.completed and facts.counts_under_way:
            return self.moves.under_way(facts, now, facts.peak)
        if self._back is not None:
            return self._back.resumed(now, probe)
        gap = probe.at - self._began
        if cycle is None:
            surely = 0.0 if refused is None else refused.at - self._began
            return self.moves.rounds(facts, now, probe, (surely, gap))
        period = probe.at - cycle.opened_at
        rate = cycle.accepted / period
        if (
            numbers.processes > 1
            or period < 1.0
            or gap * rate <= numbers.bucket_gap
            or gap <= numbers.bucket_trips * facts.rtt
        ):
            return self.moves.pace(facts, now, rate)
        return self.moves.window(facts, now, cycle.accepted, self._openings(cycle, probe), probe)

    def _openings(self, cycle: Cycle, probe: Sent) -> Openings:
        """Of a window that opened for the second time."""
        surely, at_most = cycle.closed
        last = cycle.shut_at if self._refused is None else self._refused.at
        known = ((0, cycle.opened_at - at_most + surely, cycle.opened_at), (1, last, probe.at))
        low, high = last - cycle.opened_at, probe.at - cycle.opened_at
        return Openings(probe.at, low, high, number=1, known=known)
