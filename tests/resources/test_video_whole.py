"""`generate(path=…)`, `wait_all`, `as_completed`, `on_progress` and `cost`."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Any, cast

import pytest

from relaydance_async import (
    AsyncRelayDance,
    AuthenticationError,
    ClipCost,
    DownloadError,
    FanOutStoppedError,
    InvalidInputError,
    NotFoundError,
    Price,
    SqliteJournal,
    TaskFailedError,
    TaskTimeoutError,
    VideoTask,
    maybe_accepted,
)
from relaydance_async._polling import ACTIVE_WAITS
from relaydance_async.sandbox import Fault, TaskPlan, TaskScript
from tests.kit.routes import CLIPS, SUBMIT
from tests.resources.support import CLIP, Bench

pytestmark = pytest.mark.anyio

FAILS = TaskScript(outcome="failed")
SLOW = TaskScript(run=400)


# generate(path=…)


async def test_a_clip_from_its_prompt_to_its_file(bench: Bench, tmp_path: Path) -> None:
    sandbox, client, _ = bench.filming()
    told: list[float] = []
    task = await client.video.generate(**CLIP, path=tmp_path / "clip.mp4", on_progress=told.append)
    assert task.status == "succeeded"
    assert (tmp_path / "clip.mp4").read_bytes() == await client.video.content(task)
    assert told == sorted(set(told))
    assert (told[0], told[-1]) == (0.0, 100.0)
    await client.video.generate(**CLIP, path=str(tmp_path))
    assert len(list(tmp_path.iterdir())) == 2
    assert sandbox.ledger.accepted(SUBMIT) == 2


@pytest.mark.parametrize("overwrite", [True, False])
async def test_where_no_clip_can_be_is_known_before_one_is_paid_for(
    bench: Bench, tmp_path: Path, overwrite: bool
) -> None:
    sandbox, client, _ = bench.filming()
    (tmp_path / "there.mp4").write_bytes(b"mine")
    (tmp_path / "link.mp4").symlink_to(tmp_path / "there.mp4")
    wrong: list[Any] = ["no/such/clip.mp4", "link.mp4", *(["there.mp4"] if not overwrite else [])]
    for name in wrong:
        with pytest.raises(DownloadError) as caught:
            await client.video.generate(**CLIP, path=tmp_path / name, overwrite=overwrite)
        assert caught.value.kind == "path"
        assert maybe_accepted(caught.value) is False
    for nothing in (5, "a\0b"):
        with pytest.raises(InvalidInputError, match="path"):
            await client.video.generate(**CLIP, path=cast(Any, nothing))
    assert sandbox.ledger.count() == 0
    assert (tmp_path / "there.mp4").read_bytes() == b"mine"


async def test_a_clip_that_is_not_saved_is_paid_for_and_can_be_saved_later(bench: Bench, tmp_path: Path) -> None:
    sandbox, client, _ = bench.filming(faults=[Fault(CLIPS, status=500)])
    with pytest.raises(DownloadError) as caught:
        await client.with_options(retry=None).video.generate(**CLIP, path=tmp_path / "clip.mp4")
    assert maybe_accepted(caught.value) is True
    (note,) = caught.value.__notes__
    assert f"client.video.download({caught.value.task_id!r}, path)" in note
    assert sandbox.ledger.accepted(SUBMIT) == 1


async def test_a_run_again_saves_nothing_twice(bench: Bench, tmp_path: Path) -> None:
    sandbox, _, pace = bench.filming()
    for _ in range(3):
        async with SqliteJournal(tmp_path / "run.db") as journal:
            client = bench.client(sandbox, pace=pace, journal=journal)
            path = tmp_path / "clip.mp4"
            await client.video.generate(**CLIP, idempotency_key="k", path=path, overwrite=False)
    assert sandbox.ledger.accepted(SUBMIT) == 1
    assert len(sandbox.ledger.cdn_entries) == 1


async def test_a_failed_clip_is_not_downloaded(bench: Bench, tmp_path: Path) -> None:
    _, client, _ = bench.filming(tasks=TaskPlan(FAILS))
    told: list[float] = []
    with pytest.raises(TaskFailedError):
        await client.video.generate(**CLIP, path=tmp_path / "clip.mp4", on_progress=told.append)
    assert not list(tmp_path.iterdir())
    assert 100.0 not in told


async def test_what_a_progress_hook_raises_is_logged_and_costs_no_clip(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    _, client, _ = bench.filming()

    async def refuse(percent: float) -> None:
        raise LookupError("no such bar")

    assert (await client.video.generate(**CLIP, on_progress=refuse)).status == "succeeded"
    assert "on_progress raised" in caplog.text


# Many.


async def submitted(client: AsyncRelayDance, count: int) -> list[VideoTask]:
    return [await client.video.submit(**CLIP) for _ in range(count)]


async def test_all_have_ended_in_the_order_given(bench: Bench) -> None:
    _, client, _ = bench.filming(tasks=TaskPlan(scripts={1: TaskScript(run=90), 2: FAILS}))
    tasks = await submitted(client, 3)
    ended = await client.video.wait_all([tasks[0], tasks[1].task_id, tasks[2]])
    assert [task.task_id for task in ended] == [task.task_id for task in tasks]
    assert [task.status for task in ended] == ["succeeded", "failed", "succeeded"]
    assert await client.video.wait_all([]) == []


async def test_they_come_as_they_end(bench: Bench) -> None:
    _, client, _ = bench.filming(tasks=TaskPlan(scripts={1: TaskScript(run=90), 2: FAILS}))
    tasks = await submitted(client, 3)
    came = [task async for task in client.video.as_completed(tasks)]
    assert came[-1].task_id == tasks[0].task_id
    assert {task.status for task in came} == {"succeeded", "failed"}
    assert len(came) == 3


async def test_one_that_does_not_end_is_an_error_after_all_others(bench: Bench) -> None:
    _, client, _ = bench.filming(tasks=TaskPlan(scripts={1: TaskScript(outcome="hang")}))
    tasks = await submitted(client, 2)
    with pytest.raises(TaskTimeoutError) as caught:
        await client.with_options(deadline=60).video.wait_all(tasks, deadline=0.2)
    assert caught.value.task is not None
    assert caught.value.task.task_id == tasks[0].task_id


async def test_who_leaves_early_leaves_the_tasks_running(bench: Bench) -> None:
    _, client, _ = bench.filming(tasks=TaskPlan(scripts={2: SLOW}))
    tasks = await submitted(client, 2)
    completed = client.video.as_completed(tasks)
    assert isinstance(completed, AsyncGenerator)
    async with aclosing(completed):
        async for task in completed:
            assert task.task_id == tasks[0].task_id
            break
    assert not len(ACTIVE_WAITS)
    assert (await client.video.retrieve(tasks[1])).status in ("submitted", "running")


@pytest.mark.parametrize("method", ["wait_all", "as_completed"])
async def test_waits_that_cannot_be_are_refused_before_anything_is_sent(bench: Bench, method: str) -> None:
    sandbox, client = bench.start()

    async def wait(*args: Any, **kwargs: Any) -> None:
        answer = getattr(client.video, method)(*args, **kwargs)
        if method == "wait_all":
            await answer
        else:
            async for _ in answer:
                pass

    with pytest.raises(InvalidInputError, match="deadline"):
        await wait(["task_1"], deadline=0)
    with pytest.raises(InvalidInputError):
        await wait(5)
    with pytest.raises(TypeError, match="did you mean timeout"):
        await wait(["task_1"], timeouts=5)
    assert sandbox.ledger.count() == 0


async def test_a_refused_key_ends_all_waits(bench: Bench) -> None:
    sandbox = bench.sandbox()
    async with AsyncRelayDance("sk-wrong", base_url=sandbox.base_url) as client:
        with pytest.raises((AuthenticationError, FanOutStoppedError)):
            await client.video.wait_all(["task_1", "task_2"])
        with pytest.raises(AuthenticationError):
            await anext(client.video.as_completed(["task_1"]))


# What it costs.


async def test_what_a_clip_costs(bench: Bench) -> None:
    sandbox, client = bench.start()
    cost = await client.video.cost(model="grok-imagine-video", seconds=10)
    assert cost == ClipCost(usd=0.5, usd_by_second=5.0, price=Price(per_call=0.5))
    assert (await client.video.cost(model="grok-imagine-video", seconds="10")) == cost
    assert (await client.video.cost(model="grok-imagine-video")).usd_by_second is None
    assert (await client.video.cost(model="grok-4.3")).usd is None
    with pytest.raises(NotFoundError, match="no price of the model 'nobody'"):
        await client.video.cost(model="nobody")
    assert sandbox.ledger.count() == 1


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), "auto", [5]])
async def test_what_is_no_length_has_no_price(bench: Bench, seconds: Any) -> None:
    sandbox, client = bench.start()
    with pytest.raises(InvalidInputError, match="seconds"):
        await client.video.cost(model="grok-imagine-video", seconds=seconds)
    assert sandbox.ledger.count() == 0
