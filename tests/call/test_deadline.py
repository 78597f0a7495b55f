"""One deadline spans the queue, the attempts and the waits."""

from __future__ import annotations

import time

import anyio
import pytest

from relaydance_async import APITimeoutError, RetryPolicy, ServerError
from relaydance_async._call import call
from relaydance_async._call.deadline import Deadline
from relaydance_async._timers import Timers
from relaydance_async.sandbox import Fault, Sandbox
from tests.call.support import Start, failure_of
from tests.kit.calls import BILLED, ask_chat, submit_clip
from tests.kit.clocks import QuickClock
from tests.kit.probe import NOTHING, held
from tests.kit.routes import CHAT, FETCH, MODELS, SUBMIT
from tests.kit.waiting import wait_until

pytestmark = pytest.mark.anyio

billed = pytest.mark.parametrize("route", BILLED)


def took(since: float) -> float:
    return time.monotonic() - since


async def test_the_deadline_ends_an_attempt_that_hangs(sandbox: Sandbox, start: Start) -> None:
    sandbox.faults.add(Fault(MODELS, stall=True))
    async with start(sandbox, deadline=0.03) as client:
        since = time.monotonic()
        error = await failure_of(client.models.list())
        assert took(since) < 1
        assert await held(client) == NOTHING
        sandbox.faults.clear()
        await client.with_options(deadline=5).models.list()
    assert type(error) is APITimeoutError
    assert isinstance(error, TimeoutError)
    assert error.message == "no result within the deadline of 0.03 s"
    assert [record.error for record in error.attempts] == ["APITimeoutError"]
    assert error.retryable
    assert not error.maybe_accepted


@billed
async def test_a_billed_request_that_the_deadline_ends_may_have_been_accepted(
    sandbox: Sandbox, route: str, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.faults.add(Fault(route, delay=60.0))
    deadlines: list[Deadline] = []

    def by_hand(seconds: float, timers: Timers | None) -> Deadline:
        deadlines.append(Deadline(seconds, timers))
        return deadlines[-1]

    async def end_when_accepted() -> None:
        await wait_until(lambda: sandbox.ledger.accepted(route) == 1)
        deadlines[0]()

    async with start(sandbox, deadline=9.0) as client:
        # However slow the machine is, it passes just when the request has been accepted.
        monkeypatch.setattr(call, "Deadline", by_hand)
        async with anyio.create_task_group() as group:
            group.start_soon(end_when_accepted)
            error = await failure_of(BILLED[route](client))
            assert type(error) is APITimeoutError
            assert error.message == "no result within the deadline of 9 s"
            assert error.maybe_accepted
        monkeypatch.undo()
    assert sandbox.ledger.accepted(route) == 1


async def test_the_deadline_covers_the_queue_and_a_call_that_was_never_sent_is_not_called_accepted(
    sandbox: Sandbox, start: Start
) -> None:
    sandbox.faults.add(Fault(CHAT, stall=True))
    async with start(sandbox, max_concurrency=1) as client, anyio.create_task_group() as group:
        group.start_soon(ask_chat, client)
        await wait_until(lambda: sandbox.ledger.count(CHAT) == 1)
        error = await failure_of(submit_clip(client.with_options(deadline=0.02)))
        assert type(error) is APITimeoutError
        begin, _, waited = error.message.rpartition(" for ")
        assert begin == "no result within the deadline of 0.02 s; the call had been waiting for its turn"
        assert 0 < float(waited.removesuffix(" s")) < 5
        assert not error.maybe_accepted
        now = await held(client)
        assert (now.permits, now.queued) == (1, 0)
        group.cancel_scope.cancel()
    assert sandbox.ledger.count(SUBMIT) == 0


async def test_the_deadline_spans_all_attempts_and_waits(sandbox: Sandbox, start: Start) -> None:
    sandbox.faults.add(Fault(MODELS, status=503, delay=0.01))
    policy = RetryPolicy(max_attempts=10_000, base=0.005, cap=0.005)
    async with start(sandbox, deadline=1.0, retry=policy) as client:
        since = time.monotonic()
        error = await failure_of(client.models.list())
        assert took(since) < 5
    assert isinstance(error, ServerError | APITimeoutError)
    assert len(error.attempts) > 1
    assert sandbox.ledger.count(MODELS) >= len(error.attempts) - 1


async def test_a_wait_that_would_outlast_the_deadline_is_not_begun(sandbox: Sandbox, start: Start) -> None:
    sandbox.faults.add(Fault(MODELS, status=503))
    clock = QuickClock()
    async with start(sandbox, clock, deadline=3.0) as client:
        error = await failure_of(client.models.list())
    # 0.5 + 1.0 s have passed; 2.0 s more are too long.
    assert clock.sleeps == [0.5, 1.0]
    assert type(error) is ServerError
    assert len(error.attempts) == 3


async def test_a_poll_that_the_deadline_of_a_call_ends_does_not_end_the_wait(sandbox: Sandbox, start: Start) -> None:
    clock = QuickClock()
    async with start(sandbox, clock) as client:
        task = await submit_clip(client)
        sandbox.faults.add(Fault(FETCH, stall=True, times=1))
        sandbox.clock.advance(3600)
        done = await client.with_options(deadline=0.05).video.wait(task)
    assert done.status == "succeeded"
    assert sandbox.ledger.count(FETCH) > 1
