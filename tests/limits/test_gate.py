"""The gate: after a 429 all calls of a key wait, and then pass at a pace that is learned."""

from __future__ import annotations

import asyncio
import random
from itertools import pairwise

import anyio
import pytest
from anyio.lowlevel import checkpoint

from relaydance_async._limits import Gate, Line
from tests.kit.clocks import QuickClock

pytestmark = pytest.mark.anyio


@pytest.fixture
def clock() -> QuickClock:
    return QuickClock()


@pytest.fixture
def gate(clock: QuickClock) -> Gate:
    return Gate(clock.monotonic, clock.sleep)


async def open_up(gate: Gate, clock: QuickClock) -> None:
    """Pass the first calls of a client, none of which is refused."""
    while gate.rate is not None:
        await gate.wait(Line())
    clock.sleeps.clear()


async def test_the_first_calls_pass_ever_faster_until_the_gate_is_open(clock: QuickClock, gate: Gate) -> None:
    passed: list[float] = []
    begun = clock.at
    while gate.rate is not None:
        await gate.wait(Line())
        passed.append(clock.at - begun)
    assert passed[9] == passed[0] == 0
    assert passed[99] == pytest.approx(0.13, abs=0.02)
    gaps = [after - before for before, after in pairwise(passed[12:])]
    assert gaps == sorted(gaps, reverse=True)
    assert passed[-1] < 0.2


async def test_a_trickle_of_first_calls_waits_for_nothing(clock: QuickClock, gate: Gate) -> None:
    for _ in range(300):
        await gate.wait(Line())
        clock.at += 0.01
    assert clock.sleeps == []


async def test_an_open_pace_costs_no_wait(clock: QuickClock, gate: Gate) -> None:
    await open_up(gate, clock)
    for _ in range(1000):
        await gate.wait(Line())
    assert clock.sleeps == []
    assert gate.rate is None


async def test_a_refusal_closes_it_for_as_long_as_was_asked(clock: QuickClock, gate: Gate) -> None:
    gate.refused(5.0, clock.at)
    assert gate.remaining() == 5.0
    await gate.wait(Line())
    assert clock.sleeps == [5.0]
    assert gate.remaining() == 0.0


async def test_a_refusal_closes_an_open_pace_too(clock: QuickClock, gate: Gate) -> None:
    await open_up(gate, clock)
    gate.refused(5.0, clock.at)
    assert gate.remaining() == 5.0


async def test_the_other_refusals_of_a_volley_may_lengthen_the_pause(clock: QuickClock, gate: Gate) -> None:
    for asked in (5.0, 2.0, 7.0, 3.0):
        gate.refused(asked, clock.at)
    assert gate.remaining() == 7.0


async def test_a_pause_that_grows_while_somebody_waits_is_waited_out(clock: QuickClock) -> None:
    async def sleep(seconds: float) -> None:
        await clock.sleep(seconds)
        if len(clock.sleeps) == 1:
            clock.at -= 0.5
            longer.refused(3.0, clock.at)

    longer = Gate(clock.monotonic, sleep)
    longer.refused(1.0, clock.at)
    await longer.wait(Line())
    assert clock.sleeps == [1.0, 3.0]


async def test_after_the_pause_calls_pass_ever_faster_until_the_gate_is_open_again(
    clock: QuickClock, gate: Gate
) -> None:
    begun = clock.at
    gate.refused(1.0, begun)
    line = Line()
    passed: list[float] = []
    for _ in range(20):
        await gate.wait(line)
        passed.append(clock.at)
    assert passed[0] == begun + 1.0
    gaps = [after - before for before, after in pairwise(passed)]
    assert gaps == sorted(gaps, reverse=True)
    for _ in range(60):
        clock.at += 1.0
        await gate.wait(line)
    assert gate.rate is None


async def learn(gate: Gate, clock: QuickClock, limit: float) -> None:
    """Pass calls at that limit, refused where they are too many, until the pace is a learned one."""
    line = Line()
    begun, accepted = clock.at, 0
    while clock.at < begun + 10:
        passed_at = await gate.wait(line)
        if accepted < 5 + limit * (clock.at - begun):
            accepted += 1
        else:
            gate.refused(1.0, passed_at)


async def test_one_refusal_in_a_quiet_second_halves_the_pace_and_no_more(clock: QuickClock, gate: Gate) -> None:
    await learn(gate, clock, limit=100.0)
    clock.at += 1.0
    line = Line()
    gate.refused(1.0, await gate.wait(line))
    clock.sleeps.clear()
    for _ in range(5):
        clock.at += 1.0
        await gate.wait(line)
    assert clock.sleeps == []
    assert gate.rate is not None
    assert gate.rate > 40


async def test_cancelling_the_one_whose_turn_it_is_lets_the_next_have_it(clock: QuickClock) -> None:
    asleep = anyio.Event()

    async def sleep(seconds: float) -> None:
        if not asleep.is_set():
            asleep.set()
            await anyio.sleep_forever()
        await clock.sleep(seconds)

    line = Line()
    closed = Gate(clock.monotonic, sleep)
    closed.refused(5.0, clock.at)
    first = anyio.CancelScope()

    async def wait_first() -> None:
        with first:
            await closed.wait(line)

    async with anyio.create_task_group() as group:
        group.start_soon(wait_first)
        await asleep.wait()
        group.start_soon(closed.wait, line)
        await checkpoint()
        first.cancel()
    assert clock.sleeps == [5.0]
    assert not line.led


async def test_all_who_wait_pass_in_one_turn_of_the_loop_when_the_gate_opens(clock: QuickClock, gate: Gate) -> None:
    line = Line()
    waiting = 1_000
    passed = 0

    async def wait() -> None:
        nonlocal passed
        await gate.wait(line)
        passed += 1

    async with anyio.create_task_group() as group:
        for _ in range(waiting):
            group.start_soon(wait)
        while gate.rate is not None:
            await checkpoint()
        await checkpoint()
        assert passed == waiting
    assert not line.led


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # whose own cancellation comes even after the wake-up
async def test_one_who_is_cancelled_when_just_made_the_first_lets_the_next_be_it(clock: QuickClock) -> None:
    asleep = asyncio.Event()

    async def sleep(seconds: float) -> None:
        if not asleep.is_set():
            asleep.set()
            await asyncio.sleep(60)
        await clock.sleep(seconds)

    line = Line()
    closed = Gate(clock.monotonic, sleep)
    closed.refused(5.0, clock.at)
    first, second, third = (asyncio.create_task(closed.wait(line)) for _ in range(3))
    await asleep.wait()
    first.cancel()
    while len(line.others) == 2:  # noqa: ASYNC110  (one turn of the loop)
        await asyncio.sleep(0)
    second.cancel()  # which has not run since
    await asyncio.wait([first, second, third], timeout=5)
    assert (first.cancelled(), second.cancelled(), third.cancelled()) == (True, True, False)
    assert clock.sleeps == [5.0]
    assert not line.led


async def test_under_random_cancellation_nobody_is_forgotten(clock: QuickClock, gate: Gate) -> None:
    dice = random.Random(7)
    line = Line()
    gate.refused(1.0, clock.at)
    passed = 0

    async def wait(scope: anyio.CancelScope) -> None:
        nonlocal passed
        with scope:
            await gate.wait(line)
            passed += 1

    scopes: list[anyio.CancelScope] = []
    async with anyio.create_task_group() as group:
        for _ in range(500):
            scopes.append(anyio.CancelScope())
            group.start_soon(wait, scopes[-1])
            if dice.random() < 0.6:
                await checkpoint()
            if dice.random() < 0.4:
                dice.choice(scopes).cancel()
    assert passed + sum(scope.cancelled_caught for scope in scopes) == 500
    assert passed > 250
    assert not line.led
    assert not line.others
