"""What a deadline does to a task: on asyncio a timer that cancels it, on trio a scope."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import AbstractContextManager
from typing import Any

import anyio
import pytest

from relaydance_async import APITimeoutError
from relaydance_async._call.deadline import Deadline
from relaydance_async._timers import Timers
from tests.kit.clocks import JumpingLoop


def run(work: Coroutine[Any, Any, None]) -> None:
    """In a loop whose time is not waited for."""
    with asyncio.Runner(loop_factory=lambda: JumpingLoop(alone=True)) as runner:
        runner.run(work)


def timed() -> Deadline:
    return Deadline(1.0, Timers(asyncio.get_running_loop()))


def scoped() -> Deadline:
    return Deadline(1.0, None)


BOTH = pytest.mark.parametrize("make", [timed, scoped])


@BOTH
def test_what_takes_longer_is_left_without_an_error(make: Callable[[], Deadline]) -> None:
    async def work() -> None:
        deadline = make()
        with deadline:
            await asyncio.sleep(60)
            pytest.fail("it went on")
        assert deadline.has_passed
        assert asyncio.get_running_loop().time() == pytest.approx(deadline.until)
        await asyncio.sleep(60)  # nothing is left of it

    run(work())


@BOTH
def test_what_is_quicker_is_let_be(make: Callable[[], Deadline]) -> None:
    async def work() -> None:
        deadline = make()
        with deadline:
            await asyncio.sleep(0.5)
        assert not deadline.has_passed
        await asyncio.sleep(60)

    run(work())


@BOTH
def test_an_error_goes_on_also_when_the_time_is_over(make: Callable[[], Deadline]) -> None:
    async def fail_after(seconds: float) -> None:
        with make():
            try:
                await asyncio.sleep(seconds)
            finally:
                raise ZeroDivisionError

    async def work() -> None:
        for seconds in (0.5, 60):
            with pytest.raises(ZeroDivisionError):
                await fail_after(seconds)
        await asyncio.sleep(60)

    run(work())


@BOTH
@pytest.mark.parametrize("after", [0.5, 1.0])
def test_a_cancellation_from_outside_goes_on_outwards(make: Callable[[], Deadline], after: float) -> None:
    async def wait() -> None:
        with make():
            await asyncio.sleep(60)

    async def work() -> None:
        task = asyncio.ensure_future(wait())
        asyncio.get_running_loop().call_at(after, task.cancel)
        await asyncio.wait([task])
        assert task.cancelled() or after == 1.0
        assert task.cancelling() == 1

    run(work())


OUTER: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "anyio, earlier": lambda: anyio.move_on_after(0.5),
    "anyio, at the same time": lambda: anyio.move_on_after(1.0),
    "anyio, later": lambda: anyio.move_on_after(2.0),
}


@BOTH
@pytest.mark.parametrize("outer", OUTER)
def test_scopes_around_it_are_as_they_were(make: Callable[[], Deadline], outer: str) -> None:
    async def work() -> None:
        with OUTER[outer]() as scope, make():
            await asyncio.sleep(60)
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        assert scope.cancelled_caught is (outer == "anyio, earlier") or outer == "anyio, at the same time"
        await asyncio.sleep(60)

    run(work())


@pytest.mark.parametrize("outer", [0.5, 1.0])
def test_a_timeout_around_it_says_that_it_was_that(outer: float) -> None:
    async def work() -> None:
        passed = False
        try:
            async with asyncio.timeout(outer):
                with timed():
                    await asyncio.sleep(60)
                passed = True
        except TimeoutError:
            pass
        else:
            assert passed
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        await asyncio.sleep(60)

    run(work())


def test_an_answer_that_came_in_the_same_turn_is_taken() -> None:
    async def work() -> None:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[str] = loop.create_future()
        deadline = timed()
        loop.call_at(deadline.until, answer.set_result, "paid for")
        with deadline:
            assert await answer == "paid for"
            return
        pytest.fail("it was thrown away")

    run(work())


def test_what_swallows_the_cancellation_is_cancelled_again() -> None:
    async def work() -> None:
        swallowed = 0
        deadline = timed()
        with deadline:
            while True:
                try:
                    await asyncio.sleep(60)
                except asyncio.CancelledError:
                    swallowed += 1
                    if swallowed == 3:
                        raise
        assert deadline.has_passed
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0

    run(work())


@BOTH
def test_the_pieces_of_a_stream_end_when_it_is_over_however_fast_they_come(make: Callable[[], Deadline]) -> None:
    async def quick() -> AsyncGenerator[bytes, None]:
        while True:
            loop = asyncio.get_running_loop()
            assert isinstance(loop, JumpingLoop)
            loop.skip(0.3)
            yield b"x"

    async def slow() -> AsyncGenerator[bytes, None]:
        yield b"x"
        await asyncio.sleep(60)

    async def short() -> AsyncGenerator[bytes, None]:
        yield b"x"

    async def collect(pieces: AsyncGenerator[bytes, None], came: list[bytes]) -> None:
        async for piece in pieces:
            came.append(piece)

    async def work() -> None:
        for pieces, most in ((quick(), 4), (slow(), 1)):
            came: list[bytes] = []
            with pytest.raises(APITimeoutError, match="the deadline of 1 s is over"):
                await collect(make().bound(pieces), came)
            assert len(came) == most
        assert [piece async for piece in make().bound(short())] == [b"x"]

    run(work())


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_on_trio_it_is_a_scope() -> None:
    pytest.importorskip("trio")
    deadline = Deadline(0.01, None)
    with deadline:
        await anyio.sleep(60)
    assert deadline.has_passed
