"""Begin: no limit is known. Slow start (RFC 5681): a crowd leaves faster and faster, so that its first refusals come
back before all have left. A refusal may be chance."""

from __future__ import annotations

from .chance import Chance
from .facts import Facts, Sent
from .state import State


class Begin(State):
    """No limit is known.

    Args:
        rate: calls a second that may leave, until a crowd has shown that more may.
        is_tried: whether the demand was once met: then one refusal begins no search.
    """

    __slots__ = ("_at", "_chance", "_is_held", "_is_open", "_is_tried", "_rate", "_tokens")
    name = "open"

    def __init__(self, facts: Facts, now: float, rate: float | None = None, is_tried: bool = False) -> None:
        super().__init__(facts, now, "no limit is known")
        numbers = facts.numbers
        self._rate = numbers.start_rate if rate is None else max(rate, numbers.start_rate)
        self._tokens = numbers.start_burst
        self._at = now
        self._is_held = False
        self._is_open = False
        self._is_tried = is_tried
        self._chance: Chance | None = None
        """From the first refusal on."""
        facts.expected = 0

    @property
    def is_open(self) -> bool:
        return self._is_open

    def delay(self, now: float) -> float:
        if self._is_open:
            return 0.0
        numbers, passed = self.facts.numbers, now - self._at
        before = self._rate
        if self._is_held and passed > 0:
            # Only a pace that is used grows.
            self._rate *= 2.0 ** min(passed / numbers.start_doubling, 8.0)
        self._at = now
        if self._rate > numbers.open_above:
            self._is_open = True
            return 0.0
        most = max(numbers.start_burst, self._rate * numbers.catch_up)
        self._tokens += passed * (before + self._rate) / 2
        if self._tokens >= most:
            self._tokens, self._is_held = most, False
        if self._tokens >= 1.0 - 1e-9:
            return 0.0
        self._is_held = True
        return (1.0 - self._tokens) / self._rate

    def passed(self, sent: Sent) -> None:
        self._tokens -= 1.0

    def ended(self, sent: Sent, now: float, is_refused: bool) -> State:
        if is_refused and not self._is_tried and not self._is_open:
            return self.moves.rounds(self.facts, now, None, (0.0, 0.0))
        return self

    def judged(self, sent: Sent, now: float, is_refused: bool) -> State:
        facts, chance = self.facts, self._chance
        if not is_refused:
            if chance is None:
                facts.learn_accepted()
            else:
                chance.accepted()
            facts.expected += 1
            return self
        if chance is None:
            chance = self._chance = Chance(facts)
        chance.refused(sent.at)
        if chance.height >= chance.bound(facts.numbers.believed):
            was_well = chance.began_at - self.since > 5.0
            return self.moves.hold(facts, now, chance.began_at, None, None, was_well)
        return self
