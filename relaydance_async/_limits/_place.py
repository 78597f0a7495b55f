"""A place in the queue of an entrance; once admitted, the lease."""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import NamedTuple, Protocol, TypeAlias

import anyio

from .._sansio.turns import Lane
from ._admission import Barrier, How, Ticket
from ._shares import Share

Turn: TypeAlias = "asyncio.Future[None] | anyio.Event"
"""What a waiting task waits on. asyncio's own future takes less time and memory; trio has none."""


class Wants(NamedTuple):
    """What the places of a lane wait for."""

    share: Share
    barrier: Barrier


class Phase(Enum):
    """How far a place has come."""

    WAITING = "waiting"
    ADMITTED = "admitted"
    ENDED = "ended"
    """The permit is back."""
    LEFT = "left"
    """Cancelled."""
    REFUSED = "refused"
    """Turned away: its `refusal` says why."""


_WAITING, _ADMITTED, _ENDED = Phase.WAITING, Phase.ADMITTED, Phase.ENDED


class Entrance(Protocol):
    """What a place is of."""

    def probed(self, place: Place) -> None:
        """A probe has shown that the gateway is back."""
        ...

    def give_back(self, place: Place, how: How, retry_after: float | None) -> None:
        """A lease has ended."""
        ...


class Place:
    """A place in a lane; once admitted, the lease."""

    __slots__ = (
        "_entrance", "admitted_at", "asked_at", "barrier", "began_at", "deadline", "is_probe", "lane", "nap",
        "passed", "phase", "refusal", "share", "turn", "why",
    )  # fmt: skip

    def __init__(
        self, entrance: Entrance, share: Share, barrier: Barrier, ticket: Ticket, now: float, phase: Phase
    ) -> None:
        self._entrance = entrance
        self.share: Share = share
        self.barrier: Barrier = barrier
        # Not the ticket: each object of a call under way costs the garbage collector.
        self.began_at: float = ticket.began_at
        self.deadline: float | None = ticket.deadline
        self.phase: Phase = phase
        self.lane: Lane[Place, Wants] | None = None
        self.turn: Turn | None = None
        self.nap: anyio.CancelScope | None = None
        """While it sleeps as the leader."""
        self.passed: object = None
        self.why: str | None = None
        """What it had to wait for."""
        self.is_probe: bool = False
        self.refusal: Exception | None = None
        self.asked_at: float = now
        self.admitted_at: float = now

    @property
    def waits(self) -> bool:
        """Whether it is still in its lane."""
        return self.phase is _WAITING

    @property
    def queued_for(self) -> float:
        """Seconds between asking and being admitted."""
        return self.admitted_at - self.asked_at

    def probed(self) -> None:
        """See `Lease`."""
        self._entrance.probed(self)

    def ended(self, how: How, retry_after: float | None = None) -> None:
        """See `Lease`."""
        if self.phase is _ADMITTED:
            self.phase = _ENDED
            self._entrance.give_back(self, how, retry_after)

    def wake(self) -> None:
        """Have its task look again."""
        if self.nap is not None:
            self.nap.cancel()
        turn = self.turn
        if isinstance(turn, anyio.Event):
            turn.set()
        elif turn is not None and not turn.done() and not turn.get_loop().is_closed():  # where nobody wakes any more
            turn.set_result(None)


def new_turn() -> Turn:
    """One of the kind that fits the running loop."""
    try:
        return asyncio.get_running_loop().create_future()
    except RuntimeError:
        return anyio.Event()
