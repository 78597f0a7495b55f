"""What `video.generate` adds to `wait`."""

from __future__ import annotations

from itertools import pairwise

import pytest

from relaydance_async import AsyncRelayDance, InvalidInputError, VideoTask
from relaydance_async._config import Clock
from relaydance_async.errors import TaskTimeoutError
from relaydance_async.sandbox import Sandbox, TaskPlan, TaskScript
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
    client = bench.client(sandbox, _clock=Clock())
    with pytest.raises(TaskTimeoutError) as caught:
        await client.video.generate(**CLIP, deadline=1e-9)
    assert caught.value.task is not None
    assert caught.value.task.status == "submitted"
