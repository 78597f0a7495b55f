"""The one wait: for a permit, the pace and the end of a cool-down together.

Who can't begin at once stands in the line of its kind, and holds nothing while it waits. Whatever may let somebody in
(a permit that comes back, a higher limit, a later time) ends in `_admit`, which lets in all who may begin now.

When the pace holds them back, the one whose turn it is becomes the leader. Only the leader sleeps. When it wakes, it
lets in all whom the pace admits then, in one turn of the event loop. The pace may change at any time meanwhile.
When the leader has left, admitted or cancelled, the next in line leads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Protocol, TypeAlias

import anyio

from ..errors import RateLimitError
from ._admission import Ended, How, Lease, Ticket
from ._shares import Share, Shares

Turn: TypeAlias = "asyncio.Future[None] | anyio.Event"
"""What a waiting task waits on. asyncio's own future takes less time and memory; trio has none."""


class Pace(Protocol):
    """When the next call may pass. Times and delays are seconds on the monotonic clock."""

    def pause(self, now: float) -> float:
        """Until a cool-down is over; 0 without one."""
        ...

    def delay(self, now: float) -> float:
        """Until the next call may pass; 0 when it may."""
        ...

    def admit(self, now: float) -> float:
        """Let one call pass, if one may: then 0, else the delay."""
        ...


class Phase(Enum):
    """How far a place has come."""

    WAITING = "waiting"
    ADMITTED = "admitted"
    ENDED = "ended"
    """The permit is back."""
    LEFT = "left"
    """Cancelled."""
    LATE = "late"
    """The cool-down lasts longer than its deadline allows."""
    HELD = "held"
    """The gateway has been failing for as long as it may wait."""


_WAITING, _ADMITTED, _ENDED = Phase.WAITING, Phase.ADMITTED, Phase.ENDED


class Place:
    """A place in a line; once admitted, the lease."""

    __slots__ = ("_entrance", "admitted_at", "asked_at", "is_probe", "phase", "share", "ticket", "turn")

    def __init__(self, entrance: Entrance, share: Share[Place], ticket: Ticket, now: float, phase: Phase) -> None:
        self._entrance = entrance
        self.share: Share[Place] = share
        self.ticket: Ticket = ticket
        self.phase: Phase = phase
        self.turn: Turn | None = None
        self.is_probe: bool = False
        self.asked_at: float = now
        self.admitted_at: float = now

    @property
    def waits(self) -> bool:
        """Whether it is still in its line."""
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
        turn = self.turn
        if isinstance(turn, anyio.Event):
            turn.set()
        elif turn is not None and not turn.done() and not turn.get_loop().is_closed():  # where nobody wakes any more
            turn.set_result(None)


class Entrance:
    """An `Admission` for one event loop, over permits and a pace. Not to be used from other threads."""

    def __init__(
        self,
        shares: Shares[Place],
        pace: Pace,
        monotonic: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._shares = shares
        self._pace = pace
        self._monotonic = monotonic
        self._sleep = sleep
        self._leader: Place | None = None
        self._nap: anyio.CancelScope | None = None
        self.waiting: int = 0
        """How many wait to be admitted."""

    @property
    def in_use(self) -> int:
        """How many permits are."""
        return self._shares.in_use

    @property
    def limit(self) -> int:
        """How many permits there are now."""
        return self._shares.limit

    def enter_now(self, ticket: Ticket) -> Lease | None:
        """See `Admission`."""
        shares = self._shares
        share = shares.of[ticket.kind]
        # This overtakes nobody: those who wait without a leader wait for a permit that their kind can't have.
        if self._leader is not None or not shares.has_room_for(share):
            return None
        now = self._monotonic()
        if self._pace.admit(now):
            return None
        shares.in_use += 1
        share.in_use += 1
        place = Place(self, share, ticket, now, _ADMITTED)
        self._let_in(place, now)
        return place

    async def enter(self, ticket: Ticket) -> Lease:
        """See `Admission`."""
        place = self._join(ticket)
        try:
            if place.phase is _WAITING:
                self._must_wait(place.share)
            while place.phase is _WAITING:
                if self._leader is place:
                    await self._lead(place)
                else:
                    turn = place.turn = _new_turn()
                    await (turn.wait() if isinstance(turn, anyio.Event) else turn)
        except BaseException:
            self._leave(place)
            raise
        place.turn = None  # a stream holds its lease for long
        if place.phase is Phase.LATE:
            raise _cooling_down(self._pace.pause(self._monotonic()))
        if place.phase is Phase.HELD:
            raise self._held()
        return place

    def probed(self, place: Place) -> None:
        """A probe has shown that the gateway is back."""

    def give_back(self, place: Place, how: How, retry_after: float | None) -> None:
        """A lease has ended."""
        self._learn(place, how, retry_after)
        self._shares.in_use -= 1
        place.share.in_use -= 1
        if self.waiting:
            self._admit()

    def _let_in(self, place: Place, now: float) -> None:
        """For whoever wants to know that an attempt begins."""

    def _look_around(self, now: float) -> None:
        """For whoever turns away some of those who wait."""

    def _held(self) -> Exception:
        """What is raised in those who were turned away so."""
        raise NotImplementedError

    def _learn(self, place: Place, how: How, retry_after: float | None) -> None:
        """For whoever learns something from how attempts end."""

    def _must_wait(self, share: Share[Place]) -> None:
        """For whoever wants to know that somebody of this kind was not admitted at once."""

    def _join(self, ticket: Ticket) -> Place:
        share, now = self._shares.of[ticket.kind], self._monotonic()
        pause = self._pace.pause(now)
        if pause and _is_late(ticket, now + pause):
            raise _cooling_down(pause)
        place = Place(self, share, ticket, now, _WAITING)
        share.line.join(place, ticket.priority)
        self.waiting += 1
        self._admit()
        return place

    def _leave(self, place: Place) -> None:
        """It was cancelled."""
        place.turn = None
        if place.phase is _ADMITTED:
            place.ended(Ended.OTHER)
        elif place.phase is _WAITING:
            self._take_out(place, Phase.LEFT)
        if self._leader is place:
            self._leader = None
            self._admit()

    def _admit(self) -> None:
        """Let in all who may begin now."""
        shares = self._shares
        while self._leader is None and (share := shares.next()) is not None:
            now = self._monotonic()
            if self._pace.admit(now):
                self._leader = share.line.first()
                self._leader.wake()
            else:
                place = share.line.pop()
                self.waiting -= 1
                shares.serve(share)
                place.phase, place.admitted_at = _ADMITTED, now
                self._let_in(place, now)
                place.wake()

    async def _lead(self, place: Place) -> None:
        """Sleep until the pace lets the next one pass, then let in all whom it does."""
        now = self._monotonic()
        if (delay := self._pace.delay(now)) > 0:
            if pause := self._pace.pause(now):
                self._turn_away(now + pause)
            self._look_around(now)
            if place.phase is _WAITING:
                await self._nap_for(delay)
        self._leader = None
        self._admit()

    async def _nap_for(self, seconds: float) -> None:
        with anyio.CancelScope() as self._nap:
            try:
                await self._sleep(seconds)
            finally:
                self._nap = None

    def _stir(self) -> None:
        """It may be somebody's turn earlier than the leader knows."""
        if self._nap is not None:
            self._nap.cancel()
        elif self.waiting:
            self._admit()

    def _turn_away(self, opens_at: float) -> None:
        """Those whose deadline is before the end of the cool-down need not wait for it."""
        for share in self._shares.all:
            for place in share.line.all():
                if _is_late(place.ticket, opens_at):
                    self._take_out(place, Phase.LATE)
                    place.wake()

    def _take_out(self, place: Place, phase: Phase) -> None:
        place.phase = phase
        place.share.line.left()
        self.waiting -= 1


def _new_turn() -> Turn:
    try:
        return asyncio.get_running_loop().create_future()
    except RuntimeError:
        return anyio.Event()


def _is_late(ticket: Ticket, opens_at: float) -> bool:
    return ticket.deadline is not None and opens_at >= ticket.deadline


def _cooling_down(pause: float) -> RateLimitError:
    return RateLimitError(
        f"the key is cooling down after a 429 for {pause:.1f} s more, longer than the deadline allows",
        retry_after=pause,
        retryable=True,
    )
