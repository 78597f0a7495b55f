"""After 429s the calls that are refused wait, and no others."""

from __future__ import annotations

import logging
from datetime import timedelta
from email.utils import format_datetime

import anyio
import pytest

from relaydance_async import APITimeoutError, RateLimitError, RetryPolicy
from relaydance_async.sandbox import Fault, Sandbox
from tests.call.support import Start, failure_of
from tests.kit.calls import list_models, make_image, submit_clip
from tests.kit.clocks import HandClock, QuickClock
from tests.kit.inside import book_of, close_limits
from tests.kit.probe import look_at
from tests.kit.routes import FETCH, IMAGES, MODELS, SUBMIT
from tests.kit.strangers import answer, gateway
from tests.kit.waiting import wait_until

pytestmark = pytest.mark.anyio


async def test_after_refusals_the_calls_of_that_model_wait_and_others_do_not(sandbox: Sandbox, start: Start) -> None:
    clock = HandClock()
    sandbox.faults.add(Fault(SUBMIT, status=429, headers={"retry-after": "1"}, times=60))
    async with start(sandbox, clock, max_concurrency=40) as client, anyio.create_task_group() as group:
        for _ in range(40):
            group.start_soon(submit_clip, client)
        await wait_until(lambda: sandbox.ledger.count(SUBMIT, status=429) >= 10)
        for _ in range(100):
            clock.advance(0.02)
            await anyio.sleep(0.001)
        refused = sandbox.ledger.count(SUBMIT, status=429)
        for _ in range(10):
            await list_models(client)
        assert refused <= 50  # one at a time asks, after the 40 that may have left at first; else it would be all 60
        assert look_at(client).permits <= 1
        while sandbox.ledger.accepted(SUBMIT) < 40:
            clock.advance(0.25)
            await anyio.sleep(0.001)
    assert sandbox.ledger.accepted(MODELS) == 10


async def test_refusals_of_different_kinds_of_calls_hold_all_of_them(sandbox: Sandbox, start: Start) -> None:
    clock = HandClock()
    for route in (SUBMIT, MODELS, IMAGES):
        sandbox.faults.add(Fault(route, status=429, headers={"retry-after": "5"}, times=12))
    async with start(sandbox, clock) as client, anyio.create_task_group() as group:
        for _ in range(6):
            group.start_soon(submit_clip, client)
            group.start_soon(list_models, client)
            group.start_soon(make_image, client)
        await wait_until(lambda: book_of(client).wide.limiter is not None)
        group.cancel_scope.cancel()
    limits = client.limits.snapshot()
    assert "the whole key" in str(limits)


async def test_clients_of_other_keys_do_not_wait(sandbox: Sandbox, start: Start) -> None:
    clock = HandClock()
    sandbox.faults.add(Fault(MODELS, status=429, headers={"retry-after": "7"}, times=1))
    async with start(sandbox, clock, retry=RetryPolicy(max_attempts=1)) as client, start(sandbox) as other:
        await failure_of(client.models.list())
        await other.models.list()
    assert sandbox.ledger.accepted(MODELS) == 1


async def test_a_limit_that_outlasts_the_deadline_ends_the_call_unsent(sandbox: Sandbox, start: Start) -> None:
    async with start(sandbox, HandClock()) as client:
        close_limits(client, 60.0)
        error = await failure_of(submit_clip(client.with_options(deadline=30)))
    assert isinstance(error, APITimeoutError)
    assert error.message.startswith("its turn would come in 60.0 s at the soonest, after its deadline (POST /video")
    assert (error.status_code, error.maybe_accepted, error.retryable, error.attempts) == (None, False, True, ())
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


async def test_a_429_that_asks_for_a_day_does_not_stop_others(
    sandbox: Sandbox, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.faults.add(Fault(IMAGES, status=429, headers={"retry-after": "86400"}, times=1))
    with caplog.at_level(logging.WARNING, "relaydance_async"):
        async with start(sandbox, QuickClock()) as client:
            await failure_of(make_image(client))
            await list_models(client)
            await make_image(client)
    assert [record.getMessage().split(":")[1] for record in caplog.records] == [
        " a call got a 429 (too many requests), with a Retry-After of 86400 s"
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
            assert error.retry_after == 2.0
