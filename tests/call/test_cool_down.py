"""After a 429 nobody sends for a while."""

from __future__ import annotations

import logging
from datetime import timedelta
from email.utils import format_datetime

import anyio
import pytest

from relaydance_async import RateLimitError, RetryPolicy
from relaydance_async.sandbox import Fault, Sandbox
from tests.call.support import Start, failure_of
from tests.kit.calls import list_models, make_image, submit_clip
from tests.kit.clocks import HandClock, QuickClock
from tests.kit.inside import pause_of
from tests.kit.probe import look_at
from tests.kit.routes import FETCH, IMAGES, MODELS, SUBMIT
from tests.kit.strangers import answer, gateway
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


async def test_a_429_that_asks_for_a_day_ends_its_own_call_at_once(sandbox: Sandbox, start: Start) -> None:
    clock = QuickClock()
    sandbox.faults.add(Fault(IMAGES, status=429, headers={"retry-after": "86400"}, times=1))
    async with start(sandbox, clock) as client:
        error = await failure_of(make_image(client))
    assert isinstance(error, RateLimitError)
    assert (error.retry_after, len(error.attempts), clock.sleeps) == (86_400.0, 1, [])
    assert error.not_retried_because is not None
    assert "longest_retry_after" in error.not_retried_because


async def test_a_429_that_asks_for_a_day_stops_the_others_for_a_minute_then_one_tries(
    sandbox: Sandbox, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    clock = HandClock()
    sandbox.faults.add(Fault(IMAGES, status=429, headers={"retry-after": "86400"}, times=1))
    with caplog.at_level(logging.WARNING, "relaydance_async"):
        async with start(sandbox, clock) as client, anyio.create_task_group() as group:
            await failure_of(make_image(client))
            for _ in range(3):
                group.start_soon(list_models, client)
            await wait_until(lambda: look_at(client).queued == 3 and clock.sleeping == 1)
            clock.advance(59.9)
            await anyio.lowlevel.checkpoint()
            assert look_at(client).queued == 3
            clock.advance(0.1)
            await wait_until(lambda: sandbox.ledger.accepted(MODELS) == 1)
            while sandbox.ledger.accepted(MODELS) < 3:
                clock.advance(1.0)
                await anyio.lowlevel.checkpoint()
    assert [record.getMessage() for record in caplog.records] == [
        "a call got a 429 (too many requests): no call with this key is sent for 60.0 s. The 429 asked for 86400 s, "
        "longer than one answer may stop all calls: then one call tries."
    ]


async def test_pauses_that_follow_one_another_are_told_of_once(
    sandbox: Sandbox, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.faults.add(Fault(MODELS, status=429, times=3))
    with caplog.at_level(logging.WARNING, "relaydance_async"):
        async with start(sandbox, QuickClock()) as client:
            await list_models(client)
    assert len(caplog.records) == 1


async def test_a_date_is_read_by_the_clock_of_whoever_wrote_it(sandbox: Sandbox, start: Start) -> None:
    clock = HandClock()
    theirs = clock.clock.now() + timedelta(hours=1)
    dates = {"date": theirs, "retry-after": theirs + timedelta(seconds=2)}
    headers = {name: format_datetime(date, usegmt=True) for name, date in dates.items()}
    async with gateway(answer(429, headers)) as limited:
        client = start(sandbox, clock, base_url=limited.base_url, retry=RetryPolicy(max_attempts=1))
        async with client:
            error = await failure_of(list_models(client))
            assert isinstance(error, RateLimitError)
            assert error.retry_after == pause_of(client) == 2.0
