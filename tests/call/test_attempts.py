"""What an error lists as attempts, and when it says that they were sent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest

from relaydance_async import APIConnectionError, APITimeoutError, RelayDanceError, RetryEvent, RetryPolicy, ServerError
from relaydance_async._call import call
from relaydance_async._call.deadline import Deadline
from relaydance_async._timers import Timers
from relaydance_async.sandbox import Fault, FaultyProxy, Sandbox
from tests.call.support import Start, closed_port, failure_of
from tests.kit.calls import ask_chat, list_models, submit_clip
from tests.kit.clocks import HandClock, QuickClock
from tests.kit.probe import look_at
from tests.kit.routes import CHAT, MODELS, SUBMIT
from tests.kit.waiting import wait_until

pytestmark = pytest.mark.anyio

ONCE = RetryPolicy(max_attempts=1)


def check_timestamp(error: RelayDanceError) -> None:
    """What the support is told is the start of the last attempt."""
    assert error.support_details()["timestamp"] == error.attempts[-1].started_at.isoformat()


async def test_the_last_attempt_began_when_its_first_byte_was_sent_in_300_of_300_errors(
    sandbox: Sandbox, start: Start
) -> None:
    # With this code it is no outage of the gateway, for whose end the calls would wait.
    sandbox.faults.add(Fault(MODELS, status=503, code="get_channel_failed"))
    errors: list[RelayDanceError] = []
    policy = RetryPolicy(max_attempts=2, base=0.0)
    before = datetime.now(UTC)
    async with start(sandbox, retry=policy, max_concurrency=10) as client:

        async def fail() -> None:
            for _ in range(30):
                errors.append(await failure_of(client.models.list()))

        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(fail)
    assert len(errors) == 300
    assert all(error.sent_at == error.attempts[-1].started_at for error in errors)
    for error in errors:
        first, second = (record.started_at for record in error.attempts)
        assert before <= first < second <= datetime.now(UTC)
        check_timestamp(error)


async def test_a_call_whose_deadline_passes_in_the_queue_made_no_attempt(sandbox: Sandbox, start: Start) -> None:
    errors: list[RelayDanceError] = []
    sandbox.faults.add(Fault(CHAT, stall=True))
    async with start(sandbox, max_concurrency=1) as client, anyio.create_task_group() as group:
        group.start_soon(ask_chat, client)
        await wait_until(lambda: sandbox.ledger.count(CHAT) == 1)
        errors.append(await failure_of(submit_clip(client.with_options(deadline=0.02))))
        group.cancel_scope.cancel()
    (error,) = errors
    assert type(error) is APITimeoutError
    assert error.message.startswith(
        "no result within the deadline of 0.02 s; the call had been waiting for its turn for 0."
    )
    assert (error.attempts, error.sent_at, error.maybe_accepted) == ((), None, False)
    assert error.support_details()["timestamp"] is None
    assert "may have been accepted" not in str(error)
    assert sandbox.ledger.count(SUBMIT) == 0


async def test_a_call_that_is_queued_again_and_runs_out_of_time_lists_what_was_made(
    sandbox: Sandbox, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    deadlines: list[Deadline] = []

    def by_hand(seconds: float, timers: Timers | None) -> Deadline:
        deadlines.append(Deadline(seconds, timers))
        return deadlines[-1]

    clock = HandClock()
    sandbox.faults.add(Fault(SUBMIT, status=503, times=1))
    sandbox.faults.add(Fault(CHAT, stall=True))
    errors: list[RelayDanceError] = []
    async with start(sandbox, clock, max_concurrency=1) as client, anyio.create_task_group() as group:
        await client.models.list()
        view = client.with_options(deadline=1000.0)
        monkeypatch.setattr(call, "Deadline", by_hand)

        async def submit() -> None:
            errors.append(await failure_of(submit_clip(view)))

        group.start_soon(submit)
        await wait_until(lambda: clock.sleeping == 1)  # between its attempts
        monkeypatch.undo()
        group.start_soon(ask_chat, client)
        await wait_until(lambda: sandbox.ledger.count(CHAT) == 1)  # which has the only permit now
        clock.advance(10)
        await wait_until(lambda: look_at(client).queued == 1)
        deadlines[0]()
        await wait_until(lambda: bool(errors))
        group.cancel_scope.cancel()
    (error,) = errors
    assert "; the call had been waiting for its turn for " in error.message
    (record,) = error.attempts
    assert (record.number, record.error, record.status_code) == (1, "ServerError", 503)
    assert error.sent_at == record.started_at
    assert not error.maybe_accepted
    check_timestamp(error)
    assert sandbox.ledger.count(SUBMIT) == 1


async def test_a_call_that_gets_no_connection_made_an_attempt_that_sent_nothing(sandbox: Sandbox, start: Start) -> None:
    base_url = f"http://127.0.0.1:{closed_port()}/v1"
    async with start(sandbox, base_url=base_url, retry=ONCE) as client:
        error = await failure_of(submit_clip(client))
    assert type(error) is APIConnectionError
    assert (len(error.attempts), error.sent_at, error.maybe_accepted) == (1, None, False)
    check_timestamp(error)


async def test_an_attempt_that_was_sent_counts_when_a_later_one_gets_no_connection(
    sandbox: Sandbox, start: Start
) -> None:
    clock = QuickClock()
    with FaultyProxy(sandbox.root_url) as proxy:

        def close_port(event: RetryEvent) -> None:
            proxy.stop()

        sandbox.faults.add(Fault(MODELS, status=503, headers={"connection": "close"}))
        policy = RetryPolicy(max_attempts=2)
        async with start(sandbox, clock, base_url=proxy.base_url, retry=policy, on_retry=close_port) as client:
            error = await failure_of(client.models.list())
    assert [record.error for record in error.attempts] == ["ServerError", *["APIConnectionError"] * 21]
    assert error.sent_at is not None
    assert error.sent_at < error.attempts[1].started_at


async def test_an_attempt_that_the_deadline_ends_is_listed_as_a_timeout(sandbox: Sandbox, start: Start) -> None:
    sandbox.faults.add(Fault(MODELS, stall=True))
    async with start(sandbox, deadline=0.05) as client:
        error = await failure_of(client.models.list())
    (record,) = error.attempts
    assert (record.number, record.error, record.status_code, record.wait) == (1, "APITimeoutError", None, None)
    assert error.sent_at == record.started_at
    check_timestamp(error)


async def test_each_attempt_tells_how_long_it_waited_for_its_turn_and_then_took(sandbox: Sandbox, start: Start) -> None:
    sandbox.faults.add(Fault(MODELS, status=429, headers={"retry-after": "20"}, times=2))
    sandbox.faults.add(Fault(MODELS, status=503))
    clock = HandClock()
    errors: list[RelayDanceError] = []
    async with start(sandbox, clock, retry=RetryPolicy(max_attempts=3, base=5.0, cap=5.0)) as client:

        async def call() -> None:
            errors.append(await failure_of(client.models.list()))

        async with anyio.create_task_group() as group:
            group.start_soon(call)
            while not errors:
                await wait_until(lambda: clock.sleeping == 1 or bool(errors))
                if clock.sleeping:
                    clock.wake_next()
    records = errors[0].attempts
    assert [record.wait for record in records] == [20.0, 20.0, None]
    assert records[0].queued == 0.0
    assert all(record.queued >= 0.0 and record.elapsed >= 0.0 for record in records)
    assert type(errors[0]) is ServerError


async def test_the_error_of_a_broken_stream_says_when_it_was_sent(sandbox: Sandbox, start: Start) -> None:
    sandbox.faults.add(Fault(CHAT, status=503, at=(1,)))
    sandbox.faults.add(Fault(CHAT, cut_stream_after=2, at=(2,)))
    clock = QuickClock()
    async with (
        start(sandbox, clock) as client,
        await client.chat.completions.create(
            model="grok-4.3", messages=[{"role": "user", "content": "one two three"}], stream=True
        ) as stream,
    ):
        error = await failure_of(stream.get_final_completion())
    assert [record.error for record in error.attempts] == ["ServerError", "StreamError"]
    assert error.sent_at == error.attempts[-1].started_at
    assert error.sent_at is not None
    assert error.sent_at - error.attempts[0].started_at == timedelta(seconds=0.5)
    check_timestamp(error)


async def test_a_call_of_many_waits_its_turn_each_time(sandbox: Sandbox, start: Start) -> None:
    sandbox.faults.add(Fault(MODELS, status=400))
    errors: list[Any] = []
    async with start(sandbox, max_concurrency=1) as client:

        async def call() -> None:
            errors.append(await failure_of(list_models(client)))

        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(call)
    waits = [error.attempts[0].queued for error in errors]
    assert waits[0] == 0.0
    assert 0.0 < waits[1] < waits[2]
