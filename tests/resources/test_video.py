"""`video.submit`, `video.retrieve` and `video.generate`, in both dialects."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import httpx
import pytest

from relaydance_async import (
    APIConnectionError,
    APIStatusError,
    AsyncRelayDance,
    AuthenticationError,
    BadRequestError,
    ContentRefusedError,
    InvalidInputError,
    NotFoundError,
    PermissionDeniedError,
    TaskFailedError,
    VideoTask,
)
from relaydance_async._config import Clock
from relaydance_async.sandbox import Account, Fault, Sandbox, TaskPlan, TaskScript
from tests.kit.probe import held
from tests.kit.routes import FETCH, SUBMIT
from tests.kit.waiting import wait_until
from tests.resources.support import CLIP, Bench

pytestmark = pytest.mark.anyio


async def test_a_submitted_clip_is_a_task_with_an_id(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    task = await client.video.submit(**CLIP, seconds=10, ratio="16:9")
    assert task.task_id.startswith("task_")
    assert (task.status, task.url, task.error, task.is_terminal) == ("submitted", None, None, False)
    assert sandbox.ledger.billed(SUBMIT) == 1
    assert sandbox.ledger.entries[0].task_id == task.task_id


@pytest.mark.parametrize("shape", ["wrapped", "upstream"])
async def test_a_task_is_the_same_on_its_way_in_every_shape(bench: Bench, shape: Any) -> None:
    sandbox, client, _ = bench.filming(tasks=TaskPlan(TaskScript(shape=shape)))
    task = await client.video.submit(**CLIP)
    seen = [task]
    for seconds in (0, 2, 4):
        sandbox.clock.advance(seconds)
        seen.append(await client.video.retrieve(task))
    assert {item.task_id for item in seen} == {task.task_id}
    assert [item.status for item in seen] == ["submitted", "submitted", "running", "succeeded"]
    assert [item.url is not None for item in seen] == [False, False, False, True]
    assert seen[-1].url == sandbox.clip_url(task.task_id)
    assert seen[-1].progress == 100


async def test_the_other_video_route_decodes_to_the_same(bench: Bench) -> None:
    sandbox, client, _ = bench.filming()
    task = await client.video.submit(**CLIP)
    for seconds in (0, 2, 4):
        sandbox.clock.advance(seconds)
        ours = await client.video.retrieve(task)
        async with httpx.AsyncClient(trust_env=False) as http:
            key = {"authorization": f"Bearer {sandbox.api_key}"}
            raw = await http.get(f"{sandbox.base_url}/videos/{task.task_id}", headers=key)
        other = VideoTask.model_validate_json(raw.content)
        compared = {"task_id", "status", "url", "error", "created_at"}
        if bench.dialect == "documented":
            compared -= {"created_at"}
        assert other.model_dump(include=compared) == ours.model_dump(include=compared)


@pytest.mark.parametrize("shape", ["wrapped", "upstream"])
@pytest.mark.parametrize("reason", ["the picture shows a person", ""])
async def test_a_failed_task_has_the_upstreams_reason_and_no_url(bench: Bench, shape: Any, reason: str) -> None:
    script = TaskScript(outcome="failed", reason=reason, shape=shape)
    sandbox, client, _ = bench.filming(tasks=TaskPlan(script))
    task = await client.video.submit(**CLIP)
    sandbox.clock.advance(10)
    task = await client.video.retrieve(task.task_id)
    assert (task.status, task.url) == ("failed", None)
    assert (task.error.message if task.error else "") == reason
    assert sandbox.ledger.refunded_usd == sandbox.ledger.charged_usd


async def test_a_task_goes_to_json_and_back_and_is_still_the_same_task(bench: Bench) -> None:
    _, client, _ = bench.filming()
    task = await client.video.submit(**CLIP)
    again = VideoTask.model_validate_json(task.model_dump_json())
    assert again == task
    assert (await client.video.retrieve(again)).task_id == task.task_id


async def test_a_lost_answer_is_not_submitted_again(bench: Bench) -> None:
    sandbox, client = bench.start(faults=[Fault(SUBMIT, after_accept=True)])
    with pytest.raises(APIConnectionError, match="may have been accepted") as caught:
        await client.video.submit(**CLIP)
    assert caught.value.maybe_accepted
    assert (sandbox.ledger.billed(SUBMIT), sandbox.ledger.duplicates(SUBMIT)) == (1, 0)


async def test_a_refusal_is_submitted_again_because_it_is_not_billed(bench: Bench) -> None:
    sandbox, client = bench.start(faults=[Fault(SUBMIT, status=503, code="system_cpu_overloaded", times=2)])
    assert (await client.video.submit(**CLIP)).task_id
    assert sandbox.ledger.count(SUBMIT) == 3
    assert (sandbox.ledger.billed(SUBMIT), sandbox.ledger.duplicates(SUBMIT)) == (1, 0)


async def test_an_unknown_model_is_not_found_and_not_retried(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    with pytest.raises(NotFoundError):
        await client.video.submit(model="no-such-model", prompt="a cat")
    assert sandbox.ledger.count(SUBMIT) == 1


async def test_a_refused_prompt_is_never_sent_again(client: AsyncRelayDance, sandbox: Sandbox, dialect: str) -> None:
    expected = ContentRefusedError if dialect == "gateway" else BadRequestError
    with pytest.raises(expected):
        await client.video.submit(model=CLIP["model"], prompt="a forbidden-word")
    assert sandbox.ledger.count(SUBMIT) == 1


async def test_a_short_balance_is_a_permission_error(bench: Bench) -> None:
    sandbox, client = bench.start(accounts={"sk-1": Account(balance_usd=0.1)})
    with pytest.raises(PermissionDeniedError, match="balance"):
        await client.video.submit(**CLIP)
    assert sandbox.ledger.billed() == 0


async def test_what_the_gateway_finds_wrong_is_a_bad_request(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    with pytest.raises(BadRequestError, match="seconds"):
        await client.video.submit(**CLIP, seconds=99)
    assert sandbox.ledger.count(SUBMIT) == 1


async def test_an_unknown_task_is_not_found_and_named(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    with pytest.raises(NotFoundError, match="task_nope") as caught:
        await client.video.retrieve("task_nope")
    assert caught.value.task_id == "task_nope"
    assert caught.value.support_details()["task_id"] == "task_nope"
    assert sandbox.ledger.count(FETCH) == 1


async def test_an_id_can_not_change_the_path(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    with pytest.raises(APIStatusError):
        await client.video.retrieve("../models?x=1#")
    assert sandbox.ledger.count("GET /v1/models") == 0


@pytest.mark.parametrize("task", ["", "  ", ".", "..", None, 5, {"task_id": "x"}])
@pytest.mark.parametrize("method", ["retrieve", "wait"])
async def test_what_is_no_id_is_refused_before_anything_is_sent(
    client: AsyncRelayDance, sandbox: Sandbox, task: Any, method: str
) -> None:
    with pytest.raises(InvalidInputError, match="task_id"):
        await getattr(client.video, method)(task)
    assert sandbox.ledger.entries == []


async def test_a_key_that_is_revoked_while_polling_is_an_authentication_error(bench: Bench) -> None:
    sandbox, client = bench.start()
    task = await client.video.submit(**CLIP)
    sandbox.accounts[sandbox.api_key].disabled = True
    with pytest.raises(AuthenticationError):
        await client.video.retrieve(task)


async def test_generate_submits_and_waits_and_tells_every_change(bench: Bench) -> None:
    sandbox, client, _ = bench.filming()
    seen: list[VideoTask] = []
    task = await client.video.generate(**CLIP, seconds=5, metadata={"seed": 7}, on_update=seen.append)
    assert task.status == "succeeded"
    assert task.url
    assert seen[0].status == "submitted"
    assert seen[-1] == task
    assert {item.task_id for item in seen} == {task.task_id}
    assert sandbox.ledger.billed(SUBMIT) == 1


async def test_generate_ends_in_the_tasks_failure(bench: Bench) -> None:
    _, client, _ = bench.filming(tasks=TaskPlan(TaskScript(outcome="failed", reason="too dark")))
    with pytest.raises(TaskFailedError, match="too dark") as caught:
        await client.video.generate(**CLIP)
    assert caught.value.task is not None
    # Nothing is left to resume.
    assert not getattr(caught.value, "__notes__", [])


async def test_cancelling_generate_after_the_submit_tells_the_task_id(bench: Bench) -> None:
    sandbox = bench.sandbox(time_scale=0)
    client = bench.client(sandbox, clock=Clock())
    seen: list[VideoTask] = []
    task = asyncio.create_task(client.video.generate(**CLIP, on_update=seen.append))
    await wait_until(lambda: sandbox.ledger.count(FETCH) > 0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    (entry,) = [entry for entry in sandbox.ledger.entries if entry.route == SUBMIT]
    assert entry.task_id is not None
    assert seen[0].task_id == entry.task_id
    (note,) = caught.value.__notes__
    assert f"client.video.wait({entry.task_id!r})" in note
    assert (await held(client)).permits == 0

    sandbox.clock.advance(10)
    assert (await client.video.wait(entry.task_id)).status == "succeeded"
    assert sandbox.ledger.billed(SUBMIT) == 1


async def test_what_an_update_hook_raises_is_logged_and_generate_goes_on(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    _, client, _ = bench.filming()

    def refuse(task: VideoTask) -> None:
        raise LookupError(task.task_id)

    task = await client.video.generate(**CLIP, on_update=refuse)
    assert task.status == "succeeded"
    assert f"on_update raised for task {task.task_id}; the wait goes on" in caplog.messages


async def test_a_deadline_of_generate_is_that_of_its_wait(bench: Bench) -> None:
    sandbox = bench.sandbox(time_scale=0)
    client = bench.client(sandbox, clock=Clock())
    with pytest.raises(TimeoutError, match="resume with"):
        await client.video.generate(**CLIP, deadline=0.02)


async def test_many_clips_at_once_are_each_submitted_once(bench: Bench) -> None:
    sandbox, client = bench.start(faults=[Fault(SUBMIT, status=502, every=7)])
    ids: set[str] = set()

    async def submit(number: int) -> None:
        ids.add((await client.video.submit(model=CLIP["model"], prompt=f"cat {number}")).task_id)

    async with anyio.create_task_group() as group:
        for number in range(50):
            group.start_soon(submit, number)
    assert len(ids) == 50
    assert (sandbox.ledger.billed(SUBMIT), sandbox.ledger.duplicates(SUBMIT)) == (50, 0)


async def test_the_arguments_are_those_of_the_moment_of_the_call(bench: Bench) -> None:
    sandbox, client = bench.start(time_scale=1000)
    references = ["https://files.example/a.png"]
    metadata = {"seed": 1}
    call = client.video.generate(model="grok-imagine-video", prompt="a cat", references=references, metadata=metadata)
    references.append("https://files.example/b.png")
    metadata["seed"] = 2
    await call
    again = client.video.submit(
        model="grok-imagine-video", prompt="a cat", references=references[:1], metadata={"seed": 1}
    )
    await again
    assert sandbox.ledger.duplicates(SUBMIT) == 1  # the very same body


async def test_a_wrong_argument_is_raised_where_the_call_is_awaited(bench: Bench) -> None:
    sandbox, client = bench.start()
    for call in (
        client.video.submit(model="", prompt="a cat"),
        client.video.generate(model="m", prompt="a cat", deadline=-1),
        client.images.edit(model="m", prompt="p", image=[]),
        client.chat.completions.create(model="m", messages=[]),
    ):
        with pytest.raises(InvalidInputError):
            await call
    assert sandbox.ledger.count() == 0


async def test_a_call_that_is_never_awaited_has_the_name_of_its_method(bench: Bench) -> None:
    _, client = bench.start()
    call = client.video.submit(model="m", prompt="a cat")
    assert getattr(call, "__qualname__", "") == "Video.submit"
    call.close()
