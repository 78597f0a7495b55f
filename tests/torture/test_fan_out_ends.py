"""A fan-out that is ended at each of its steps, in every way: no task is left, and every item that was taken is told.

A short slice runs with the ordinary tests; `nox -s torture` runs all of it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from itertools import count, islice

import pytest

from relaydance_async import FanOut, FanOutStoppedError, Outcome, fan_out
from tests.torture.stepping import (
    MANNERS,
    Selects,
)

pytestmark = pytest.mark.anyio

ITEMS = 12


class FailedError(Exception):
    pass


class StoppingError(Exception):
    pass


@dataclass
class Run:
    """One fan-out whose items do what the dice say, and what was seen of it."""

    seed: int
    kind: str  # of items: "plain" or "async"
    ordered: bool
    in_flight: int = 4
    leave_after: int | None = None  # outcomes, by break; negative: by an exception
    taken: int = 0
    seen: list[Outcome[int, int]] = field(default_factory=list[Outcome[int, int]])
    outcomes: FanOut[int, int] | None = None
    stopped_at: int | None = None

    async def play(self) -> None:
        items = self._async_items() if self.kind == "async" else self._items()
        self.outcomes = fan_out(
            self._work, items, in_flight=self.in_flight, ordered=self.ordered, stop_on=StoppingError
        )
        try:
            async with self.outcomes as outcomes:
                async for outcome in outcomes:
                    self.seen.append(outcome)
                    for _ in range(outcome.index % 3):
                        await asyncio.sleep(0)
                    if self.leave_after is not None and len(self.seen) == abs(self.leave_after):
                        if self.leave_after < 0:
                            raise FailedError
                        break
        except FanOutStoppedError as error:
            self.stopped_at = error.index
        except FailedError:
            assert self.leave_after is not None

    def _items(self) -> Iterator[int]:
        for item in range(ITEMS):
            self.taken += 1
            yield item

    async def _async_items(self) -> AsyncIterator[int]:
        try:
            for item in range(ITEMS):
                await self._rest(item)
                self.taken += 1
                yield item
        finally:
            await asyncio.sleep(0)

    async def _work(self, item: int) -> int:
        dice = random.Random(f"{self.seed} {item}")
        try:
            await self._rest(dice.randrange(6))
            if dice.random() < 0.2:
                raise FailedError
            if dice.random() < 0.04:
                raise StoppingError
            return item
        finally:
            await self._rest(dice.randrange(4))

    async def _rest(self, turns: int) -> None:
        for _ in range(turns % 5):
            await asyncio.sleep(0)

    def check(self, label: str) -> None:
        """Every item that was taken has been told, once."""
        assert self.outcomes is not None
        told = [outcome.index for outcome in (*self.seen, *self.outcomes.untaken)]
        assert sorted(told) == list(range(self.taken)), label
        assert all(outcome.item == outcome.index for outcome in self.seen), label
        assert len(self.outcomes.untaken) <= self.in_flight, label
        if self.ordered:
            assert [outcome.index for outcome in self.seen] == list(range(len(self.seen))), label
        if self.stopped_at is not None:
            assert self.stopped_at == self.taken == len(self.seen), label


@pytest.fixture(autouse=True)
def _no_complaints(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    said: list[object] = []
    monkeypatch.setattr("sys.unraisablehook", said.append)
    yield
    assert said == []
    assert caplog.messages == []


async def sweep(run: Run, name: str) -> int:
    """Cancel it at its first step, then at its second, until it has no more; the number of steps."""
    manner, choose = MANNERS[name]
    before = asyncio.all_tasks()
    for at in count(1):
        again = Run(run.seed, run.kind, run.ordered, run.in_flight, run.leave_after)
        selects: Selects = choose(at)
        outcome = await manner(again.play(), selects)
        label = f"{again.seed} {again.kind} {name} at {at}"
        assert asyncio.all_tasks() == before, label
        again.check(label)
        if not outcome.interrupted:
            return at - 1
    raise AssertionError("unreachable")


async def sweep_all(seeds: range) -> None:
    steps = 0
    for seed in seeds:
        for name in MANNERS:
            for kind in ("plain", "async"):
                for leave_after in (None, 3, -5):
                    run = Run(seed, kind, ordered=bool(seed % 2), in_flight=1 + seed % 6, leave_after=leave_after)
                    steps += await sweep(run, name)
    assert steps > 100 * len(seeds)


async def test_ended_at_any_of_its_steps_it_leaves_nothing() -> None:
    await sweep_all(range(2))


@pytest.mark.torture
async def test_ended_at_any_of_its_steps_it_leaves_nothing_at_length() -> None:
    await sweep_all(range(2, 40))


async def left_at_each_outcome(seeds: range) -> None:
    before = asyncio.all_tasks()
    for seed in seeds:
        for kind in ("plain", "async"):
            for leave_after in (*range(1, ITEMS + 1), *range(-ITEMS, 0)):
                run = Run(seed, kind, ordered=bool(seed % 2), in_flight=1 + seed % 6, leave_after=leave_after)
                await run.play()
                label = f"{seed} {kind} after {leave_after}"
                run.check(label)
                assert asyncio.all_tasks() == before, label


async def test_left_after_any_outcome_it_leaves_nothing() -> None:
    await left_at_each_outcome(range(6))


@pytest.mark.torture
async def test_left_after_any_outcome_it_leaves_nothing_at_length() -> None:
    await left_at_each_outcome(range(6, 200))


async def with_strangers(seeds: range) -> None:
    """Somebody cancels tasks of the fan-out at random; it still tells of every item, and ends."""
    before = asyncio.all_tasks()
    cancelled = 0
    for seed in seeds:
        dice = random.Random(seed)
        run = Run(seed, dice.choice(["plain", "async"]), ordered=dice.random() < 0.5, in_flight=dice.randint(1, 6))
        playing = asyncio.create_task(run.play())
        for _ in islice(count(), 100):
            await asyncio.sleep(0)
            others = sorted(asyncio.all_tasks() - before - {playing}, key=lambda task: task.get_name())
            if others and dice.random() < 0.1:
                dice.choice(others).cancel()
                cancelled += 1
        async with asyncio.timeout(10):
            await playing
        run.check(f"{seed}")
        assert run.stopped_at is not None or run.taken == ITEMS, seed  # the end of the items is no other end
        assert asyncio.all_tasks() == before
    assert cancelled > len(seeds)


async def test_whatever_is_cancelled_by_others_every_item_is_told() -> None:
    await with_strangers(range(100))


@pytest.mark.torture
async def test_whatever_is_cancelled_by_others_every_item_is_told_at_length() -> None:
    await with_strangers(range(100, 5_000))
