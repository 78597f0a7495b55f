"""Admission under random lives: calls come, are cancelled, end in every way, and time passes, in any order."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field

import anyio
import pytest
from anyio.abc import TaskGroup

from relaydance_async import APITimeoutError, ServerError
from relaydance_async._limits import Book, Ended, How, Kind, Lease, Limit, Limits, LocalAdmission, Ticket
from relaydance_async._sansio.outage import Failure
from tests.limits.support import Time, settle

pytestmark = pytest.mark.anyio

KINDS = [*Kind]


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Watched(LocalAdmission):
    """It checks that whom it lets in may come in."""

    def _admit(self) -> None:
        before = {share: share.in_use for share in set(self._shares.of.values())}
        super()._admit()
        for share in set(self._shares.of.values()):
            if share.in_use > before[share]:
                assert share.in_use <= share.most
                # Above the limit, those may have one that had none.
                without = sum(not taken for taken in before.values())
                assert self.in_use <= max(self.limit, sum(before.values())) + without
                assert self.in_use <= self._shares.maximum


@dataclass
class Life:
    """A client's calls, drawn by lot."""

    seed: int
    group: TaskGroup
    time: Time = field(default_factory=Time)
    inside: list[tuple[Lease, Kind]] = field(default_factory=list[tuple[Lease, Kind]])
    outside: dict[int, anyio.CancelScope] = field(default_factory=dict[int, anyio.CancelScope])
    """Those who have not been admitted, by number."""
    count: Counter[str] = field(default_factory=Counter[str])

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)
        permits = self.dice.choice([1, 2, 5, 10, 40])
        known = [Limits(), Limits(requests_per_minute=600, per_model={"a": 2}), Limits(per_model={"a": Limit(60, 3)})]
        book = Book(self.dice.choice(known), permits)
        self.admission = Watched(permits, book, self.time.monotonic, self.time.sleep)
        self.refused = self.dice.choice([0.0, 0.02, 0.2])
        self.overloaded = self.dice.choice([0.0, 0.02, 0.2])

    async def run(self, steps: int) -> None:
        for _ in range(steps):
            self.step()
            if self.dice.random() < 0.6:  # else the next happens before anyone has run
                await self.time.advance(self.dice.choice([0.0, 0.0, 0.001, 0.05, 1.5]))
                self.check()
        await self.end()

    def step(self) -> None:
        what = self.dice.random()
        if what < 0.5:
            self.begin()
        elif what < 0.65 and self.outside:
            self.outside[self.dice.choice([*self.outside])].cancel()
        elif self.inside:
            self.leave(self.dice.randrange(len(self.inside)))

    def begin(self) -> None:
        dice, number = self.dice, self.count["begun"]
        deadline = self.time.at + dice.choice([0.1, 1.0, 30.0]) if dice.random() < 0.2 else None
        ticket = Ticket(
            dice.choice(KINDS),
            dice.choice(["/route", "/other"]),
            dice.choice([None, "a", "b"]),
            priority=dice.choice([0, 0, 0, 1, -1]),
            deadline=deadline,
            order=dice.choice([0, 1, 2]),
            view=dice.choice([0, 1, 2]),
        )
        self.count["begun"] += 1
        self.outside[number] = anyio.CancelScope()
        self.group.start_soon(self.enter, number, ticket)

    async def enter(self, number: int, ticket: Ticket) -> None:
        with self.outside[number]:
            try:
                lease = self.admission.enter_now(ticket) or await self.admission.enter(ticket)
            except APITimeoutError:
                assert ticket.deadline is not None
                self.count["refused"] += 1
            except ServerError:
                assert ticket.deadline is None
                self.count["refused"] += 1
            else:
                assert lease.queued_for >= 0
                self.inside.append((lease, ticket.kind))
                self.count[ticket.kind.value] += 1
            del self.outside[number]
            return
        del self.outside[number]
        self.count["cancelled"] += 1

    def leave(self, index: int) -> None:
        lease, _ = self.inside.pop(index)
        chance = self.dice.random()
        if chance < self.refused:
            lease.ended(Ended.REFUSED, self.dice.choice([None, 0.0, 0.2, 3.0]))
        elif chance < self.refused + self.overloaded:
            failures: list[How] = [Ended.OVERLOADED, Ended.UNREACHED, Failure("HTTP 502", in_doubt=True)]
            lease.ended(self.dice.choice(failures))
        else:
            lease.ended(self.dice.choice([Ended.ACCEPTED, Ended.OTHER, Ended.ANSWERED]))

    def check(self) -> None:
        """After everybody has come as far as they can."""
        admission, shares = self.admission, self.admission._shares
        assert admission.in_use == len(self.inside)
        assert Counter(kind for _, kind in self.inside) == Counter(
            {kind: share.in_use for kind, share in shares.of.items()}
        )
        assert admission.waiting == len(self.outside) == sum(lane.waiting for lane in admission._turns.lanes)
        flying = sum(len(gate.limiter.facts.flying) for gate in admission._book.gates)
        assert flying == admission.in_use
        if admission._leader is None:
            lane, soonest = admission._next(self.time.at)  # nobody waits who could begin
            assert (lane, soonest) == (None, float("inf"))
            assert self.time.sleepers == 0
        else:
            assert admission._leader.waits
            assert self.time.sleepers == 1

    async def end(self) -> None:
        """Nobody comes any more: all are admitted, in the end."""
        await settle()
        stuck = 0
        while self.outside or self.inside:
            before = len(self.outside) + len(self.inside)
            while self.inside:
                self.inside.pop()[0].ended(Ended.ACCEPTED)
            await self.time.advance(20.0)
            self.check()
            stuck = 0 if len(self.outside) < before else stuck + 1
            assert stuck < 5
        assert (self.admission.in_use, self.admission.waiting, self.admission._leader) == (0, 0, None)
        assert self.time.sleepers == 0
        kinds = sum(self.count[kind.value] for kind in Kind)
        assert kinds + self.count["refused"] + self.count["cancelled"] == self.count["begun"]


@pytest.mark.parametrize("seed", range(15))
async def test_nobody_is_forgotten_and_no_permit_is_lost_or_given_twice(seed: int) -> None:
    async with anyio.create_task_group() as group:
        life = Life(seed, group)
        await life.run(steps=600)
        assert all(life.count[kind.value] > 10 for kind in Kind)  # each has come through


@pytest.mark.parametrize("seed", range(4))
async def test_no_kind_is_starved_by_two_that_never_stop(seed: int) -> None:
    dice = random.Random(seed)
    time = Time()
    admission = LocalAdmission(dice.choice([1, 3, 10, 20]), Book(), time.monotonic, time.sleep)
    admitted: Counter[Kind] = Counter()

    async def work(kind: Kind) -> None:
        while True:
            lease = await admission.enter(Ticket(kind, "/route"))
            admitted[kind] += 1
            await time.sleep(0.1)
            lease.ended(Ended.ACCEPTED)

    async with anyio.create_task_group() as group:
        for kind in [Kind.STREAM] * 60 + [Kind.POLL] * 60 + [Kind.BILLED] * 2:
            group.start_soon(work, kind)
        for _ in range(20):
            await time.advance(1.0)
        group.cancel_scope.cancel()
    assert admitted[Kind.BILLED] > 50  # a third of what one permit serves in that time
