"""What waits for what: the kinds of calls have room beside each other, and downloads wait for nobody."""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anyio
import pytest

from relaydance_async import AsyncRelayDance, RetryPolicy
from relaydance_async.sandbox import Fault, Sandbox
from tests.call.support import Start, failure_of
from tests.kit.calls import HELLO, list_models, submit_clip
from tests.kit.clocks import HandClock
from tests.kit.inside import close_limits, open_limits
from tests.kit.probe import look_at
from tests.kit.routes import CLIPS, MODELS, SUBMIT
from tests.kit.waiting import wait_until

pytestmark = pytest.mark.anyio


async def begin(client: AsyncRelayDance) -> Any:
    return await client.chat.completions.create(model="grok-4.3", messages=HELLO, stream=True)


async def test_the_most_streams_open_leave_room_for_a_submit_and_a_poll(
    sandbox: Sandbox, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    async with start(sandbox, HandClock(), max_concurrency=20) as client, AsyncExitStack() as streams:
        open_limits(client)
        for _ in range(18):
            await streams.enter_async_context(await begin(client))
        assert look_at(client).permits == 18
        async with anyio.create_task_group() as group:
            opened: list[Any] = []

            async def open_another() -> None:
                opened.append(await begin(client))

            with caplog.at_level(logging.WARNING, "relaydance_async"):
                group.start_soon(open_another)
                await wait_until(lambda: look_at(client).queued == 1)
            await submit_clip(client)
            await client.models.list()
            assert opened == []
            assert look_at(client).queued == 1
            await streams.aclose()
            await wait_until(lambda: len(opened) == 1)
            await opened[0].aclose()
        assert look_at(client).permits == 0
    assert "a call has to wait: 18 streams are open, of 18 at most" in caplog.text


async def finished_clip(sandbox: Sandbox, client: AsyncRelayDance) -> Any:
    task = await submit_clip(client)
    sandbox.clock.advance(3600)
    return await client.video.retrieve(task)


async def test_20_slow_downloads_do_not_hold_up_a_submit(sandbox: Sandbox, start: Start, tmp_path: Path) -> None:
    async with start(sandbox, HandClock(), max_concurrency=20) as client:
        open_limits(client)
        done = await finished_clip(sandbox, client)
        sandbox.faults.add(Fault(CLIPS, stall=True))
        async with anyio.create_task_group() as group:
            for number in range(21):
                group.start_soon(client.video.download, done, tmp_path / f"{number}.mp4")
            await wait_until(lambda: look_at(client).permits == 20)
            await wait_until(lambda: look_at(client).queued == 1)  # as many of them as of the API's, and no more
            await submit_clip(client)
            await client.models.list()
            group.cancel_scope.cancel()
        assert (look_at(client).permits, look_at(client).queued) == (0, 0)
    assert sandbox.ledger.accepted(SUBMIT) == 2


async def test_a_cool_down_of_the_api_does_not_hold_up_a_download(
    sandbox: Sandbox, start: Start, tmp_path: Path
) -> None:
    async with start(sandbox, HandClock(), retry=RetryPolicy(max_attempts=1)) as client:
        open_limits(client)
        done = await finished_clip(sandbox, client)
        sandbox.faults.add(Fault(MODELS, status=429, headers={"retry-after": "60"}))
        await failure_of(client.models.list())
        path = await client.video.download(done, tmp_path / "a.mp4")
        assert path.stat().st_size > 0


async def test_a_429_of_another_host_does_not_hold_up_the_api(sandbox: Sandbox, start: Start, tmp_path: Path) -> None:
    async with start(sandbox, HandClock(), retry=RetryPolicy(max_attempts=1)) as client:
        open_limits(client)
        done = await finished_clip(sandbox, client)
        sandbox.faults.add(Fault(CLIPS, status=429, headers={"retry-after": "60"}))
        await failure_of(client.video.download(done, tmp_path / "a.mp4"))
        assert (await client.models.list()).data


async def test_calls_that_wait_in_a_cool_down_hold_no_permit_and_no_connection(sandbox: Sandbox, start: Start) -> None:
    clock = HandClock()
    async with start(sandbox, clock, max_concurrency=2) as client:
        await client.models.list()
        connections = look_at(client).connections
        close_limits(client, 30.0)
        async with anyio.create_task_group() as group:
            for call in (list_models, submit_clip, begin):
                group.start_soon(call, client)
            await wait_until(lambda: look_at(client).queued == 3)
            now = look_at(client)
            assert (now.permits, now.connections, now.streams) == (0, connections, 0)
            assert clock.sleeping == 1
            group.cancel_scope.cancel()
        assert (look_at(client).queued, clock.sleeping) == (0, 0)
    assert sandbox.ledger.count() == 1
