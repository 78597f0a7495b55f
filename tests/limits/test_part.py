"""The part that a process has of a shared limit, an event at a time."""

from __future__ import annotations

from relaydance_async._sansio.limiter import Limiter, Sent, Verdict
from relaydance_async._sansio.sharing import Grant, Part

ACCEPTED, REFUSED = Verdict.ACCEPTED, Verdict.REFUSED


class Process:
    """A part with the limiter of its process, as a gate has them."""

    def __init__(self) -> None:
        self.limiter = Limiter()
        self.limiter.facts.trip = 0.02
        self.part = Part("limit", "me", self.limiter, lambda part: None)

    def passes(self, now: float) -> Sent:
        sent = self.limiter.passed(now)
        self.part.passed(sent, now)
        return sent

    def ends(self, sent: Sent, now: float, verdict: Verdict) -> None:
        self.part.ended(sent, now, verdict)
        self.limiter.ended(sent, now, verdict)

    def probes(self, now: float, verdict: Verdict) -> float:
        now += self.limiter.delay(now)
        assert self.limiter.delay(now) <= 0
        self.ends(self.passes(now), now + 0.02, verdict)
        return now + 0.02


def test_who_looks_anew_knows_how_many_it_has_under_way() -> None:
    process = Process()
    process.part.granted(Grant("scout"), 0.0)
    flying = [process.passes(0.1) for _ in range(20)]
    process.part.report(1.0)  # by now they are known to be accepted
    process.part.granted(Grant("anew"), 1.0)
    now = process.probes(1.0, REFUSED)
    for sent in flying[:17]:
        process.ends(sent, now, ACCEPTED)
    process.probes(now, ACCEPTED)
    assert process.limiter.concurrency == 20


def test_who_is_to_look_and_has_met_no_limit_waits_first() -> None:
    process = Process()
    process.part.granted(Grant("wait"), 0.0)
    process.part.granted(Grant("scout"), 1.0)
    assert process.limiter.state.name == "held"
