"""The one wait: for a permit, the limits and the end of an outage together.

Who can't begin at once stands in a lane (`_sansio.turns`), and holds nothing while it waits. Whatever may let somebody
in (a permit that comes back, a learned limit, a later time) ends in `_admit`, which lets in all who may begin now.

When only time is missing, one of those who wait becomes the leader, and sleeps until the soonest moment at which
somebody may pass. Then it lets in all who may, in one turn of the event loop. When the leader has left, admitted or
cancelled, another leads.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio

from .._sansio.turns import Lane, Turns
from ..errors import APITimeoutError
from ._admission import Barrier, Ended, How, Lease, Ticket
from ._place import Phase, Place, Wants, new_turn
from ._shares import Share, Shares

FOREVER = float("inf")
_LONG = 1.0
"""Seconds. When nobody passes for longer, all who wait are asked whether their deadline comes before."""

_LOOK = 0.001
"""Seconds. Of a crowd that joins one lane, not each looks for what has changed unseen, such as a forgotten limit."""

_WAITING, _ADMITTED = Phase.WAITING, Phase.ADMITTED


class Entrance:
    """An `Admission` for one event loop, over permits and barriers. Not to be used from other threads."""

    def __init__(
        self,
        shares: Shares,
        barrier: Callable[[Ticket], Barrier],
        monotonic: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._shares = shares
        self._barrier = barrier
        self._monotonic = monotonic
        self._sleep = sleep
        self._turns: Turns[Place, Wants] = Turns()
        self._leader: Place | None = None
        self._wakes_at: float = FOREVER
        self._looked_at: float = -FOREVER
        self._inside: set[Place] = set()
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

    def queued(self) -> dict[int, int]:
        """How many wait, by their priority."""
        counts: dict[int, int] = {}
        for lane in self._turns.lanes:
            counts[lane.rank[0]] = counts.get(lane.rank[0], 0) + lane.waiting
        return counts

    def enter_now(self, ticket: Ticket) -> Lease | None:
        """See `Admission`."""
        shares = self._shares
        share = shares.of[ticket.kind]
        if not shares.has_room_for(share):
            return None
        now = self._monotonic()
        barrier = self._barrier(ticket)
        if self.waiting and self._would_overtake(share, barrier, ticket, now):
            return None
        if self._closed_for(now) or barrier.delay(now) > 0:
            return None
        place = Place(self, share, barrier, ticket, now, _ADMITTED)
        shares.take(share)
        self._let_in(place, now)
        return place

    def _would_overtake(self, share: Share, barrier: Barrier, ticket: Ticket, now: float) -> bool:
        """Whether somebody waits for the same, or has only not woken yet."""
        rank = (ticket.priority, ticket.order)
        for lane in self._turns.lanes:
            wants = lane.on
            same = wants.share is share and wants.barrier is barrier and lane.rank >= rank
            if same or (self._shares.has_room_for(wants.share) and wants.barrier.delay(now) <= 0):
                return True
        return False

    async def enter(self, ticket: Ticket) -> Lease:
        """See `Admission`."""
        place = self._join(ticket)
        del ticket  # each object that a waiting call holds costs the garbage collector
        try:
            if place.phase is _WAITING:
                self._must_wait(place.share)
                place.why = self._why(place) if self._shares.has_room_for(place.share) else "no permit was free"
            while place.phase is _WAITING:
                if self._leader is place:
                    await self._lead(place)
                else:
                    turn = place.turn = new_turn()
                    await (turn.wait() if isinstance(turn, anyio.Event) else turn)
        except BaseException:
            self._leave(place)
            raise
        if self._leader is place:
            self._leader = None
            self._admit()
        place.turn = None  # a stream holds its lease for long
        refusal, place.refusal = place.refusal, None  # its traceback leads to the place
        if refusal is not None:
            try:
                raise refusal
            finally:
                del refusal
        return place

    def probed(self, place: Place) -> None:
        """A probe has shown that the gateway is back."""

    def give_back(self, place: Place, how: How, retry_after: float | None) -> None:
        """A lease has ended."""
        self._inside.discard(place)
        self._learn(place, how, retry_after)
        self._shares.give(place.share)
        if self.waiting:
            self._admit()

    def abandon(self) -> None:
        """The loop has ended: what was under way in it is not any more."""
        for place in list(self._inside):
            place.ended(Ended.OTHER)

    def _let_in(self, place: Place, now: float) -> None:
        """It has a permit, and begins."""
        self._inside.add(place)
        place.passed = place.barrier.passed(now)

    def _closed_for(self, now: float) -> float:
        """Seconds for which nobody passes, whatever the limits say."""
        return 0.0

    def _look_around(self, now: float) -> None:
        """For whoever turns away some of those who wait."""

    def _why(self, place: Place) -> str:
        """What holds it back, in a few words."""
        return "a limit"

    def _learn(self, place: Place, how: How, retry_after: float | None) -> None:
        """For whoever learns something from how attempts end."""

    def _must_wait(self, share: Share) -> None:
        """For whoever wants to know that somebody of this kind was not admitted at once."""

    def _join(self, ticket: Ticket) -> Place:
        now = self._monotonic()
        share, barrier = self._shares.of[ticket.kind], self._barrier(ticket)
        deadline = ticket.deadline
        if deadline is not None and 0 < (delay := barrier.delay(now)) < FOREVER and deadline <= now + delay:
            raise _too_late(delay, self._why(Place(self, share, barrier, ticket, now, Phase.REFUSED)))
        place = Place(self, share, barrier, ticket, now, _WAITING)
        rank = (ticket.priority, ticket.order)
        wants = Wants(share, barrier)
        place.lane = self._turns.join(place, (rank, share, barrier), rank, ticket.view, wants)
        self.waiting += 1
        if place.lane.waiting == 1 or now - self._looked_at >= _LOOK:  # else those before it can't begin either
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
        while self.waiting:
            now = self._looked_at = self._monotonic()
            lane, soonest = self._next(now)
            if lane is None:
                self._sleep_until(now + soonest)
                return
            place = self._turns.serve(lane)
            self.waiting -= 1
            self._shares.take(place.share)
            place.phase, place.admitted_at, place.lane = _ADMITTED, now, None
            self._let_in(place, now)
            place.wake()

    def _next(self, now: float) -> tuple[Lane[Place, Wants] | None, float]:
        """The lane whose turn it is, or when one may come."""
        closed = self._closed_for(now)
        if closed > 0:
            return None, closed
        soonest = FOREVER
        for lane in self._turns.order():
            if self._shares.has_room_for(lane.on.share):
                delay = lane.on.barrier.delay(now)
                if delay <= 0:
                    return lane, 0.0
                soonest = min(soonest, delay)
        return None, soonest

    def _sleep_until(self, at: float) -> None:
        """Somebody must wake then; nobody, if that is never."""
        if at >= FOREVER:
            self._wakes_at = FOREVER
            return
        leader = self._leader
        if leader is None or not leader.waits:
            self._wakes_at = at
            self._leader = self._turns.lanes[0].first()
            self._leader.wake()
        elif at < self._wakes_at - 1e-4:
            self._wakes_at = at
            if leader.nap is not None:
                leader.nap.cancel()

    async def _lead(self, place: Place) -> None:
        """Sleep until somebody may pass, then let in all who may."""
        now = self._monotonic()
        if (delay := self._wakes_at - now) > 0:
            self._turn_away(now)
            self._look_around(now)
            if place.phase is _WAITING:
                await self._nap(place, min(delay, _MOST_NAP))
        if self._leader is place:
            self._leader = None
        self._admit()

    async def _nap(self, place: Place, seconds: float) -> None:
        with anyio.CancelScope() as place.nap:
            try:
                await self._sleep(seconds)
            finally:
                place.nap = None

    def _stir(self) -> None:
        """It may be somebody's turn earlier than the leader knows."""
        if self._leader is not None and self._leader.nap is not None:
            self._leader.nap.cancel()
        elif self.waiting:
            self._admit()

    def _turn_away(self, now: float) -> None:
        """Those whose deadline is before their turn can come need not wait for it."""
        for lane in list(self._turns.lanes):
            delay = lane.on.barrier.delay(now)
            if not 0 < delay < FOREVER:
                continue
            for place in lane.all() if delay > _LONG else [lane.first()]:
                if _is_late(place.deadline, now + delay):
                    self._refuse(place, _too_late(delay, self._why(place)))

    def _refuse(self, place: Place, refusal: Exception) -> None:
        """It need not wait any longer."""
        place.refusal = refusal
        self._take_out(place, Phase.REFUSED)
        place.wake()

    def _take_out(self, place: Place, phase: Phase) -> None:
        place.phase = phase
        self.waiting -= 1
        if place.lane is not None:
            self._turns.left(place.lane)
            place.lane = None


_MOST_NAP = 60.0
"""Seconds. A clock that was set, or a limit that changed unseen, is noticed after that."""


def _is_late(deadline: float | None, opens_at: float) -> bool:
    return deadline is not None and opens_at >= deadline


def _too_late(estimate: float, why: str) -> APITimeoutError:
    return APITimeoutError(
        f"its turn would come in {estimate:.1f} s at the soonest, after its deadline ({why}); it was never sent",
        retryable=True,
    )
