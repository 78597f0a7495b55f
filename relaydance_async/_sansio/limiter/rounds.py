"""Rounds: growing rounds of calls show how much passes until the limit is reached again (slow start in rounds)."""

from __future__ import annotations

from .chance import Chance
from .facts import Facts, Sent
from .state import Cycle, State


class Rounds(State):
    """Rounds of 1, 2, 4 … calls, each longer than the round trip of a refusal.

    Args:
        probe: that was accepted; None: the first refusal of a crowd came.
        closed: see `Cycle`.
    """

    __slots__ = (
        "_accepted",
        "_before",
        "_chance",
        "_closed",
        "_done",
        "_empty",
        "_ends_at",
        "_first_refused",
        "_half",
        "_judged",
        "_left",
        "_number",
        "_opened_at",
        "_refused",
        "_sent",
        "_size",
    )  # fmt: skip
    name = "searching"

    def __init__(self, facts: Facts, now: float, probe: Sent | None, closed: tuple[float, float]) -> None:
        super().__init__(facts, now, "a limit is looked for")
        self._opened_at = None if probe is None else probe.at
        self._closed = closed
        self._accepted = 0 if probe is None else 1
        self._chance = Chance(facts, learns=False)
        self._size, self._left, self._refused, self._empty, self._number = 1, 1, 0, 0, 0
        self._ends_at = now
        self._judged = self._half = 0
        self._sent = 1
        self._before = (0, 0)
        self._first_refused = now
        self._done: list[tuple[int, int, int]] = []
        if probe is None:  # those that left before it was known are still to be refused
            self._left = 0
            self._ends_at = now + facts.numbers.patience * facts.rtt
        else:
            facts.peak = probe.level
            self._size, self._left = 2, 2
            self._ends_at = now + facts.numbers.round_trips * facts.rtt
            self._number = 1

    @property
    def rate(self) -> float | None:
        return self._size / (self.facts.numbers.round_trips * self.facts.rtt)

    def tick(self, now: float) -> State:
        if now < self._ends_at:
            return self
        numbers, facts = self.facts.numbers, self.facts
        if self._number == 0:
            if self._chance.height >= self._chance.bound(numbers.crowd_believed):
                return self._shut(self._chance.began_at, now)
            self._chance = Chance(facts, learns=False)
        used = self._size - self._left
        if self._refused * 2 < self._judged:
            # What much smaller rounds were refused was chance: this one was not refused more.
            for size, refused, judged in [done for done in self._done if done[0] * 4 <= self._size and done[2]]:
                facts.learn_noise(refused, judged)
                self._done.remove((size, refused, judged))
            self._done.append((self._size, self._refused, self._judged))
        if self._is_much(numbers.round_excess):
            return self._shut(self._first_refused, now)
        if self._refused * 2 >= max(used, 1) and self._refused > 1:
            self._size = 1
            self._half += 1
            if self._half >= 2 and facts.noise < numbers.noisy_from:
                return self._shut(self._first_refused, now)
        elif used * 2 >= self._size:
            self._size = self._next_size()
            self._empty = 0
        else:
            self._empty += 1
        self._before = (self._before[0] + self._refused, self._before[1] + self._judged)
        self._judged = 0
        if self._size > numbers.largest_round or self._is_met(now):
            return self.moves.begin(facts, now, 2 * self._size / (numbers.round_trips * facts.rtt))
        self._left, self._refused = self._size, 0
        self._number += 1
        self._ends_at = now + numbers.round_trips * facts.rtt
        return self

    def _is_met(self, now: float) -> bool:
        """Whether all who want to call may. Calls that wait for answers may leave rounds empty that are short; so it
        must last longer than the limit was closed, or the limit was only not reached again yet."""
        lasts = self._opened_at is None or now - self._opened_at >= 2 * self._closed[1]
        return self._empty >= self.facts.numbers.empty_rounds and lasts

    def _is_much(self, factor: float) -> bool:
        """Whether this round was refused far more than those before it: a burst comes to the server in any order."""
        refused, judged = self._before
        expected = self._judged * (refused + 0.05 * judged + 0.5) / (judged + 1.0)
        return self._refused >= 4 and self._refused > factor * expected

    def _next_size(self) -> int:
        expected, numbers = self.facts.expected, self.facts.numbers
        if self._opened_at is None or not expected:
            return self._size * 2
        left = expected - self._sent
        if left > 0:
            is_window = self._closed[0] > numbers.bucket_trips * self.facts.rtt
            return min(self._size * (4 if is_window else 2), left)
        return int(numbers.round_believed) if self._sent - self._size <= expected else self._size * 2

    def delay(self, now: float) -> float:
        return 0.0 if self._left > 0 else max(1e-4, self._ends_at - now)

    def passed(self, sent: Sent) -> None:
        self._left -= 1
        self._sent += 1
        sent.mark = self._number

    def judged(self, sent: Sent, now: float, is_refused: bool) -> State:
        if self._opened_at is None and not is_refused:
            self.facts.expected += 1
        chance, numbers = self._chance, self.facts.numbers
        if sent.state is not self:
            if self._number == 0 and is_refused:  # of the crowd
                chance.refused(sent.at)
            elif self._number == 0:
                chance.accepted()
            return self
        if sent.mark == self._number:
            self._judged += 1
        if not is_refused:
            self._accepted += 1
            chance.accepted()
            return self
        if sent.mark == self._number:
            if not self._refused:
                self._first_refused = sent.at
            self._refused += 1
        chance.refused(sent.at)
        believed = numbers.round_believed if self._size <= 8 else numbers.round_believed + 2
        if self._refused * 2 < self._judged:
            believed = max(believed, numbers.round_doubted)
        if chance.height >= chance.bound(believed):
            return self._shut(chance.began_at, now)
        return self

    def mistaken(self, sent: Sent, now: float) -> State:
        if sent.state is self:
            self._accepted -= 1
        return super().mistaken(sent, now)

    def _shut(self, began_at: float, now: float) -> State:
        cycle = None
        if self._opened_at is not None:
            cycle = Cycle(self._opened_at, self._accepted, began_at, self._closed)
        return self.moves.hold(self.facts, now, began_at, cycle, None, False)
