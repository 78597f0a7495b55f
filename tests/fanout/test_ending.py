"""However a fan-out is left: what is under way is cancelled and waited for, and nothing is swallowed."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import pytest

from relaydance_async import fan_out, fan_out_list, maybe_accepted
from relaydance_async.errors import mark_accepted
from tests.fanout.support import Gate, aiter_of, no_task_left, settle

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("problems")]


class CustomError(Exception):
    pass


async def test_break_cancels_what_is_under_way_and_waits_for_it() -> None:
    gate = Gate()
    async with no_task_left(), fan_out(gate, itertools.count(), in_flight=4) as outcomes:
        await settle()
        gate.let_go(1)
        async for outcome in outcomes:
            assert outcome.item == 1
            break
    assert sorted(gate.cancelled) == [0, 2, 3]
    assert gate.under_way == 0
    assert [one.item for one in outcomes.untaken] == [0, 2, 3]
    assert all(isinstance(one.error, asyncio.CancelledError) for one in outcomes.untaken)


async def test_what_had_ended_and_was_not_taken_is_not_lost() -> None:
    gate = Gate()
    async with fan_out(gate, range(4)) as outcomes:
        await settle()
        gate.let_go(2)
        gate.fail(1, CustomError())
        await settle()
    late = {one.item: one for one in outcomes.untaken}
    assert late[2].value == 2
    assert isinstance(late[1].error, CustomError)
    assert [one.item for one in outcomes.untaken] == [0, 1, 2, 3]


async def test_what_a_cancelled_item_says_is_not_lost() -> None:
    async def paid(item: int) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError as error:
            mark_accepted(error, True, note=f"resume with task_{item}")
            raise

    async with fan_out(paid, range(2)) as outcomes:
        await settle()
    assert [one.error.__notes__ for one in outcomes.untaken if one.error] == [
        ["resume with task_0"],
        ["resume with task_1"],
    ]
    assert [maybe_accepted(one.error) for one in outcomes.untaken if one.error] == [True, True]


async def test_what_an_item_comes_to_although_it_is_cancelled_is_not_lost() -> None:
    async def stubborn(item: int) -> int:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(0.01)
            if item:
                raise CustomError from None
        return item

    async with no_task_left(), fan_out(stubborn, range(2)) as outcomes:
        await settle()
    assert outcomes.untaken[0].value == 0
    assert isinstance(outcomes.untaken[1].error, CustomError)


@pytest.mark.parametrize("wrap", [iter, aiter_of], ids=["plain", "async"])
async def test_an_exception_comes_out_unchanged(wrap: Any) -> None:
    gate = Gate()
    mine = CustomError()

    async def run() -> None:
        async with no_task_left(), fan_out(gate, wrap(itertools.count()), in_flight=3):
            await settle()
            raise mine

    with pytest.raises(CustomError) as caught:
        await run()
    assert caught.value is mine
    assert gate.under_way == 0


async def test_left_at_once_nothing_has_begun() -> None:
    gate = Gate()
    async with no_task_left(), fan_out(gate, range(5)):
        pass
    assert gate.begun == []


async def test_cancelled_it_ends_its_items_and_says_so() -> None:
    gate = Gate()

    async def run() -> None:
        async with fan_out(gate, itertools.count(), in_flight=3) as outcomes:
            async for _ in outcomes:
                pass

    async with no_task_left():
        task = asyncio.create_task(run())
        await settle()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert gate.cancelled == [0, 1, 2]
    assert task.cancelled()


async def test_cancelled_again_while_items_end_it_still_waits_for_them() -> None:
    gate, ended = Gate(), Gate()

    async def slow_to_end(item: int) -> None:
        try:
            await gate(item)
        finally:
            await ended(item)

    async def run() -> None:
        async with fan_out(slow_to_end, range(3)) as outcomes:
            async for _ in outcomes:
                pass

    async with no_task_left():
        task = asyncio.create_task(run())
        for _ in range(5):
            await settle()
            assert not task.done()
            task.cancel()
        await settle()
        assert ended.begun == [0, 1, 2]
        for item in range(3):
            assert not task.done()
            ended.let_go(item)
            await settle()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert ended.cancelled == []  # an item is told once


async def test_cancelled_while_it_ends_for_another_reason_it_says_so() -> None:
    gate, ended = Gate(), Gate()

    async def slow_to_end(item: int) -> None:
        try:
            await gate(item)
        finally:
            await ended(item)

    async def run() -> None:
        async with fan_out(slow_to_end, range(1)):
            await settle()
            raise CustomError

    async with no_task_left():
        task = asyncio.create_task(run())
        await settle()
        await settle()
        task.cancel()
        await settle()
        ended.let_go(0)
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
    assert isinstance(caught.value.__context__, CustomError)


async def test_a_timeout_around_it_is_a_timeout() -> None:
    gate = Gate()

    async def run() -> None:
        async with no_task_left(), asyncio.timeout(0.01), fan_out(gate, range(3)) as outcomes:
            async for _ in outcomes:
                pass

    with pytest.raises(TimeoutError):
        await run()
    assert gate.under_way == 0
    current = asyncio.current_task()
    assert current is not None
    assert current.cancelling() == 0


async def test_a_cancel_scope_around_it_waits_without_spinning(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate()
    waits = 0

    async def slow_to_end(item: int) -> None:
        try:
            await gate(item)
        finally:
            await asyncio.sleep(0.05)

    async def counted() -> None:
        nonlocal waits
        waits += 1
        await wait()

    outcomes: Any = fan_out(slow_to_end, range(3))
    wait = outcomes._news.wait
    monkeypatch.setattr(outcomes._news, "wait", counted)
    with anyio.move_on_after(0.01) as scope:
        async with no_task_left(), outcomes:
            async for _ in outcomes:
                pass
    assert scope.cancelled_caught
    assert [one.item for one in outcomes.untaken] == [0, 1, 2]
    assert waits <= 6  # the scope cancels again in each turn of the loop


async def test_a_task_group_around_it_that_fails_ends_it() -> None:
    gate = Gate()

    async def fail() -> None:
        await settle()
        raise CustomError

    async def run() -> None:
        async with fan_out(gate, itertools.count(), in_flight=5) as outcomes:
            async for _ in outcomes:
                pass

    async def run_both() -> None:
        async with no_task_left(), asyncio.TaskGroup() as group:
            group.create_task(run())
            group.create_task(fail())

    with pytest.raises(ExceptionGroup) as caught:
        await run_both()
    assert [type(error) for error in caught.value.exceptions] == [CustomError]
    assert gate.under_way == 0


async def test_one_inside_another() -> None:
    gate = Gate()

    async def outer(item: int) -> list[int]:
        return [one.value for one in await fan_out_list(gate, [10 * item, 10 * item + 1])]

    async with no_task_left(), fan_out(outer, itertools.count(), in_flight=2) as outcomes:
        await settle()
        gate.let_go(0)
        gate.let_go(1)
        assert (await anext(outcomes)).value == [0, 1]
    assert gate.under_way == 0


async def test_a_plain_iterator_can_be_gone_on_with() -> None:
    items = iter(range(10))
    async with fan_out(Gate(), items, in_flight=4):
        await settle()
    assert next(items) == 4


async def test_an_async_generator_is_closed_in_the_task_that_asked_it() -> None:
    gate = Gate()
    closed: list[bool] = []

    async def rows(*, wait: bool) -> AsyncIterator[int]:
        began_in = asyncio.current_task()
        try:
            yield 1
            if wait:
                await asyncio.sleep(60)
            yield 2
        finally:
            await asyncio.sleep(0)
            closed.append(asyncio.current_task() is began_in)

    for wait, in_flight in ((True, 5), (False, 1)):
        async with no_task_left(), fan_out(gate, rows(wait=wait), in_flight=in_flight):
            await settle()
    assert closed == [True, True]


async def test_an_item_that_is_given_although_it_was_cancelled_is_told() -> None:
    class Stubborn:
        def __aiter__(self) -> AsyncIterator[int]:
            return self

        async def __anext__(self) -> int:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                return 7
            raise AssertionError

    gate = Gate()
    async with no_task_left(), fan_out(gate, Stubborn()) as outcomes:
        await settle()
    assert gate.begun == []
    assert [one.item for one in outcomes.untaken] == [7]


async def test_an_item_that_cancels_itself_is_an_outcome() -> None:
    async def quit_it(item: int) -> int:
        if item == 1:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
        await asyncio.sleep(0)
        return item

    got = await fan_out_list(quit_it, range(3))
    assert isinstance(got[1].error, asyncio.CancelledError)
    assert [got[0].value, got[2].value] == [0, 2]


async def test_a_task_that_somebody_cancels_before_it_begins_has_an_outcome_too() -> None:
    gate = Gate()
    before = asyncio.all_tasks()

    def items() -> Iterator[int]:
        yield 0
        for task in asyncio.all_tasks() - before:
            if task is not asyncio.current_task():
                task.cancel()
        yield 1

    async with no_task_left(), fan_out(gate, items()) as outcomes:
        cancelled = await anext(outcomes)
        assert (cancelled.item, type(cancelled.error)) == (0, asyncio.CancelledError)
        gate.let_go(1)
        assert (await anext(outcomes)).value == 1
    assert gate.begun == [1]


class Halt(BaseException):
    pass


async def test_what_is_no_exception_ends_the_fan_out() -> None:
    gate = Gate()

    async def halt(item: int) -> int:
        if item == 2:
            raise Halt
        return await gate(item)

    async def iterate() -> None:
        async with no_task_left(), fan_out(halt, itertools.count(), in_flight=4) as outcomes:
            async for _ in outcomes:
                pass

    async def only_leave() -> None:
        async with no_task_left(), fan_out(halt, itertools.count(), in_flight=4):
            await settle()

    for run in (iterate, only_leave):
        with pytest.raises(Halt):
            await run()
        assert gate.under_way == 0


def test_a_keyboard_interrupt_of_an_item_comes_out() -> None:
    gate = Gate()

    async def interrupted(item: int) -> int:
        if item == 1:
            raise KeyboardInterrupt
        return await gate(item)

    async def run() -> None:
        async with fan_out(interrupted, range(3)) as outcomes:
            async for _ in outcomes:
                pass

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(run())
    assert gate.under_way == 0
