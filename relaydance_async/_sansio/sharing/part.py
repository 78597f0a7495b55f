"""The part of a shared limit that this process holds as a lease."""

from __future__ import annotations

from collections.abc import Callable

from ..limiter import Learned, Limiter, Verdict
from .messages import Grant, Report
from .numbers import EVERY, LEASE

MANY = 1e9
"""As much as there is."""
_LOOK_AGAIN = 0.25
"""Seconds. The next lease may bring more."""
_CATCH_UP = 0.25
"""Seconds. A process that was late by so much makes up for it."""
_NUDGE = 0.2
"""Of the way to its turn, at each renewal."""
_IDLE = 10.0
"""Seconds without a call after which no lease is asked for."""
_KNOWN = ("rate", "under way")
_GOVERNING = (*_KNOWN, "wait")
_IN_CHARGE = (*_GOVERNING, "scout")


class Part:
    """Of one limit.

    Args:
        name: of the limit, a hash.
        who: has it.
        limiter: of the process.
        used: called when somebody asks to pass.
    """

    __slots__ = (
        "_accepted", "_asked_at", "_at", "_flying", "_grant", "_is_held_back", "_limiter", "_passed", "_refused",
        "_reported_at", "_retry_at", "_tokens", "_until", "_used", "_young", "key", "name", "since", "who",
    )  # fmt: skip

    def __init__(self, name: str, who: str, limiter: Limiter, used: Callable[[Part], None]) -> None:
        self.name: str = name
        self.who: str = who
        self.since: float = 0.0
        self.key: Part | None = None
        """That of the whole key. While it is in charge, what is known of this one is kept, and nothing else sought."""
        self._limiter = limiter
        self._used = used
        self._grant: Grant = _NONE
        self._until = self._at = self._asked_at = self._reported_at = self._retry_at = 0.0
        self._tokens = 0.0
        self._flying: set[object] = set()  # their steps are whole, whatever threads do
        self._young: dict[object, float] = {}
        """Of these it is not known whether they are refused."""
        self._is_held_back = False
        self._accepted = self._refused = self._passed = 0

    @property
    def is_held(self) -> bool:
        """Whether others have a say in what passes."""
        return self._grant.kind in _GOVERNING

    @property
    def is_in_charge(self) -> bool:
        """Whether it is known that there is a limit: then this process may find it as well."""
        return self._grant.kind in _IN_CHARGE

    @property
    def is_known(self) -> bool:
        """Whether it is known what the limit is."""
        return self._grant.kind in _KNOWN

    def governs(self, now: float) -> bool:
        """Whether it counts instead of the own limiter."""
        if now >= self._until and self._grant is not _NONE:
            self._fall_back(now)
        return self._grant.kind in _GOVERNING

    @property
    def rate(self) -> float | None:
        """Calls a second, if it is a part of a rate; 0 while another process finds the limit."""
        grant = self._grant
        return grant.amount if grant.kind == "rate" else 0.0 if grant.kind == "wait" else None

    @property
    def concurrency(self) -> float | None:
        """Calls under way, if it is a part of those."""
        return self._grant.amount if self._grant.kind == "under way" else None

    @property
    def why(self) -> str:
        """What it is, for people."""
        if self._grant.kind == "wait":
            return "another process finds the limit"
        return "a part of what the processes share"

    def _fall_back(self, now: float) -> None:
        """The lease has run out: the own limiter goes on with what the process had."""
        grant, self._grant = self._grant, _NONE
        if grant.kind in _KNOWN:
            self._limiter.forget()
            self._tell(grant, now)

    def _tell(self, grant: Grant, now: float) -> None:
        rate = grant.kind == "rate"
        amount = max(grant.amount, 0.1 if rate else 1.0)
        self._limiter.tell(Learned(grant.kind, rate=amount if rate else 0.0, calls=0.0 if rate else amount), now)

    def delay(self, now: float) -> float:
        """Seconds until the next call may pass, if it governs."""
        self._asked_at = now
        self._used(self)
        if not self.governs(now):
            return 0.0
        grant = self._grant
        if grant.kind == "under way" and len(self._flying) < int(grant.amount):
            return max(0.0, self._retry_at - now)
        if grant.kind == "rate":
            self._refill(grant.amount, now)
            if self._tokens >= 1.0 - 1e-9:
                return 0.0
        self._is_held_back = True
        if grant.kind != "rate" or grant.amount <= 0:
            return _LOOK_AGAIN
        return min((1.0 - self._tokens) / grant.amount, _LOOK_AGAIN)

    def _refill(self, rate: float, now: float) -> None:
        self._tokens = min(self._tokens + max(0.0, now - self._at) * rate, 1.0 + _CATCH_UP * rate)
        self._at = max(now, self._at)

    def passed(self, call: object, now: float) -> None:
        """A call passes."""
        self._flying.add(call)
        self._young[call] = now
        self._tokens -= 1.0
        self._passed += 1

    def ended(self, call: object, now: float, verdict: Verdict) -> None:
        """It has its answer."""
        self._flying.discard(call)
        is_young = self._young.pop(call, None) is not None
        if verdict is Verdict.REFUSED:
            self._refused += 1
            self._retry_at = now + 2 * EVERY  # by then the others know
            self._accepted -= not is_young
        elif verdict is Verdict.ACCEPTED and is_young:
            self._accepted += 1

    def forget_in_flight(self) -> None:
        """After a fork: the lease is the parent's."""
        self._flying.clear()
        self._young.clear()
        self._grant = _NONE

    def is_idle(self, now: float) -> bool:
        """Whether nobody has wanted to pass for long."""
        return not self._flying and now - self._asked_at > _IDLE

    def report(self, now: float) -> Report:
        """What to ask for a lease with."""
        kind, amount, period = self._known(now)
        self._age(now)
        took, flying = max(now - self._reported_at, 0.05), len(self._flying)
        if self._is_held_back:
            want = MANY
        else:
            want = flying + 1.0 if "under way" in (kind, self._grant.kind) else 1.5 * self._passed / took
        if kind == "searching" and self._grant.kind == "scout" and now - self._asked_at < 1.0:
            want = MANY
        accepted, refused = max(0, self._accepted), self._refused
        self._accepted, self._refused, self._passed = min(0, self._accepted), 0, 0
        self._is_held_back, self._reported_at = False, now
        return Report(self.name, self.who, kind, amount, period, want, flying, accepted, refused)

    def _known(self, now: float) -> tuple[str, float, float]:
        if self.key is not None and self.key.is_in_charge and not self.is_known:
            return "open", 0.0, 0.0
        if self._grant.kind == "wait":
            return "searching", 0.0, 0.0  # what it knew was about its own calls only
        learned = self._limiter.learned(now)
        if learned.kind == "window":  # its calls, spread evenly: then no process needs to know when it opens
            return "rate", learned.rate, learned.calls / learned.rate
        if learned.kind == "open":
            is_open = self._limiter.state.name == "open"
            return ("open", self._limiter.facts.latency, 0.0) if is_open else ("searching", 0.0, 0.0)
        return learned.kind, learned.calls or learned.rate, 0.0

    def _age(self, now: float) -> None:
        """Answers may take 30 s, refusals don't: what has no answer after a while was accepted."""
        facts = self._limiter.facts
        for call, at in list(self._young.items()):
            if now - at > facts.numbers.patience * facts.rtt and self._young.pop(call, None) is not None:
                self._accepted += 1

    def granted(self, grant: Grant, asked_at: float) -> None:
        """The lease is renewed."""
        before, self._grant, self._until = self._grant, grant, asked_at + LEASE
        if grant.kind != before.kind:
            self.since = asked_at
        if grant.kind == "rate":
            self._take_turn(grant, before, asked_at)
        elif grant.kind == "scout" and before.kind == "wait" and self._limiter.state.name == "open":
            self._limiter.hold(asked_at)  # others have met a limit
        elif grant.kind in ("anew", "again"):
            self._grant = Grant("scout")
            self._limiter.forget()
            if grant.kind == "again":
                self._tell(Grant(before.kind, grant.amount), asked_at)
            self._limiter.hold(asked_at)
            # So many pass at once: else what a probe finds under way as they end would seem the most.
            self._limiter.facts.peak = len(self._flying) - len(self._young)

    def _take_turn(self, grant: Grant, before: Grant, asked_at: float) -> None:
        if before.kind != "rate":
            self._tokens, self._at = grant.turn, asked_at
            return
        self._refill(before.amount, asked_at)
        if self._tokens < 1.0:
            self._tokens += _NUDGE * ((grant.turn - self._tokens + 0.5) % 1.0 - 0.5)


_NONE = Grant("open")
