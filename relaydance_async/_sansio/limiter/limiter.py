"""One limiter: the states, driven by time and by what happens to attempts. Pure: the time is an argument."""

from __future__ import annotations

from .begin import Begin
from .facts import Facts, Sent, Verdict
from .moves import MOVES
from .numbers import NUMBERS, Numbers
from .state import State


class Limiter:
    """What is learned of one limit.

    Args:
        numbers: of it.
    """

    __slots__ = ("facts", "state")

    def __init__(self, numbers: Numbers = NUMBERS) -> None:
        self.facts = Facts(MOVES, numbers)
        self.state: State = Begin(self.facts, 0.0)

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
        self._judge(now)
        self.state = self.state.tick(now)
        return self.state.delay(now)

    def passed(self, now: float) -> Sent:
        """A call passes."""
        facts = self.facts
        sent = Sent(now, facts.in_flight + 1, self.state, facts.completed)
        facts.passed(sent)
        self.state.passed(sent)
        return sent

    def ended(self, sent: Sent, now: float, verdict: Verdict, retry_after: float | None = None) -> None:
        """It has its answer."""
        self.facts.ended(sent, now, verdict, retry_after)
        if verdict is not Verdict.NOTHING:
            self.state = self.state.ended(sent, now, verdict is not Verdict.ACCEPTED)
        self._judge(now)

    def _judge(self, now: float) -> None:
        facts = self.facts
        while (sent := facts.next_judged(now)) is not None:
            if sent.verdict is not Verdict.NOTHING:
                is_refused = sent.verdict is not Verdict.ACCEPTED and sent.verdict is not None
                if not is_refused and sent.level > facts.peak:
                    facts.peak = sent.level
                self.state = self.state.judged(sent, now, is_refused)
