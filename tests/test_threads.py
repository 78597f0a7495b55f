"""Work in threads: its result, its errors, and nothing that stays behind."""

from __future__ import annotations

import contextvars
import gc
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import anyio
import anyio.to_thread
import pytest

from relaydance_async._threads import in_thread
from tests.kit.loops import Backend, backend_of
from tests.kit.waiting import wait_until

pytestmark = pytest.mark.anyio

variable = contextvars.ContextVar("variable", default="")


@pytest.fixture(params=["asyncio", "any on uvloop", "any on trio"])
def anyio_backend(request: pytest.FixtureRequest) -> Backend:
    return backend_of(request.param)


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


async def test_an_error_leaves_no_cycle(anyio_backend: Backend) -> None:
    if anyio_backend == "trio":
        pytest.skip("anyio's own affair")

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


async def test_no_thread_stays_when_its_work_is_done(anyio_backend: Backend) -> None:
    if anyio_backend == "trio":
        pytest.skip("trio's threads end by themselves after a while, whatever the loop does")
    before = threading.active_count()
    for _ in range(3):
        await in_thread(lambda: None)
    await wait_until(lambda: threading.active_count() <= before)
