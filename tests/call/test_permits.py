"""How many attempts are under way, and what they may read."""

from __future__ import annotations

import anyio
import pytest

from relaydance_async import ResponseTooLargeError, RetryPolicy
from relaydance_async.sandbox import Fault, FaultyProxy, Sandbox
from tests.call.support import Start, failure_of
from tests.kit.calls import ask_chat, list_models
from tests.kit.clocks import HandClock, QuickClock
from tests.kit.inside import limit_of, open_limits
from tests.kit.probe import NOTHING, held, look_at
from tests.kit.routes import CHAT, MODELS
from tests.kit.waiting import wait_until

pytestmark = pytest.mark.anyio


async def test_a_429_slows_the_calls_down_but_lets_as_many_be_under_way(sandbox: Sandbox, start: Start) -> None:
    sandbox.faults.add(Fault(MODELS, status=429, times=1))
    async with start(sandbox, QuickClock(), max_concurrency=8, retry=RetryPolicy(max_attempts=1)) as client:
        await failure_of(client.models.list())
        assert limit_of(client) == 8


async def test_an_overloaded_gateway_lowers_the_limit_which_comes_back_in_a_moment(
    sandbox: Sandbox, start: Start
) -> None:
    sandbox.faults.add(Fault(MODELS, status=503, code="system_cpu_overloaded", times=1))
    sandbox.faults.add(Fault(CHAT, delay=0.05))
    clock = HandClock()
    async with start(sandbox, clock, max_concurrency=20, retry=RetryPolicy(max_attempts=1)) as client:
        open_limits(client)
        async with anyio.create_task_group() as group:
            for _ in range(16):
                group.start_soon(ask_chat, client)
            await wait_until(lambda: look_at(client).permits == 16)
            await failure_of(client.models.list())
            assert limit_of(client) == 11
        clock.advance(0.4)
        await client.models.list()
        assert limit_of(client) == 11
        for seconds, limit in ((0.1, 16), (0.5, 20)):
            clock.advance(seconds)
            await client.models.list()
            assert limit_of(client) == limit


async def test_other_errors_leave_the_limit_as_it_is(sandbox: Sandbox, start: Start) -> None:
    sandbox.faults.add(Fault(MODELS, status=503, at=(1,)))
    sandbox.faults.add(Fault(MODELS, status=400, at=(2,)))
    async with start(sandbox, QuickClock(), max_concurrency=8, retry=RetryPolicy(max_attempts=1)) as client:
        limits: list[int] = []
        for _ in range(2):
            await failure_of(client.models.list())
            limits.append(limit_of(client))
    assert limits == [8, 8]


async def test_no_more_than_max_concurrency_attempts_are_under_way(sandbox: Sandbox, start: Start) -> None:
    sandbox.faults.add(Fault(MODELS, delay=0.002))
    with FaultyProxy(sandbox.root_url) as proxy:
        async with start(sandbox, base_url=proxy.base_url, max_concurrency=3) as client:
            async with anyio.create_task_group() as group:
                for _ in range(30):
                    group.start_soon(list_models, client)
            assert proxy.connections <= 3
    assert sandbox.ledger.accepted(MODELS) == 30


async def test_a_stream_holds_its_permit_until_it_is_closed(sandbox: Sandbox, start: Start) -> None:
    async with start(sandbox, max_concurrency=2) as client:
        stream = await client.chat.completions.create(
            model="grok-4.3", messages=[{"role": "user", "content": "Hi"}], stream=True
        )
        assert (await held(client)).permits == 1
        await stream.aclose()
        assert (await held(client)).permits == 0


async def test_an_answer_above_the_limit_is_refused_without_being_read(sandbox: Sandbox, start: Start) -> None:
    sandbox.faults.add(Fault(MODELS, endless_body=True, times=1))
    async with start(sandbox, max_response_bytes=10_000) as client:
        error = await failure_of(client.models.list())
        assert type(error) is ResponseTooLargeError
        assert error.message == "the answer is larger than 10000 bytes"
        assert await held(client) == NOTHING
        await client.models.list()


async def test_the_api_root_is_used_for_its_own_paths_and_the_key_goes_with_it(sandbox: Sandbox, start: Start) -> None:
    async with start(sandbox) as client:
        await client.account.balance()
    assert [entry.path for entry in sandbox.ledger.entries] == ["/api/usage/token/"]
