"""A call can be cancelled at any point, and leaves nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from relaydance_async import AsyncRelayDance, RetryPolicy
from relaydance_async.sandbox import Fault, Sandbox
from tests.call.support import Start
from tests.kit.calls import BILLED, ask_chat, list_models, make_image, submit_clip
from tests.kit.clocks import HandClock
from tests.kit.inside import close_limits
from tests.kit.probe import NOTHING, held, look_at
from tests.kit.routes import CHAT, IMAGES, MODELS, SUBMIT
from tests.kit.transports import tap
from tests.kit.waiting import wait_until

pytestmark = pytest.mark.anyio


async def cancelled(
    client: AsyncRelayDance, call: Callable[[AsyncRelayDance], Awaitable[Any]], reached: Callable[[], bool]
) -> None:
    """Begin a call, cancel it at a certain point, and look whether everything is back."""
    outcome: list[object] = []

    async def run() -> None:
        try:
            outcome.append(await call(client))
        except BaseException as error:
            outcome.append(error)
            raise

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await wait_until(reached)
        group.cancel_scope.cancel()
    assert [type(result) for result in outcome] == [anyio.get_cancelled_exc_class()]
    assert await held(client) == NOTHING


async def test_cancelling_while_connecting_leaves_nothing(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, start: Start
) -> None:
    loop = type(asyncio.get_running_loop())
    connecting: list[object] = []

    async def hang(_: object, sock: object, address: object) -> None:
        connecting.append(address)
        await anyio.sleep_forever()

    async with start(sandbox) as client:
        with monkeypatch.context() as patch:
            patch.setattr(loop, "sock_connect", hang)
            await cancelled(client, submit_clip, lambda: bool(connecting))
        await submit_clip(client)
    assert len(connecting) == 1
    assert sandbox.ledger.count(SUBMIT) == 1


@pytest.mark.parametrize("route", [*BILLED, MODELS])
async def test_cancelling_while_waiting_for_the_answer_leaves_nothing(
    sandbox: Sandbox, route: str, start: Start
) -> None:
    call = {**BILLED, MODELS: list_models}[route]
    sandbox.faults.add(Fault(route, stall=True, times=1))
    async with start(sandbox, max_concurrency=1) as client:
        await cancelled(client, call, lambda: sandbox.ledger.count(route) == 1)
        assert sandbox.ledger.count(route) == 1  # not repeated
        await call(client)
    assert sandbox.ledger.count(route) == 2


async def test_cancelling_while_the_answer_is_read_leaves_nothing(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, start: Start
) -> None:
    heard = tap(monkeypatch)
    sandbox.faults.add(Fault(IMAGES, endless_body=True, times=1))
    async with start(sandbox, max_concurrency=1) as client:
        await cancelled(client, make_image, lambda: heard.reads == 1)
        await make_image(client)
    assert sandbox.ledger.count(IMAGES) == 2  # what was cancelled is not repeated


async def test_cancelling_during_the_back_off_leaves_nothing_and_holds_no_permit_meanwhile(
    sandbox: Sandbox, start: Start
) -> None:
    clock = HandClock()
    sandbox.faults.add(Fault(SUBMIT, status=503, times=1))
    async with start(sandbox, clock, max_concurrency=1) as client:

        def asleep() -> bool:
            if clock.sleeping:
                assert look_at(client).permits == 0
            return clock.sleeping == 1

        async with anyio.create_task_group() as group:
            group.start_soon(submit_clip, client)
            await wait_until(asleep)
            await client.models.list()  # the only permit is free
            group.cancel_scope.cancel()
        assert (look_at(client).permits, clock.sleeping) == (0, 0)
        await submit_clip(client)
    assert sandbox.ledger.count(SUBMIT) == 2


async def test_cancelling_in_the_queue_leaves_the_queue(sandbox: Sandbox, start: Start) -> None:
    sandbox.faults.add(Fault(CHAT, stall=True))
    async with start(sandbox, max_concurrency=1) as client:
        async with anyio.create_task_group() as outer:
            outer.start_soon(ask_chat, client)
            await wait_until(lambda: sandbox.ledger.count(CHAT) == 1)
            async with anyio.create_task_group() as inner:
                for _ in range(5):
                    inner.start_soon(submit_clip, client)
                await wait_until(lambda: look_at(client).queued == 5)
                inner.cancel_scope.cancel()
            now = await held(client)
            assert (now.permits, now.queued, now.connections) == (1, 0, 1)
            outer.cancel_scope.cancel()
        assert await held(client) == NOTHING
        await client.models.list()
    assert sandbox.ledger.count(SUBMIT) == 0


async def test_cancelling_while_a_limit_is_reached_leaves_nothing(sandbox: Sandbox, start: Start) -> None:
    clock = HandClock()
    async with start(sandbox, clock, retry=RetryPolicy(max_attempts=1)) as client:
        close_limits(client, 9.0)
        async with anyio.create_task_group() as group:
            group.start_soon(submit_clip, client)
            await wait_until(lambda: clock.sleeping == 1)
            group.cancel_scope.cancel()
        assert (look_at(client).permits, clock.sleeping) == (0, 0)
        clock.advance(9)
        await submit_clip(client)
    assert sandbox.ledger.count(SUBMIT) == 1


async def test_a_client_serves_everything_after_a_churn_of_cancellations(sandbox: Sandbox, start: Start) -> None:
    async with start(sandbox, max_concurrency=5) as client:
        for turn in range(30):
            with anyio.move_on_after(0.0005 * (turn % 7)):
                async with anyio.create_task_group() as group:
                    for _ in range(10):
                        group.start_soon(list_models, client)
        now = await held(client)
        assert (now.permits, now.queued) == (0, 0)
        assert now.connections <= 5
        for _ in range(20):
            await client.models.list()
        assert (await held(client)).permits == 0
