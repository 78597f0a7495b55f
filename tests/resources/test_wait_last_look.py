"""The last poll of a wait, just before its deadline: in time that can be put forward."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from relaydance_async import TaskTimeoutError
from relaydance_async.sandbox import Sandbox, TaskPlan, TaskScript
from tests.kit.clocks import JumpingLoop
from tests.kit.inside import make_client
from tests.kit.routes import FETCH
from tests.resources.support import CLIP

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {"loop_factory": JumpingLoop}


@pytest.fixture
async def loop() -> AsyncGenerator[JumpingLoop]:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, JumpingLoop)
    yield loop
    loop.after_sleep.clear()


def ready_after(seconds: float, loop: JumpingLoop) -> Sandbox:
    """A gateway whose clips take so long, in the time of the loop."""
    sandbox = Sandbox(time_scale=0, tasks=TaskPlan(TaskScript(queue=0.5, run=seconds - 0.5)))
    loop.after_sleep.append(sandbox.clock.advance)
    return sandbox


@pytest.mark.parametrize("seconds", [20.0, 27.5, 28.5])
async def test_a_clip_that_is_ready_before_the_deadline_is_found(loop: JumpingLoop, seconds: float) -> None:
    with ready_after(seconds, loop) as sandbox:
        async with make_client(sandbox.api_key, base_url=sandbox.base_url, clock=loop.clock) as client:
            task = await client.video.submit(**CLIP)
            assert (await client.video.wait(task, deadline=30)).status == "succeeded"


async def test_it_is_one_poll_more_than_the_schedules(loop: JumpingLoop) -> None:
    with ready_after(100.0, loop) as sandbox:
        async with make_client(sandbox.api_key, base_url=sandbox.base_url, clock=loop.clock) as client:
            task = await client.video.submit(**CLIP)
            with pytest.raises(TaskTimeoutError):
                await client.video.wait(task, deadline=30)
            # At 0, at the ends of the windows (3, 6, 10.5, 17.25 and 27.375 s), and at about 29 s.
            assert sandbox.ledger.count(FETCH) == 7
