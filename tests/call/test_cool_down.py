"""After a 429 nobody sends for a while."""

from __future__ import annotations

import anyio
import pytest

from relaydance_async import RateLimitError, RetryPolicy
from relaydance_async.sandbox import Fault, Sandbox
from tests.call.support import Start, failure_of
from tests.kit.calls import list_models, submit_clip
from tests.kit.clocks import HandClock, QuickClock
from tests.kit.probe import look_at
from tests.kit.routes import FETCH, MODELS, SUBMIT
from tests.kit.waiting import wait_until

pytestmark = pytest.mark.anyio


async def test_after_a_429_the_other_calls_wait_instead_of_collecting_their_own(sandbox: Sandbox, start: Start) -> None:
    clock = HandClock()
    sandbox.faults.add(Fault(SUBMIT, status=429, headers={"retry-after": "7"}, at=(1,)))
    async with start(sandbox, clock) as client, anyio.create_task_group() as group:
        group.start_soon(submit_clip, client)
        await wait_until(lambda: clock.sleeping == 1)
        view = client.with_options(deadline=3600)
        for n in range(10):
            group.start_soon(list_models, view if n % 2 else client)
        await wait_until(lambda: look_at(client).queued == 10)
        assert look_at(client).permits == 0
        clock.advance(6.9)
        await anyio.sleep(0.005)
        assert sandbox.ledger.count() == 1
        # Then they pass, though not all at once: the pace is found out.
        while sandbox.ledger.count() < 12:
            clock.advance(0.25)
            await anyio.sleep(0.001)
    assert sandbox.ledger.count(status=429) == 1
    assert sandbox.ledger.accepted() == 11


async def test_clients_of_other_keys_do_not_wait(sandbox: Sandbox, start: Start) -> None:
    clock = HandClock()
    sandbox.faults.add(Fault(MODELS, status=429, headers={"retry-after": "7"}, times=1))
    async with start(sandbox, clock, retry=RetryPolicy(max_attempts=1)) as client, start(sandbox) as other:
        await failure_of(client.models.list())
        await other.models.list()
    assert sandbox.ledger.accepted(MODELS) == 1


async def test_a_cool_down_longer_than_the_deadline_ends_the_call_unsent(sandbox: Sandbox, start: Start) -> None:
    sandbox.faults.add(Fault(MODELS, status=429, headers={"retry-after": "60"}, times=1))
    async with start(sandbox, HandClock(), retry=RetryPolicy(max_attempts=1)) as client:
        await failure_of(client.models.list())
        error = await failure_of(submit_clip(client.with_options(deadline=30)))
    assert isinstance(error, RateLimitError)
    assert error.message == "the key is cooling down after a 429 for 60.0 s more, longer than the deadline allows"
    assert (error.retry_after, error.status_code, error.maybe_accepted) == (60.0, None, False)
    assert error.retryable
    assert sandbox.ledger.count(SUBMIT) == 0


async def test_a_cool_down_does_not_end_a_wait_for_a_task(sandbox: Sandbox, start: Start) -> None:
    clock = QuickClock()
    async with start(sandbox, clock) as client:
        task = await submit_clip(client)
        sandbox.clock.advance(3600)
        sandbox.faults.add(Fault(FETCH, status=429, headers={"retry-after": "5"}, times=1))
        done = await client.with_options(deadline=1.0).video.wait(task)
    assert done.status == "succeeded"
