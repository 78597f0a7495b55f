"""The permits: first come, first served, however many there are at the moment."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable

import anyio
import pytest
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint

from relaydance_async._limits import Permits

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def settle() -> None:
    """Let every task come as far as it can."""
    for _ in range(10):
        await checkpoint()


class Queue:
    """Tasks that wait for a permit, by name; `admitted` has those that got one, in order."""

    def __init__(self, permits: Permits, group: TaskGroup) -> None:
        self.permits = permits
        self.admitted: list[str] = []
        self.scopes: dict[str, anyio.CancelScope] = {}
        self._group = group

    async def join(self, *names: str) -> None:
        for name in names:
            self.scopes[name] = anyio.CancelScope()
            self._group.start_soon(self._wait, name)
            await settle()

    async def _wait(self, name: str) -> None:
        with self.scopes[name]:
            await self.permits.acquire()
            self.admitted.append(name)


async def with_queue(permits: Permits, run: Callable[[Queue], Awaitable[None]]) -> None:
    async with anyio.create_task_group() as group:
        await run(Queue(permits, group))
        group.cancel_scope.cancel()


async def test_permits_are_given_at_once_up_to_the_maximum() -> None:
    async def run(queue: Queue) -> None:
        await queue.join("a", "b", "c")
        assert queue.admitted == ["a", "b"]
        assert (queue.permits.in_use, queue.permits.waiting, queue.permits.limit) == (2, 1, 2)

    await with_queue(Permits(2), run)


async def test_waiters_are_served_in_the_order_they_came() -> None:
    async def run(queue: Queue) -> None:
        await queue.join("a", "b", "c", "d")
        for count in (1, 2, 3):
            queue.permits.release()
            await settle()
            assert queue.admitted == ["a", "b", "c", "d"][: count + 1]

    await with_queue(Permits(1), run)


async def test_a_newcomer_does_not_overtake_one_who_was_just_admitted_or_still_waits() -> None:
    async def run(queue: Queue) -> None:
        await queue.join("a", "b")
        queue.permits.release()  # b's turn, though b has not run yet
        assert (queue.permits.in_use, queue.permits.waiting) == (1, 0)
        await queue.join("c")
        assert queue.admitted == ["a", "b"]
        assert queue.permits.waiting == 1

    await with_queue(Permits(1), run)


async def test_a_waiter_that_is_cancelled_leaves_its_place() -> None:
    async def run(queue: Queue) -> None:
        await queue.join("a", "b", "c")
        queue.scopes["b"].cancel()
        await settle()
        assert queue.permits.waiting == 1
        queue.permits.release()
        await settle()
        assert queue.admitted == ["a", "c"]
        assert queue.permits.in_use == 1

    await with_queue(Permits(1), run)


async def test_a_waiter_that_is_cancelled_when_just_admitted_hands_its_permit_on() -> None:
    async def run(queue: Queue) -> None:
        await queue.join("a", "b", "c")
        queue.permits.release()
        queue.scopes["b"].cancel()  # before b has run
        await settle()
        assert len(queue.admitted) == 2
        assert queue.permits.in_use == 1
        queue.permits.release()
        await settle()
        assert queue.permits.waiting == 0

    await with_queue(Permits(1), run)


async def test_a_cancelled_admission_without_anyone_waiting_frees_the_permit() -> None:
    async def run(queue: Queue) -> None:
        await queue.join("a", "b")
        queue.permits.release()
        queue.scopes["b"].cancel()
        await settle()
        assert queue.permits.in_use == len(queue.admitted) - 1

    await with_queue(Permits(1), run)


async def test_the_limit_halves_and_never_falls_below_one() -> None:
    permits = Permits(100)
    limits: list[int] = []
    for _ in range(9):
        permits.shrink()
        limits.append(permits.limit)
    assert limits == [50, 25, 12, 6, 3, 1, 1, 1, 1]


async def test_the_limit_grows_by_about_one_for_each_limits_worth_of_successes_up_to_the_maximum() -> None:
    permits = Permits(20)
    permits.shrink()
    for _ in range(10):
        permits.grow()
    assert permits.limit == 10  # just below 11: the steps get smaller on the way
    permits.grow()
    assert permits.limit == 11
    for _ in range(1000):
        permits.grow()
    assert permits.limit == 20


async def test_a_smaller_limit_admits_nobody_until_enough_permits_are_back() -> None:
    async def run(queue: Queue) -> None:
        await queue.join("a", "b", "c", "d", "e")
        queue.permits.shrink()
        queue.permits.release()
        queue.permits.release()
        await settle()
        assert queue.admitted == ["a", "b", "c", "d"]
        assert queue.permits.in_use == queue.permits.limit == 2
        queue.permits.release()
        await settle()
        assert queue.admitted == ["a", "b", "c", "d", "e"]

    await with_queue(Permits(4), run)


async def test_a_larger_limit_admits_the_next_without_waiting_for_a_permit_to_come_back() -> None:
    async def run(queue: Queue) -> None:
        queue.permits.shrink()
        await queue.join("a", "b", "c")
        assert queue.admitted == ["a"]
        queue.permits.grow()
        await settle()
        assert queue.admitted == ["a", "b"]

    await with_queue(Permits(2), run)


async def test_under_random_cancellation_no_permit_is_lost_and_none_is_given_twice() -> None:
    permits, rng = Permits(3), random.Random(1)
    most = 0

    async def work(scope: anyio.CancelScope) -> None:
        nonlocal most
        with scope:
            await permits.acquire()
            most = max(most, permits.in_use)
            try:
                for _ in range(rng.randrange(3)):
                    await checkpoint()
            finally:
                permits.release()

    async with anyio.create_task_group() as group:
        scopes = [anyio.CancelScope() for _ in range(200)]
        for scope in scopes:
            group.start_soon(work, scope)
        for scope in rng.sample(scopes, 150):
            await checkpoint()
            scope.cancel()
            rng.choice([permits.shrink, permits.grow])()
    assert most == 3
    assert (permits.in_use, permits.waiting) == (0, 0)
