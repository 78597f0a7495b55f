"""What all states of the limiter know, and the attempts in the order in which they were admitted."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from .numbers import NUMBERS, Numbers

if TYPE_CHECKING:
    from .state import Moves


class Verdict(Enum):
    """What an answer says about a limit."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    OVERLOADED = "overloaded"
    NOTHING = "nothing"


class Sent:
    """An attempt that was admitted.

    Attributes:
        at: when.
        level: attempts under way then, with it.
        state: of the limiter then.
        verdict: None until it is known.
        of_key: what the limiter of the whole key knows it by, when there is one.
    """

    __slots__ = ("at", "completed", "is_ordered", "level", "mark", "of_key", "state", "verdict")

    def __init__(self, at: float, level: int, state: object, completed: int) -> None:
        self.at: float = at
        self.level: int = level
        self.state: object = state
        self.completed: int = completed
        self.mark: float = 0.0
        self.verdict: Verdict | None = None
        self.of_key: Sent | None = None
        self.is_ordered: bool = False


NOBODY: set[Sent] = set()
"""Shared by all limiters, and never added to: of a thousand keys, most have nothing under way."""
NOT_ONE: list[Sent] = []
"""The same for the order."""


class Facts:
    """What is known whatever the state. What is empty costs nothing: it is `NOBODY`.

    Attributes:
        flying: the attempts under way. A set, for its steps are whole whatever threads do.
        completed: calls that were accepted and have their answers.
        fits: share of the last refusals that came with more under way than were ever let in: few, and it isn't that.
        trip: round trip of a refusal, rather its upper end; None before the first.
        latency: of an accepted call, about.
        noise: share of refusals by chance.
        queue: attempts that are not yet judged, in the order of admission.
        peak: most attempts under way when one was accepted, since `opened`.
        let_in: attempts under way that were surely accepted. A set, as `flying`.
        most_let_in: of them at once, halved with each opening: so many under way surely are no limit.
        expected: calls that passed before the limit was reached the first time.
        is_shared: whether windows were found to be used by others, too: then a pace does better.
        retry_after: of the last refusal, and when that came.
        trusts: whether a Retry-After holds: None while that is not known.
    """

    __slots__ = (
        "completed",
        "expected",
        "fits",
        "flying",
        "is_shared",
        "judged",
        "latency",
        "let_in",
        "most_let_in",
        "moves",
        "noise",
        "numbers",
        "peak",
        "queue",
        "refused_at",
        "retry_after",
        "trip",
        "trusts",
    )

    def __init__(self, moves: Moves, numbers: Numbers = NUMBERS) -> None:
        self.moves: Moves = moves
        self.numbers: Numbers = numbers
        self.flying: set[Sent] = NOBODY
        self.let_in: set[Sent] = NOBODY
        self.most_let_in: float = 0.0
        self.fits: float = 1.0
        self.completed: int = 0
        self.trip: float | None = None
        self.latency: float = 0.0
        self.noise: float = 0.0
        self.judged: float = 10.0  # as if so many had been accepted: a first refusal says little
        self.is_shared: bool = numbers.processes > 1
        self.peak: int = 0
        self.expected: int = 0
        self.retry_after: float | None = None
        self.refused_at: float = float("-inf")
        self.trusts: bool | None = None
        self.queue: list[Sent] = NOT_ONE

    @property
    def rtt(self) -> float:
        """The round trip of a refusal, or a guess."""
        return self.numbers.trip_guess if self.trip is None else self.trip

    @property
    def counts_under_way(self) -> bool:
        """Whether it makes a difference if calls under way are limited: a pace does as well for short ones."""
        return self.peak > 1 and self.latency > 5 * self.rtt and self.fits > 0.5

    @property
    def in_flight(self) -> int:
        """Attempts under way."""
        return len(self.flying)

    def passed(self, sent: Sent) -> None:
        """An attempt was admitted, after others of which some are not yet judged."""
        sent.is_ordered = True
        queue = self.queue
        if queue:
            queue.append(sent)
        else:
            self.queue = [sent]

    def ended(self, sent: Sent, now: float, verdict: Verdict, retry_after: float | None) -> None:
        """It has its answer."""
        sent.verdict = verdict
        took = now - sent.at
        if verdict is _REFUSED:
            self._refused(now, took, retry_after)
            self.fits += ((sent.level > self.most_let_in) - self.fits) / 8
        elif verdict is _ACCEPTED:
            self.completed += 1
            self.latency += (took - self.latency) * (0.1 if self.latency else 1.0)

    def _refused(self, now: float, took: float, retry_after: float | None) -> None:
        if self.trip is None:
            self.trip = max(took, self.numbers.trip_at_least)
        else:  # rather its upper end: what is judged too early is judged wrong
            self.trip += (took - self.trip) * (0.5 if took > self.trip else 0.05)
        self.retry_after, self.refused_at = retry_after, now

    def accepted(self, sent: Sent) -> None:
        """An attempt surely was, whether it has its answer yet or not."""
        if sent.level > self.peak:
            self.peak = sent.level
        if sent.verdict is None:
            let_in = self.let_in or set()
            let_in.add(sent)
            self.let_in = let_in
            self.most_let_in = max(self.most_let_in, len(let_in))
            if sent not in self.flying:  # another thread has just brought its answer
                let_in.discard(sent)

    def learn_noise(self, refused: int, total: int) -> None:
        """So many were refused by chance, of so many."""
        self.judged = min(self.judged + total, self.numbers.noise_memory)
        self.noise += (refused / total - self.noise) * min(1.0, total / self.judged)

    def learn_accepted(self) -> None:
        """One more was not refused."""
        judged = self.judged = min(self.judged + 1, self.numbers.noise_memory)
        if self.noise:
            self.noise -= self.noise / judged

    def is_late(self, sent: Sent, now: float) -> bool:
        """Whether a refusal of it would have come by now."""
        trip = self.numbers.trip_unknown if self.trip is None else self.trip
        return now - sent.at >= self.numbers.patience * trip


# Looking up a member of an enum takes as long as all else in these methods.
_ACCEPTED, _REFUSED = Verdict.ACCEPTED, Verdict.REFUSED
