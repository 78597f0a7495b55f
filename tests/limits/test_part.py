"""The part that a process has of a shared limit, an event at a time."""

from __future__ import annotations

from relaydance_async._limits._gate import Gate
from relaydance_async._sansio.key_wide import KeyWide
from relaydance_async._sansio.limiter import NUMBERS, Limiter, Sent, Verdict
from relaydance_async._sansio.sharing import LEASE, Grant, KeyPart, Part

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


class Key:
    """A process with gates, whose key may have a limit."""

    def __init__(self, *names: str) -> None:
        self.wide = KeyWide(NUMBERS)
        self.part = self.wide.part = KeyPart("key", "me", self.wide, lambda part: None)
        self.gates = [self._gate(name) for name in names]

    def _gate(self, name: str) -> Gate:
        limiter = Limiter(NUMBERS)
        return Gate(("calls", name, False), limiter, self.wide, (), Part(name, "me", limiter, lambda part: None))

    def grants(self, grant: Grant, now: float, *own: Grant) -> None:
        self.part.granted(grant, now)
        for gate, of_it in zip(self.gates, own or [Grant("open")] * len(self.gates), strict=True):
            assert gate.shared is not None
            gate.shared.granted(of_it, now)


def passes(gate: Gate, now: float, calls: int) -> int:
    """How many of so many calls at once may."""
    count = 0
    while count < calls and gate.delay(now) <= 0:
        gate.ended(gate.passed(now), now, ACCEPTED, None)
        count += 1
    return count


def test_each_call_keeps_to_the_keys_limit_and_to_its_own() -> None:
    key = Key("A", "B")
    a, b = key.gates
    key.grants(Grant("rate", 10.0), 0.0, Grant("rate", 2.0), Grant("open"))
    assert [passes(gate, 0.0, 9) for gate in (a, b)] == [0, 0]
    assert a.delay(0.0) > b.delay(0.0) > 0
    assert sum(passes(a, 0.1 * step, 1) for step in range(1, 16)) == 3
    assert sum(passes(b, 0.1 * step, 1) for step in range(16, 20)) == 4


def test_while_another_finds_the_keys_limit_all_wait_and_look_for_none_of_their_own() -> None:
    key = Key("A", "B")
    key.grants(Grant("wait"), 0.0, Grant("wait"), Grant("open"))
    assert [passes(gate, 0.1, 1) for gate in key.gates] == [0, 0]
    assert [gate.shared.report(0.1).kind for gate in key.gates if gate.shared] == ["open", "open"]
    assert key.part.report(0.1).kind == "searching"
    key.grants(Grant("scout"), 0.2)
    assert key.wide.limiter is not None
    assert key.wide.limiter.state.name == "held"


def test_a_refusal_counts_for_the_key_while_it_has_a_limit() -> None:
    key = Key("A", "B")
    key.grants(Grant("rate", 10.0, turn=0.9), 0.0)
    gate = key.gates[0]
    assert gate.delay(0.1) == 0
    gate.ended(gate.passed(0.1), 0.12, REFUSED, None)
    assert gate.shared is not None
    assert (gate.shared.report(0.2).refused, key.part.report(0.2).refused) == (0, 1)
    assert gate.limiter.state.name == "open"


def test_a_report_tells_which_gates_passed_and_were_refused() -> None:
    key = Key("A", "B")
    for gate, verdict in zip(key.gates * 2, [ACCEPTED, ACCEPTED, ACCEPTED, REFUSED], strict=True):
        gate.ended(gate.passed(0.1), 0.12, verdict, None)
    assert key.part.report(0.2).gates == {"A": (2, 0), "B": (2, 1)}
    assert key.part.report(0.4).gates == {}


def test_when_the_store_is_gone_the_process_goes_on_with_its_part_of_the_keys_limit() -> None:
    key = Key("A", "B")
    key.grants(Grant("rate", 10.0), 0.0)
    now = LEASE + 0.1
    assert [gate.delay(now) > 1 for gate in key.gates] == [False, False]
    assert not key.wide.is_shared
    assert key.wide.limiter is not None
    assert key.wide.limiter.rate == 10.0
    key.grants(Grant("open"), now)
    assert key.wide.limiter is not None  # it tells the store what it knows
    assert (key.part.report(now).kind, key.part.report(now).amount) == ("rate", 10.0)


def test_what_is_not_the_keys_holds_nobody_back() -> None:
    key = Key("A", "B")
    key.grants(Grant("wait"), 0.0)
    key.grants(Grant("open"), 0.2)
    assert key.wide.limiter is None
    assert [passes(gate, 0.2, 5) for gate in key.gates] == [5, 5]
