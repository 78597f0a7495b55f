"""One limiter: the states, driven by time and by what happens to attempts. Pure: the time is an argument."""

from __future__ import annotations

from .begin import Begin
from .facts import NOBODY, NOT_ONE, Facts, Sent, Verdict
from .learned import Learned
from .moves import MOVES
from .numbers import NUMBERS, Numbers
from .openings import Openings
from .state import State


class Limiter:
    """What is learned of one limit.

    Args:
        numbers: of it.
    """

    __slots__ = ("facts", "is_free", "state")

    def __init__(self, numbers: Numbers = NUMBERS) -> None:
        self.facts: Facts = Facts(MOVES, numbers)
        self.state: State = Begin(self.facts, 0.0)
        self.is_free: bool = False
        """Whether nothing was ever refused, and a crowd has passed: then there is nothing to do."""

    @property
    def rate(self) -> float | None:
        """Calls a second, as learned; None without a limit, or when what is under way is limited."""
        return self.state.rate

    @property
    def concurrency(self) -> float | None:
        """Calls under way, as learned; None without such a limit."""
        return self.state.concurrency

    def delay(self, now: float) -> float:
        """Seconds until the next call may pass; infinite: not before one that is under way has ended."""
        if self.is_free:
            return 0.0
        self._judge(now)
        self.state = self.state.tick(now)
        return self.state.delay(now)

    def passed(self, now: float) -> Sent:
        """A call passes."""
        facts, state = self.facts, self.state
        flying, is_free = facts.flying, self.is_free
        sent = Sent(now, 0, state, 0) if is_free else Sent(now, len(flying) + 1, state, facts.completed)
        if flying:
            flying.add(sent)
        else:
            facts.flying = {sent}
        if not is_free:
            facts.passed(sent)
            state.passed(sent)
        return sent

    def ended(self, sent: Sent, now: float, verdict: Verdict, retry_after: float | None = None) -> None:
        """It has its answer."""
        facts = self.facts
        facts.flying.discard(sent)
        if not facts.flying:
            facts.flying = NOBODY
        if self.is_free:
            if verdict is not _REFUSED:
                return
            self.is_free = False
        facts.ended(sent, now, verdict, retry_after)
        if facts.let_in and sent in facts.let_in:
            facts.let_in.discard(sent)
            if not facts.let_in:
                facts.let_in = NOBODY
            if verdict is _REFUSED:
                self.state = self.state.mistaken(sent, now)
        if verdict is not _NOTHING:
            self.state = self.state.ended(sent, now, verdict is _REFUSED)
            if not sent.is_ordered:  # it left while there was nothing to be learned
                self.state = self.state.judged(sent, now, verdict is _REFUSED)
        self._judge(now)
        if facts.trip is None and self.state.is_open:
            self.is_free = True
            facts.let_in = NOBODY

    def learned(self, now: float) -> Learned:
        """What it knows, for other processes."""
        return self.state.learned(now)

    def tell(self, learned: Learned, now: float) -> None:
        """What another process knows. It is used until this one's own calls say otherwise."""
        if learned.kind == self.state.learned(now).kind:
            return
        self.is_free = False
        if learned.kind == "rate":
            self.state = MOVES.pace(self.facts, now, learned.rate)
        elif learned.kind == "under way":
            self.state = MOVES.under_way(self.facts, now, int(learned.calls))
        elif learned.kind == "window":
            probe = Sent(now - learned.opened_ago, 1, None, 0)
            openings = Openings(probe.at, 0.985 * learned.period, learned.period)
            self.state = MOVES.window(self.facts, now, int(learned.calls), openings, probe)

    def hold(self, now: float) -> None:
        """A limit is known to be reached. What is known of it comes back with it."""
        self.is_free = False
        back = None if self.state.name == "open" else self.state
        self.state = MOVES.hold(self.facts, now, now, None, back, back is not None)

    def relax(self, now: float) -> None:
        """What was refused was somebody else's affair: no limit is known, and one refusal begins no search."""
        self.state = MOVES.begin(self.facts, now, 0.0)

    def restart(self, now: float) -> None:
        """The server was down: if no limit is known, a crowd begins slowly again."""
        if self.is_free or self.state.is_open:
            self.is_free = False
            self.state = Begin(self.facts, now)

    def forget(self) -> None:
        """Start anew. What is under way stays."""
        flying, self.facts = self.facts.flying, Facts(MOVES, self.facts.numbers)
        self.facts.flying = flying
        self.state = Begin(self.facts, 0.0)
        self.is_free = False

    def forget_in_flight(self) -> None:
        """Nothing is under way: after a fork, or when a loop was broken off."""
        self.facts.flying = self.facts.let_in = NOBODY

    def _judge(self, now: float) -> None:
        facts, queue = self.facts, self.facts.queue
        # The first is looked at here, as it mostly has no answer: each call of a function is felt in each request.
        while queue and (queue[0].verdict is not None or facts.is_late(queue[0], now)):
            try:
                sent = queue.pop(0)  # of a list, for few wait longer than a trip
            except IndexError:  # another thread was faster
                return
            if not queue and facts.trip is None:  # later, a state may wait for what another thread adds just now
                facts.queue = NOT_ONE
            if sent.verdict is not _NOTHING:
                is_refused = sent.verdict is _REFUSED
                if not is_refused:
                    facts.accepted(sent)
                self.state = self.state.judged(sent, now, is_refused)


_REFUSED, _NOTHING = Verdict.REFUSED, Verdict.NOTHING
