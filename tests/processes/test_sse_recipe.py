"""The recipe of docs/how-to/progress.md for server-sent events, as it stands there, under a real uvicorn."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from relaydance_async import AsyncRelayDance
from relaydance_async._polling import ACTIVE_WAITS
from relaydance_async.sandbox import Fault, Sandbox, TaskPlan, TaskScript
from tests.kit.routes import FETCH
from tests.kit.waiting import wait_until
from tests.kit.web import serving
from tests.test_docs_code import chapters_of

PAGE = Path(__file__).parents[2] / "docs/how-to/progress.md"
VIEWERS = 50


def recipe(client: AsyncRelayDance) -> Any:
    """The app of the page."""
    (code,) = {block.code for chapter in chapters_of(PAGE) for block in chapter if "text/event-stream" in block.code}
    names: dict[str, Any] = {}
    exec(compile(code, str(PAGE), "exec"), names)
    names["client"] = client
    return names["app"]


async def view(port: int, task_id: str) -> list[dict[str, Any]]:
    """What one viewer sees, to the end of the stream."""
    seen: list[dict[str, Any]] = []
    url = f"http://127.0.0.1:{port}/clips/{task_id}/events"
    async with httpx.AsyncClient(timeout=30, trust_env=False) as browser, browser.stream("GET", url) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        async for line in answer.aiter_lines():
            if line.startswith("data: "):
                seen.append(json.loads(line.removeprefix("data: ")))
    return seen


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.anyio
async def test_fifty_browsers_see_a_clip_at_the_price_of_one() -> None:
    plan = TaskPlan(TaskScript(queue=0.5, run=1))
    with Sandbox(tasks=plan) as sandbox:
        async with (
            AsyncRelayDance(sandbox.api_key, base_url=sandbox.base_url) as client,
            serving(recipe(client)) as port,
        ):
            task = await client.video.submit(model="grok-imagine-video", prompt="a cat")
            seen = await asyncio.gather(*(view(port, task.task_id) for _ in range(VIEWERS)))
            assert [tasks[-1]["status"] for tasks in seen] == ["succeeded"] * VIEWERS
            assert all(set(shown) == {"task_id", "status", "progress", "url"} for tasks in seen for shown in tasks)
            polls = sandbox.ledger.count(FETCH)
            assert polls <= 5
            # A browser comes back to a stream that has ended.
            assert [shown["status"] for shown in await view(port, task.task_id)] == ["succeeded"]
            assert sandbox.ledger.count(FETCH) == polls


@pytest.mark.anyio
async def test_an_error_is_an_answer_before_the_stream_and_an_event_within() -> None:
    with Sandbox(tasks=TaskPlan(TaskScript(outcome="hang"))) as sandbox:
        async with (
            AsyncRelayDance(sandbox.api_key, base_url=sandbox.base_url) as client,
            serving(recipe(client)) as port,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as browser,
        ):
            answer = await browser.get("/clips/task_nobody/events")
            assert (answer.status_code, answer.json()) == (404, {"detail": "There is no such clip."})
            task = await client.video.submit(model="grok-imagine-video", prompt="a cat")
            async with browser.stream("GET", f"/clips/{task.task_id}/events") as stream:
                lines = stream.aiter_lines()
                assert await anext(lines) == "event: submitted"
                sandbox.faults.add(Fault(FETCH, status=401))
                assert "event: lost" in [line async for line in lines]


@pytest.mark.anyio
async def test_when_the_last_browser_has_gone_nobody_polls() -> None:
    with Sandbox(tasks=TaskPlan(TaskScript(outcome="hang"))) as sandbox:
        async with (
            AsyncRelayDance(sandbox.api_key, base_url=sandbox.base_url) as client,
            serving(recipe(client)) as port,
        ):
            task = await client.video.submit(model="grok-imagine-video", prompt="a cat")
            viewers = [asyncio.create_task(view(port, task.task_id)) for _ in range(3)]
            await wait_until(lambda: len(ACTIVE_WAITS) == 1 and sandbox.ledger.count(FETCH) > 0)
            for viewer in viewers:
                viewer.cancel()
            await wait_until(lambda: not len(ACTIVE_WAITS))
