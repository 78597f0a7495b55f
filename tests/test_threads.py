"""Work in threads: its result, its errors, and nothing that stays behind."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import os
import sys
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from functools import partial

import anyio
import anyio.to_thread
import pytest

from relaydance_async import _threads
from relaydance_async._threads import in_thread
from tests.kit.loops import Backend, backend_of
from tests.kit.waiting import wait_until

pytestmark = pytest.mark.anyio

variable = contextvars.ContextVar("variable", default="")


@pytest.fixture(params=["asyncio", "any on uvloop", "any on trio"])
def anyio_backend(request: pytest.FixtureRequest) -> Backend:
    return backend_of(request.param)


@pytest.fixture
def on_asyncio(anyio_backend: Backend) -> None:
    if anyio_backend == "trio":
        pytest.skip("anyio's own affair")


class Work:
    """Is done when it is told to be."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.go_on = threading.Event()
        self.ended = threading.Event()

    def __call__(self) -> None:
        self.begun.set()
        self.go_on.wait(5)
        self.ended.set()


@asynccontextmanager
async def under_way(work: Work, *, abandon_on_cancel: bool) -> AsyncGenerator[anyio.CancelScope]:
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: in_thread(work, abandon_on_cancel=abandon_on_cancel))
        await wait_until(work.begun.is_set)
        yield group.cancel_scope


async def test_it_runs_beside_the_loop_in_the_callers_context_and_gives_its_result() -> None:
    variable.set("mine")
    seen, thread = await in_thread(lambda: (variable.get(), threading.get_ident()))
    assert seen == "mine"
    assert thread != threading.get_ident()


@pytest.mark.parametrize("error", [OSError("full"), StopIteration()], ids=["OSError", "StopIteration"])
async def test_what_it_raises_comes_out(error: BaseException) -> None:
    def fail() -> None:
        raise error

    with pytest.raises((type(error), RuntimeError)) as caught:
        await in_thread(fail)
    assert error in (caught.value, caught.value.__cause__)


@pytest.mark.usefixtures("on_asyncio")
async def test_an_error_leaves_no_cycle() -> None:
    class Failure(Exception):
        pass

    def fail() -> None:
        raise Failure

    gc.disable()
    try:
        with suppress(Failure):
            await in_thread(fail)
        await wait_until(lambda: not any(isinstance(found, Failure) for found in gc.get_objects()))
    finally:
        gc.enable()


async def test_a_cancelled_caller_waits_for_it() -> None:
    work = Work()
    async with under_way(work, abandon_on_cancel=False) as scope:
        scope.cancel()
        work.go_on.set()
    assert work.ended.is_set()


async def test_a_caller_that_abandons_it_does_not() -> None:
    work = Work()
    with anyio.fail_after(5):
        async with under_way(work, abandon_on_cancel=True) as scope:
            scope.cancel()
    assert not work.ended.is_set()
    work.go_on.set()
    await wait_until(work.ended.is_set)


async def test_no_more_run_at_once_than_the_limiter_allows() -> None:
    limiter = anyio.to_thread.current_default_thread_limiter()
    limiter.total_tokens, before = 1, limiter.total_tokens
    work = Work()
    later: list[bool] = []
    async with anyio.create_task_group() as group:
        group.start_soon(in_thread, work)
        await wait_until(work.begun.is_set)
        group.start_soon(in_thread, lambda: later.append(work.ended.is_set()))
        await wait_until(lambda: limiter.statistics().tasks_waiting == 1)
        work.go_on.set()
    assert later == [True]
    limiter.total_tokens = before


@pytest.mark.usefixtures("on_asyncio")
async def test_work_that_follows_at_once_is_done_by_the_same_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_threads, "_LINGER", 5.0)
    try:
        first = await in_thread(threading.current_thread)
        for _ in range(100):
            assert await in_thread(threading.current_thread) is first
    finally:
        monkeypatch.undo()
        await in_thread(lambda: None)  # then it lingers no longer


@pytest.mark.usefixtures("on_asyncio")
async def test_a_thread_that_is_at_work_gets_no_other() -> None:
    work = Work()
    async with under_way(work, abandon_on_cancel=True) as scope:
        assert await in_thread(work.ended.is_set) is False
        scope.cancel()
        with anyio.fail_after(5):  # nor one that was left behind
            assert await in_thread(work.ended.is_set) is False
        work.go_on.set()


@pytest.mark.usefixtures("on_asyncio")
async def test_work_that_comes_just_as_a_thread_gives_up_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_threads, "_LINGER", 1e-5)
    with anyio.fail_after(30):
        for number in range(1000):
            assert await in_thread(partial(abs, number), abandon_on_cancel=True) == number


def window_closed(*_: object) -> None:
    """What a loop says of its end as no other does."""
    raise ValueError("the window was closed")


@pytest.mark.usefixtures("on_asyncio")
async def test_a_thread_whose_loop_is_gone_is_good_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_threads, "_LINGER", 0.2)
    work = Work()

    async def begin() -> object:
        return _threads.begin_in_thread(work)

    loop = asyncio.new_event_loop()
    monkeypatch.setattr(loop, "call_soon_threadsafe", window_closed)
    await anyio.to_thread.run_sync(lambda: loop.run_until_complete(begin()))
    loop.close()
    work.go_on.set()
    await wait_until(work.ended.is_set)
    with anyio.fail_after(5):
        for _ in range(3):
            assert await in_thread(lambda: 1, abandon_on_cancel=True) == 1


@pytest.mark.usefixtures("on_asyncio")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
async def test_a_forked_child_waits_for_no_thread_of_its_parent() -> None:
    program = """
import asyncio, os
from relaydance_async import _threads
_threads._LINGER = 0.5

async def use():
    assert await _threads.in_thread(lambda: 1) == 1

asyncio.run(use())
pid = os.fork()
if not pid:
    asyncio.run(asyncio.wait_for(use(), 5))
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
"""
    done = await anyio.run_process([sys.executable, "-W", "ignore::DeprecationWarning", "-c", program], check=False)
    assert (done.returncode, done.stderr) == (0, b"")


async def test_no_thread_stays_when_its_work_is_done(anyio_backend: Backend) -> None:
    if anyio_backend == "trio":
        pytest.skip("trio's threads end by themselves after a while, whatever the loop does")
    before = threading.active_count()
    for _ in range(3):
        await in_thread(lambda: None)
    await wait_until(lambda: threading.active_count() <= before)
