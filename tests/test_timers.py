"""Times that mostly never come: one timer of the loop serves them all."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Coroutine
from contextvars import ContextVar
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaydance_async._timers import Timers
from tests.kit.clocks import JumpingLoop


def run(work: Coroutine[Any, Any, None]) -> None:
    """In a loop whose time is not waited for."""
    with asyncio.Runner(loop_factory=lambda: JumpingLoop(alone=True)) as runner:
        runner.run(work)


def timers_of_the_loop(monkeypatch: pytest.MonkeyPatch | None = None) -> tuple[Timers, list[float]]:
    loop = asyncio.get_running_loop()
    set_at: list[float] = []
    call_at = loop.call_at

    def counted(when: float, *args: Any, **more: Any) -> Any:
        set_at.append(when)
        return call_at(when, *args, **more)

    if monkeypatch is not None:
        monkeypatch.setattr(loop, "call_at", counted)
    return Timers(loop), set_at


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), max_size=30))
def test_each_comes_once_in_its_order_and_at_its_time_unless_it_is_dropped(given_times: list[tuple[int, bool]]) -> None:
    async def work() -> None:
        timers, _ = timers_of_the_loop()
        loop = timers.loop
        came: list[tuple[float, int]] = []
        numbers = [
            timers.set(at, lambda at=at: came.append((loop.time(), at)))  # type: ignore[misc]
            for at, _ in given_times
        ]
        for number, (_, dropped) in zip(numbers, given_times, strict=True):
            if dropped:
                timers.drop(number)
                timers.drop(number)
        await asyncio.sleep(30)
        kept = sorted(at for at, dropped in given_times if not dropped)
        assert [at for _, at in came] == kept
        assert all(time == pytest.approx(at) for time, at in came)
        assert len(timers) == 0

    run(work())


def test_one_timer_of_the_loop_serves_many(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        timers, set_at = timers_of_the_loop(monkeypatch)
        for n in range(10_000):
            timers.drop(timers.set(60 + n / 1000, print))
        assert set_at == [60]
        assert len(timers._heap) <= 200  # pyright: ignore[reportPrivateUsage]
        timers.set(5, print)
        assert set_at == [60, 5]

    run(work())


def test_what_is_dropped_is_let_go_of_and_no_context_is_kept() -> None:
    held: ContextVar[object] = ContextVar("held")

    class Payload:
        def act(self) -> None: ...

    async def work() -> None:
        timers, _ = timers_of_the_loop()
        payload, in_context = Payload(), Payload()
        seen = [weakref.ref(payload), weakref.ref(in_context)]
        token = held.set(in_context)
        timers.drop(timers.set(60, payload.act))
        held.reset(token)
        del payload, in_context, token
        gc.collect()
        assert [each() for each in seen] == [None, None]

    run(work())


def test_one_can_be_set_from_another() -> None:
    async def work() -> None:
        timers, _ = timers_of_the_loop()
        came: list[float] = []

        def again() -> None:
            came.append(timers.loop.time())
            if len(came) < 3:
                timers.set(timers.loop.time() + 1, again)

        timers.set(1, again)
        await asyncio.sleep(10)
        assert came == pytest.approx([1, 2, 3])

    run(work())


def test_an_infinite_time_never_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        timers, set_at = timers_of_the_loop(monkeypatch)
        came: list[int] = []
        never = timers.set(float("inf"), lambda: came.append(2))
        timers.set(asyncio.get_running_loop().time() + 1, lambda: came.append(1))
        await asyncio.sleep(2)
        timers.drop(never)
        assert (came, len(timers)) == ([1], 0)
        assert float("inf") not in set_at  # uvloop can't set that

    run(work())
