"""What a fan-out gives: an outcome for each item, as they end or in order, with only so many at a time."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import itertools
import pickle
import sys
import time
import tracemalloc
import weakref
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from functools import partial
from typing import Any

import pytest
import trio

from relaydance_async import ConfigurationError, FanOutStoppedError, InvalidInputError, Outcome, fan_out, fan_out_list
from tests.fanout.support import Gate, aiter_of, double, no_task_left, settle

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("problems")]


@pytest.mark.parametrize("wrap", [list, iter, dict.fromkeys])
async def test_each_item_has_one_outcome(wrap: Callable[[range], Iterable[int]]) -> None:
    async with no_task_left(), fan_out(double, wrap(range(50)), in_flight=7) as outcomes:
        got = [outcome async for outcome in outcomes]
    assert sorted((one.index, one.item, one.value) for one in got) == [(n, n, 2 * n) for n in range(50)]
    assert all(one.error is None for one in got)
    assert outcomes.untaken == []


@pytest.mark.parametrize("in_flight", [1, 2, 49, 50, 51, 1000])
async def test_an_async_iterable_does_as_well(in_flight: int) -> None:
    async with no_task_left(), fan_out(double, aiter_of(range(50)), in_flight=in_flight) as outcomes:
        assert sorted([outcome.value async for outcome in outcomes]) == [2 * n for n in range(50)]


@pytest.mark.parametrize("wrap", [list, aiter_of], ids=["list", "async"])
async def test_no_items_are_no_outcomes(wrap: Any) -> None:
    async with no_task_left(), fan_out(double, wrap([])) as outcomes:
        assert [outcome async for outcome in outcomes] == []
        assert [outcome async for outcome in outcomes] == []  # asked again, it says the same


async def test_they_come_as_they_end() -> None:
    gate = Gate()
    async with fan_out(gate, range(3)) as outcomes:
        await settle()
        for item in (2, 0, 1):
            gate.let_go(item)
            assert (await anext(outcomes)).item == item
        with pytest.raises(StopAsyncIteration):
            await anext(outcomes)


async def test_or_in_the_order_of_the_items() -> None:
    gate = Gate()
    async with fan_out(gate, range(5), in_flight=3, ordered=True) as outcomes:
        await settle()
        gate.let_go(2)
        gate.let_go(1)
        await settle()
        assert gate.begun == [0, 1, 2]  # the two that have ended keep their places: memory is bounded
        gate.let_go(0)
        assert [(await anext(outcomes)).item for _ in range(3)] == [0, 1, 2]
        await settle()
        gate.let_go(4)
        gate.let_go(3)
        assert [outcome.item async for outcome in outcomes] == [3, 4]


async def test_an_item_that_fails_stops_no_other() -> None:
    async def halve(item: int) -> float:
        await asyncio.sleep(0)
        return 10 / item

    async with no_task_left(), fan_out(halve, [0, 1, 2]) as outcomes:
        by_item = {outcome.item: outcome async for outcome in outcomes}
    assert isinstance(by_item[0].error, ZeroDivisionError)
    with pytest.raises(ZeroDivisionError):
        _ = by_item[0].value
    assert by_item[2].value == 5


async def test_what_fails_before_it_waits_is_an_outcome_too() -> None:
    def refuse(item: int) -> Any:
        raise ValueError(item)

    (outcome,) = await fan_out_list(refuse, [7])
    assert isinstance(outcome.error, ValueError)


async def test_the_traceback_is_that_of_the_function_alone() -> None:
    async def fail(item: int) -> None:
        raise ValueError(item)

    (outcome,) = await fan_out_list(fail, [7])
    assert outcome.error is not None
    assert outcome.error.__traceback__ is not None
    assert outcome.error.__traceback__.tb_frame.f_code.co_name == "fail"


async def test_never_more_are_under_way_than_are_asked_for() -> None:
    most = 0
    under_way = 0

    async def work(item: int) -> None:
        nonlocal most, under_way
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0 if item % 3 else 0.001)
        under_way -= 1

    async with fan_out(work, range(300), in_flight=20) as outcomes:
        assert len([outcome async for outcome in outcomes]) == 300
    assert most == 20


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("wrap", [iter, aiter_of], ids=["plain", "async"])
async def test_items_are_taken_as_there_is_room_and_results_push_back(ordered: bool, wrap: Any) -> None:
    taken = 0

    def endless() -> Iterator[int]:
        nonlocal taken
        for item in itertools.count():
            taken += 1
            yield item

    async with no_task_left(), fan_out(double, wrap(endless()), in_flight=10, ordered=ordered) as outcomes:
        for seen in range(100):
            await settle()
            await settle()
            assert taken == seen + 10  # all of them have ended, and wait for us
            await anext(outcomes)


async def test_endless_items_that_come_one_by_one() -> None:
    queue: asyncio.Queue[int] = asyncio.Queue()

    async def orders() -> AsyncIterator[int]:
        while True:
            yield await queue.get()

    async with no_task_left(), fan_out(double, orders()) as outcomes:
        for order in range(5):
            queue.put_nowait(order)
            assert (await anext(outcomes)).value == 2 * order


async def test_a_wait_for_an_outcome_can_be_given_up_and_nothing_is_lost() -> None:
    gate = Gate()
    async with fan_out(gate, range(2)) as outcomes:
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0):
                    await anext(outcomes)
        gate.let_go(1)
        gate.let_go(0)
        assert [outcome.item async for outcome in outcomes] == [1, 0]


async def test_several_may_iterate_over_one() -> None:
    seen: list[int] = []

    async def consume() -> None:
        async for outcome in outcomes:
            seen.append(outcome.item)
            await asyncio.sleep(0)

    async with fan_out(double, range(200), in_flight=9) as outcomes, asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(consume())
    assert sorted(seen) == list(range(200))


async def test_who_still_reads_when_it_is_left_comes_to_the_end() -> None:
    gate = Gate()

    async def read() -> list[int]:
        return [outcome.item async for outcome in outcomes]

    async with fan_out(gate, range(2)) as outcomes:
        waiting = asyncio.create_task(read())
        await settle()
    assert await waiting == []
    assert [left.item for left in outcomes.untaken] == [0, 1]


async def test_an_item_has_a_context_of_its_own() -> None:
    name: contextvars.ContextVar[int] = contextvars.ContextVar("name", default=-1)
    name.set(100)

    async def look(item: int) -> int:
        before = name.get()
        name.set(item)
        await asyncio.sleep(0)
        assert name.get() == item
        return before

    assert [one.value for one in await fan_out_list(look, range(20), in_flight=2)] == [100] * 20
    assert name.get() == 100


async def test_the_seconds_are_those_of_the_function() -> None:
    async def work(item: int) -> float:
        began = time.perf_counter()
        await asyncio.sleep(0.01)
        return time.perf_counter() - began

    async def fail(item: int) -> None:
        await asyncio.sleep(0.01)
        raise ValueError(time.perf_counter())

    began = time.perf_counter()
    worked = await fan_out_list(work, range(3), in_flight=1)
    failed = await fan_out_list(fail, range(3), in_flight=1)
    total = time.perf_counter() - began
    assert all(outcome.seconds >= outcome.value for outcome in worked)
    assert all(outcome.seconds > 0.005 for outcome in failed)
    assert sum(outcome.seconds for outcome in worked + failed) <= total


async def test_the_list_is_in_the_order_of_the_items() -> None:
    async def work(item: int) -> int:
        await asyncio.sleep(0.005 * (5 - item))
        return item

    got = await fan_out_list(work, range(5))
    assert [(one.index, one.value) for one in got] == [(n, n) for n in range(5)]


@pytest.mark.parametrize(
    ("function", "items", "options", "what"),
    [
        (None, [], {}, "async function"),
        (double, 3, {}, "iterable"),
        (double, None, {}, "iterable"),
        (double, [], {"in_flight": 0}, "in_flight"),
        (double, [], {"in_flight": -1}, "in_flight"),
        (double, [], {"in_flight": 2.0}, "in_flight"),
        (double, [], {"in_flight": True}, "in_flight"),
        (double, [], {"stop_on": 7}, "stop_on"),
        (double, [], {"stop_on": (ValueError, int)}, "stop_on"),
    ],
)
async def test_what_it_does_not_take(function: Any, items: Any, options: dict[str, Any], what: str) -> None:
    with pytest.raises(InvalidInputError, match=what):
        fan_out(function, items, **options)


async def test_a_plain_function_is_told_at_its_first_item() -> None:
    def plain(item: int) -> int:
        return item

    function: Any = plain
    with pytest.raises(FanOutStoppedError, match=r"plain returned int") as caught:
        await fan_out_list(function, itertools.count(), in_flight=3)
    assert isinstance(caught.value.__cause__, InvalidInputError)
    assert caught.value.index == 3


async def test_any_callable_that_gives_an_awaitable_will_do() -> None:
    def start(item: int) -> asyncio.Future[int]:
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        future.set_result(item)
        return future

    async def add(more: int, item: int) -> int:
        return item + more

    assert [one.value for one in await fan_out_list(start, [1, 2])] == [1, 2]
    assert [one.value for one in await fan_out_list(partial(add, 10), [1, 2])] == [11, 12]


async def test_it_is_iterated_inside_only_and_entered_once() -> None:
    outcomes = fan_out(double, range(3))
    with pytest.raises(InvalidInputError, match="async with"):
        await anext(outcomes)
    async with outcomes:
        pass
    assert [outcome async for outcome in outcomes] == []
    with pytest.raises(InvalidInputError, match="once"):
        await outcomes.__aenter__()


def test_trio_is_told_apart() -> None:
    async def run() -> None:
        with pytest.raises(ConfigurationError, match="asyncio"):
            await fan_out(double, [1]).__aenter__()

    trio.run(run)


async def test_an_outcome_says_what_it_is_and_pickles() -> None:
    good = Outcome(3, "row", value=1, error=None, seconds=0.5)
    bad: Outcome[str, int] = Outcome(4, "row", error=KeyError(1), seconds=0)
    assert repr(good) == "Outcome(index=3, item='row', value=1, seconds=0.500)"
    assert repr(bad) == "Outcome(index=4, item='row', error=KeyError(1), seconds=0.000)"
    copy = pickle.loads(pickle.dumps(good))
    assert (copy.index, copy.item, copy.value, copy.error, copy.seconds) == (3, "row", 1, None, 0.5)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
@pytest.mark.parametrize("ordered", [False, True])
async def test_tasks_that_begin_eagerly(ordered: bool) -> None:
    async def at_once(item: int) -> int:
        if item % 5 == 0:
            await asyncio.sleep(0)
        return item

    loop = asyncio.get_running_loop()
    if "uvloop" in type(loop).__module__:
        pytest.skip("uvloop calls this factory with an argument that it doesn't know")
    before = loop.get_task_factory()
    loop.set_task_factory(getattr(asyncio, "eager_task_factory"))  # noqa: B009  (not in 3.11's types)
    try:
        async with no_task_left(), fan_out(at_once, range(100), in_flight=8, ordered=ordered) as outcomes:
            assert sorted([outcome.value async for outcome in outcomes]) == list(range(100))
        async with no_task_left(), fan_out(at_once, itertools.count(), in_flight=8) as outcomes:
            await anext(outcomes)
    finally:
        loop.set_task_factory(before)


async def test_a_million_items_take_no_more_memory_than_those_in_flight() -> None:
    async def nothing(item: int) -> None:
        pass

    async def peak(count: int) -> int:
        tracemalloc.reset_peak()
        async with fan_out(nothing, range(count), in_flight=100) as outcomes:
            async for _ in outcomes:
                pass
        return tracemalloc.get_traced_memory()[1]

    tracemalloc.start()
    try:
        await peak(1_000)
        few, many = await peak(2_000), await peak(20_000)
    finally:
        tracemalloc.stop()
    assert many < few + 100_000


async def test_nothing_is_left_to_the_garbage_collector() -> None:
    async def work(item: int) -> object:
        await asyncio.sleep(0)
        if item % 2:
            raise ValueError(item)
        return object()

    gc.collect()
    gc.disable()
    try:
        async with fan_out(work, range(50), in_flight=5) as outcomes:
            async for _ in outcomes:
                pass
        async with fan_out(work, itertools.count(), in_flight=5) as broken_off:
            await anext(broken_off)
        dropped = [weakref.ref(outcomes), weakref.ref(broken_off)]
        del outcomes, broken_off
        await settle()
        assert [one() for one in dropped] == [None, None]
    finally:
        gc.enable()
