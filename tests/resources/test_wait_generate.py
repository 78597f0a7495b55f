"""What `video.generate` adds to `wait`."""

from __future__ import annotations

from itertools import pairwise

import anyio.lowlevel
import pytest

from relaydance_async import (
    AsyncRelayDance,
    AuthenticationError,
    FanOutStoppedError,
    InvalidInputError,
    VideoTask,
    maybe_accepted,
)
from relaydance_async._config import Clock
from relaydance_async.errors import TaskTimeoutError
from relaydance_async.sandbox import Sandbox, TaskPlan, TaskScript
from tests.kit.routes import FETCH, SUBMIT
from tests.resources.support import CLIP, Bench

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("deadline", [0, -1, float("nan")])
async def test_a_deadline_that_is_none_is_refused_before_a_clip_is_submitted(
    client: AsyncRelayDance, sandbox: Sandbox, deadline: float
) -> None:
    with pytest.raises(InvalidInputError, match="deadline"):
        await client.video.generate(**CLIP, deadline=deadline)
    assert sandbox.ledger.entries == []


async def test_the_submitted_task_is_told_and_then_only_what_has_changed(bench: Bench) -> None:
    _, client, _ = bench.filming(tasks=TaskPlan(TaskScript(queue=20, run=20)))
    seen: list[VideoTask] = []
    await client.video.generate(**CLIP, on_update=seen.append)
    facts = [(task.raw_status, task.progress) for task in seen]
    assert seen[0].status == "submitted"
    assert all(before != after for before, after in pairwise(facts))


async def test_the_deadlines_error_has_the_submitted_task_even_before_a_poll_was_answered(bench: Bench) -> None:
    sandbox = bench.sandbox(time_scale=0)
    client = bench.client(sandbox, clock=Clock())
    with pytest.raises(TaskTimeoutError) as caught:
        await client.video.generate(**CLIP, deadline=1e-9)
    assert caught.value.task is not None
    assert caught.value.task.status == "submitted"


async def test_the_id_is_given_once_between_submit_and_wait_and_awaited(bench: Bench) -> None:
    sandbox, client, _ = bench.filming()
    told: list[str] = []

    async def keep(task_id: str) -> None:
        await anyio.lowlevel.checkpoint()
        told.append(f"{task_id} {sandbox.ledger.count(SUBMIT)} {sandbox.ledger.count(FETCH)}")

    task = await client.video.generate(**CLIP, on_submit=keep)
    assert told == [f"{task.task_id} 1 0"]
    plain: list[str] = []
    task = await client.video.generate(**CLIP, on_submit=plain.append)
    assert plain == [task.task_id]


async def test_what_on_submit_raises_ends_the_call_with_the_id_in_a_note(bench: Bench) -> None:
    sandbox, client, _ = bench.filming()

    def refuse(task_id: str) -> None:
        raise LookupError(task_id)

    with pytest.raises(LookupError) as caught:
        await client.video.generate(**CLIP, on_submit=refuse)
    assert caught.value.__notes__ == [
        f"video task {caught.value} was submitted; resume with client.video.wait('{caught.value}')"
    ]
    assert maybe_accepted(caught.value) is True
    assert sandbox.ledger.count(FETCH) == 0


async def test_what_on_update_raises_of_a_submitted_clip_does_not_end_its_wait(bench: Bench) -> None:
    _, client, _ = bench.filming()

    def refuse(task: VideoTask) -> None:
        raise LookupError

    assert (await client.video.generate(**CLIP, on_update=refuse)).status == "succeeded"


async def test_many_waits_are_resumed_and_a_failed_one_stops_no_other(bench: Bench) -> None:
    _, client, _ = bench.filming(tasks=TaskPlan(scripts={2: TaskScript(outcome="failed")}))
    ids = [(await client.video.submit(**CLIP)).task_id for _ in range(5)]
    ended: dict[str, str] = {}
    seen: list[str] = []
    async with client.video.resume(
        [*ids, "task_unknown"], on_update=lambda task: seen.append(task.task_id)
    ) as outcomes:
        async for outcome in outcomes:
            ended[str(outcome.item)] = type(outcome.error).__name__ if outcome.error else outcome.value.status
    assert ended == {
        **dict.fromkeys(ids, "succeeded"),
        ids[1]: "TaskFailedError",
        "task_unknown": "NotFoundError",
    }
    assert set(seen) == set(ids)


async def test_a_refused_key_stops_what_is_resumed(bench: Bench) -> None:
    _, client, _ = bench.filming()
    other = AsyncRelayDance("sk-wrong-key-1", base_url=client.base_url)
    async with other, other.video.resume(iter([f"task_{n}" for n in range(100)]), in_flight=5) as outcomes:
        errors = [(await anext(outcomes)).error for _ in range(5)]
        with pytest.raises(FanOutStoppedError):
            await anext(outcomes)
    assert all(isinstance(error, AuthenticationError) for error in errors)


async def test_what_cannot_be_resumed_is_told_at_once(alone: AsyncRelayDance) -> None:
    with pytest.raises(InvalidInputError, match="deadline"):
        alone.video.resume([], deadline=0)
    with pytest.raises(TypeError, match="unexpected keyword argument 'timout'"):
        alone.video.resume([], timout=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
