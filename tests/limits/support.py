"""What the tests of admission stand on: a clock of their own, and tasks that wait to be admitted."""

from __future__ import annotations

import heapq
from itertools import count

import anyio
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint

from relaydance_async._limits import Admission, Book, Ended, Kind, Lease, Limits, LocalAdmission, Ticket
from relaydance_async._limits._gate import Gate
from relaydance_async._sansio.limiter import Limiter
from relaydance_async._sansio.limiter.moves import MOVES


async def settle() -> None:
    """Let every task come as far as it can."""
    for _ in range(10):
        await checkpoint()


class Time:
    """A clock that moves when it is told to, and wakes those who sleep until then."""

    def __init__(self) -> None:
        self.at = 50.0
        self.slept: list[float] = []
        """Seconds that were asked for."""
        self._order = count()
        self._asleep: list[tuple[float, int, anyio.Event]] = []

    def monotonic(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        place = (self.at + seconds, next(self._order), anyio.Event())
        heapq.heappush(self._asleep, place)
        try:
            await place[2].wait()
        finally:
            if place in self._asleep:
                self._asleep.remove(place)
                heapq.heapify(self._asleep)

    @property
    def sleepers(self) -> int:
        return len(self._asleep)

    @property
    def next_at(self) -> float | None:
        """When the first of those who sleep will wake."""
        return self._asleep[0][0] if self._asleep else None

    async def advance(self, seconds: float) -> None:
        """Let that much time pass, a sleeper at a time."""
        until = self.at + seconds
        await settle()
        while self._asleep and self._asleep[0][0] <= until:
            self.at, _, woken = heapq.heappop(self._asleep)
            woken.set()
            await settle()
        self.at = until
        await settle()


class OpenBook(Book):
    """Of a key without a known limit, after a crowd has passed."""

    def gate(self, ticket: Ticket) -> Gate:
        gate = super().gate(ticket)
        if gate.limiter.facts.trip is None and gate.limiter.state.name == "open":
            gate.limiter.is_free = True
        return gate

    def hold(self, now: float, seconds: float) -> None:
        """As when all calls have been refused for so long."""
        limiter = self.wide.limiter = Limiter()
        limiter.facts.retry_after, limiter.facts.refused_at, limiter.facts.trusts = seconds, now, True
        limiter.hold(now)

    def pace(self, now: float, rate: float) -> None:
        """As when it was learned that the key takes so many calls a second."""
        limiter = self.wide.limiter = Limiter()
        limiter.facts.trip = 0.02
        limiter.state = MOVES.pace(limiter.facts, now, rate)


def local(maximum: int, time: Time, book: Book | None = None) -> LocalAdmission:
    """Admission to a key without a known limit, or with what that book knows."""
    return LocalAdmission(maximum, book or OpenBook(Limits(), maximum), time.monotonic, time.sleep)


def ticket(
    kind: Kind = Kind.BILLED,
    priority: int = 0,
    deadline: float | None = None,
    *,
    order: int = 2,
    view: int = 0,
    model: str | None = None,
) -> Ticket:
    return Ticket(kind, "/route", model, priority=priority, deadline=deadline, order=order, view=view)


class Crowd:
    """Tasks that want to be admitted, by name; `admitted` has those that were, in order."""

    def __init__(self, admission: Admission, group: TaskGroup) -> None:
        self.admission = admission
        self.admitted: list[str] = []
        self.failed: dict[str, Exception] = {}
        self.leases: dict[str, Lease] = {}
        self.scopes: dict[str, anyio.CancelScope] = {}
        self._group = group

    async def join(self, *names: str, ticket: Ticket | None = None) -> None:
        """One after the other."""
        for name in names:
            self.start(name, ticket)
            await settle()

    def start(self, name: str, wanted: Ticket | None = None) -> None:
        self.scopes[name] = anyio.CancelScope()
        self._group.start_soon(self._enter, name, wanted if wanted is not None else ticket())

    async def _enter(self, name: str, wanted: Ticket) -> None:
        with self.scopes[name]:
            try:
                lease = self.admission.enter_now(wanted) or await self.admission.enter(wanted)
            except Exception as error:
                self.failed[name] = error
            else:
                self.leases[name] = lease
                self.admitted.append(name)

    async def end(self, name: str, how: Ended = Ended.OTHER) -> None:
        self.leases[name].ended(how)
        await settle()
