"""`video.watch`: one set of polls for all who watch a task."""

from __future__ import annotations

import gc
from contextlib import aclosing

import anyio
import pytest

from relaydance_async import (
    AsyncRelayDance,
    AuthenticationError,
    InvalidInputError,
    NotFoundError,
    TaskTimeoutError,
    VideoTask,
)
from relaydance_async._polling import ACTIVE_WAITS
from relaydance_async.resources.video.watch import KEPT_SECONDS
from relaydance_async.sandbox import Fault, TaskPlan, TaskScript
from tests.kit.routes import FETCH
from tests.kit.waiting import wait_until
from tests.resources.support import CLIP, Bench

pytestmark = pytest.mark.anyio


async def seen_by(client: AsyncRelayDance, task_id: str) -> list[VideoTask]:
    return [task async for task in client.video.watch(task_id)]


async def test_fifty_viewers_cost_as_many_polls_as_one(bench: Bench) -> None:
    polls: list[int] = []
    for viewers in (1, 50):
        sandbox, client, _ = bench.filming(tasks=TaskPlan(TaskScript(queue=10, run=60)))
        task = await client.video.submit(**CLIP)
        seen: list[list[VideoTask]] = []

        async def view(
            client: AsyncRelayDance = client, task_id: str = task.task_id, seen: list[list[VideoTask]] = seen
        ) -> None:
            seen.append(await seen_by(client.with_options(deadline=60), task_id))

        async with anyio.create_task_group() as group:
            for _ in range(viewers):
                group.start_soon(view)
        assert len(seen) == viewers
        assert all(tasks[-1].status == "succeeded" and tasks[-1].url for tasks in seen)
        assert all(len(tasks) >= 3 for tasks in seen)
        polls.append(sandbox.ledger.count(FETCH))
    assert polls[0] == polls[1]
    assert polls[1] < 15


async def test_another_client_polls_for_itself(bench: Bench) -> None:
    sandbox = bench.sandbox(tasks=TaskPlan(TaskScript(outcome="hang")))
    first, second = (AsyncRelayDance(sandbox.api_key, base_url=sandbox.base_url) for _ in range(2))
    task = await first.video.submit(**CLIP)
    async with first, second, aclosing(second.video.watch(task)) as theirs:
        async with aclosing(first.video.watch(task)) as mine:
            await anext(mine)
            await anext(theirs)
        assert sandbox.ledger.count(FETCH) == 2


async def test_a_failure_is_shown_and_no_error(bench: Bench) -> None:
    _, client, _ = bench.filming(tasks=TaskPlan(TaskScript(outcome="failed")))
    task = await client.video.submit(**CLIP)
    assert (await seen_by(client, task.task_id))[-1].status == "failed"


async def test_who_comes_late_sees_what_is_known_and_asks_for_nothing(bench: Bench) -> None:
    sandbox, client, pace = bench.filming()
    task = await client.video.submit(**CLIP)
    await seen_by(client, task.task_id)
    asked = sandbox.ledger.count(FETCH)
    assert [seen.status for seen in await seen_by(client, task.task_id)] == ["succeeded"]
    assert sandbox.ledger.count(FETCH) == asked
    await pace.sleep(KEPT_SECONDS + 1)
    assert [seen.status for seen in await seen_by(client, task.task_id)] == ["succeeded"]
    assert sandbox.ledger.count(FETCH) == asked + 1


async def test_the_last_to_leave_ends_the_polls(bench: Bench) -> None:
    sandbox = bench.sandbox(tasks=TaskPlan(TaskScript(outcome="hang")))
    client = AsyncRelayDance(sandbox.api_key, base_url=sandbox.base_url)
    async with client:
        task = await client.video.submit(**CLIP)
        one, two = client.video.watch(task), client.video.watch(task)
        await anext(one)
        await anext(two)
        assert sandbox.ledger.count(FETCH) == 1
        await one.aclose()
        assert len(ACTIVE_WAITS) == 1
        await two.aclose()
        await wait_until(lambda: not len(ACTIVE_WAITS))
        # And the next to come begins anew.
        async with aclosing(client.video.watch(task)) as three:
            await anext(three)
        assert sandbox.ledger.count(FETCH) == 2
        await wait_until(lambda: not len(ACTIVE_WAITS))


async def test_a_viewer_who_is_cancelled_takes_nothing_from_the_others(bench: Bench) -> None:
    _, client, _ = bench.filming(tasks=TaskPlan(TaskScript(run=60)))
    task = await client.video.submit(**CLIP)
    seen: list[VideoTask] = []

    async def view() -> None:
        seen.extend(await seen_by(client, task.task_id))

    async with anyio.create_task_group() as group, anyio.create_task_group() as others:
        first = anyio.CancelScope()

        async def cancelled() -> None:
            with first:
                await seen_by(client, task.task_id)

        others.start_soon(cancelled)
        await anyio.lowlevel.checkpoint()
        group.start_soon(view)
        await anyio.lowlevel.checkpoint()
        first.cancel()
    assert seen[-1].status == "succeeded"


async def test_an_error_reaches_each_viewer_as_its_own(bench: Bench) -> None:
    sandbox, client = bench.start()
    errors: list[Exception] = []

    async def view() -> None:
        with pytest.raises(NotFoundError) as caught:
            await seen_by(client, "task_nobody_knows")
        errors.append(caught.value)

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(view)
    assert len({id(error) for error in errors}) == 3
    assert sandbox.ledger.count(FETCH) == 3  # the third denial is believed
    async with AsyncRelayDance("sk-wrong", base_url=sandbox.base_url) as other:
        with pytest.raises(AuthenticationError):
            await seen_by(other, "task_1")


async def test_each_viewer_has_a_deadline_of_its_own(bench: Bench) -> None:
    sandbox = bench.sandbox(tasks=TaskPlan(TaskScript(outcome="hang")))
    async with AsyncRelayDance(sandbox.api_key, base_url=sandbox.base_url) as client:
        task = await client.video.submit(**CLIP)
        async with aclosing(client.video.watch(task)) as patient:
            await anext(patient)
            with pytest.raises(TaskTimeoutError) as caught:
                async for _ in client.video.watch(task, deadline=0.1):
                    pass
            assert caught.value.task_id == task.task_id
            assert caught.value.task is not None
            assert len(ACTIVE_WAITS) == 1
    await wait_until(lambda: not len(ACTIVE_WAITS))


@pytest.mark.parametrize(("task", "deadline"), [("", None), ("..", None), ("task_1", 0), ("task_1", -1)])
async def test_what_cannot_be_watched_is_refused(bench: Bench, task: str, deadline: float | None) -> None:
    sandbox, client = bench.start()
    with pytest.raises(InvalidInputError):
        async for _ in client.video.watch(task, deadline=deadline):
            pass
    assert sandbox.ledger.count() == 0


async def test_a_poll_that_breaks_is_nobodys_business(bench: Bench) -> None:
    _, client, _ = bench.filming(faults=[Fault(FETCH, status=502, body="html", every=2)])
    task = await client.video.submit(**CLIP)
    assert (await seen_by(client, task.task_id))[-1].status == "succeeded"


async def test_a_forgotten_viewer_leaves_no_polls(bench: Bench) -> None:
    sandbox = bench.sandbox(tasks=TaskPlan(TaskScript(outcome="hang")))
    async with AsyncRelayDance(sandbox.api_key, base_url=sandbox.base_url) as client:
        task = await client.video.submit(**CLIP)
        async for _ in client.video.watch(task):
            break
        gc.collect()
        await wait_until(lambda: not len(ACTIVE_WAITS))
