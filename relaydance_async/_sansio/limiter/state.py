"""What a state of the limiter answers to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from .facts import Facts, Sent
from .learned import Learned
from .openings import Openings

FOREVER = float("inf")


@dataclass(slots=True)
class Cycle:
    """From when a limit let calls pass until it refused them.

    Attributes:
        opened_at: when the first of them was admitted.
        accepted: how many were.
        shut_at: when the first refused one was admitted.
        closed: (seconds that the pause before it surely lasted, seconds that it lasted at most).
    """

    opened_at: float
    accepted: int
    shut_at: float
    closed: tuple[float, float]


class State:
    """One. It may change in place; where another follows, the methods return that.

    Attributes:
        since: when it began.
        why: in a few words, for people.
        opened: the probe that ended a pause, and the state of that pause, if one did.
    """

    __slots__ = ("facts", "moves", "opened", "since", "why")
    name = ""

    def __init__(self, facts: Facts, now: float, why: str) -> None:
        self.facts: Facts = facts
        self.moves: Moves = facts.moves
        self.since: float = now
        self.why: str = why
        self.opened: tuple[Sent, State] | None = None

    @property
    def is_open(self) -> bool:
        """Whether it holds nobody back whatever comes."""
        return False

    @property
    def rate(self) -> float | None:
        """Calls a second, if that is limited."""
        return None

    @property
    def concurrency(self) -> float | None:
        """Calls under way, if that is limited."""
        return None

    def learned(self, now: float) -> Learned:
        """What other processes can use of it."""
        return Learned("open")

    def resumed(self, now: float, probe: Sent) -> State:
        """A pause is over; see `Moves.hold`."""
        return self

    def tick(self, now: float) -> State:
        """Time has passed."""
        return self

    def delay(self, now: float) -> float:
        """Seconds until the next call may pass; infinite: not before something happens."""
        return 0.0

    def passed(self, sent: Sent) -> None:
        """One passed."""

    def ended(self, sent: Sent, now: float, is_refused: bool) -> State:
        """An answer came."""
        return self

    def judged(self, sent: Sent, now: float, is_refused: bool) -> State:
        """It is known whether the attempt was refused. These come in the order of admission."""
        return self

    def mistaken(self, sent: Sent, now: float) -> State:
        """An attempt that was taken for accepted was refused after all: its answer took longer than others."""
        if self.opened is None or sent is not self.opened[0]:
            return self
        return self.opened[1].mistaken(sent, now)


class Moves(Protocol):
    """What may follow. One file knows all states: `moves`."""

    def begin(self, facts: Facts, now: float, rate: float) -> State:
        """No limit matters."""
        ...

    def rounds(self, facts: Facts, now: float, probe: Sent | None, closed: tuple[float, float]) -> State:
        """It is open again; or, without a probe, a crowd met its first refusal."""
        ...

    def hold(
        self, facts: Facts, now: float, began_at: float, cycle: Cycle | None, back: State | None, was_well: bool
    ) -> State:
        """A limit is reached. `back` goes on when it is over, if what it knows still holds."""
        ...

    def pace(self, facts: Facts, now: float, rate: float) -> State:
        """It is a rate."""
        ...

    def window(self, facts: Facts, now: float, calls: int, openings: Openings, probe: Sent) -> State:
        """It is a window, that opened with that probe."""
        ...

    def under_way(self, facts: Facts, now: float, calls: int) -> State:
        """It counts what is under way."""
        ...
