"""What is repeated, how often and when."""

from __future__ import annotations

from datetime import timedelta
from email.utils import format_datetime

import pytest

from relaydance_async import BadRequestError, RateLimitError, RetryEvent, RetryPolicy, ServerError
from relaydance_async.sandbox import Fault, Sandbox
from tests.call.support import Start, failure_of
from tests.kit.calls import BILLED, submit_clip
from tests.kit.clocks import QuickClock
from tests.kit.routes import MODELS, SUBMIT

pytestmark = pytest.mark.anyio

billed = pytest.mark.parametrize("route", BILLED)


async def test_a_call_that_succeeds_at_once_is_sent_once_and_waits_for_nothing(sandbox: Sandbox, start: Start) -> None:
    clock = QuickClock()
    async with start(sandbox, clock) as client:
        await submit_clip(client)
    assert clock.sleeps == []
    assert sandbox.ledger.count() == sandbox.ledger.accepted(SUBMIT) == 1


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 520, 599])
@billed
async def test_a_billed_request_is_repeated_after_an_error_answer_and_accepted_once(
    sandbox: Sandbox, route: str, status: int, start: Start
) -> None:
    sandbox.faults.add(Fault(route, status=status, times=3))
    async with start(sandbox, QuickClock()) as client:
        await BILLED[route](client)
    assert sandbox.ledger.count(route) == 4
    assert sandbox.ledger.count(route, status=status) == 3
    assert sandbox.ledger.accepted(route) == sandbox.ledger.count(route, status=200) == 1


@billed
async def test_every_attempt_sends_the_same_body(sandbox: Sandbox, route: str, start: Start) -> None:
    sandbox.faults.add(Fault(route, status=503, times=2, after_accept=True))
    async with start(sandbox, QuickClock()) as client:
        await BILLED[route](client)
    assert len({(entry.body_sha256, entry.body_bytes) for entry in sandbox.ledger.entries}) == 1
    assert sandbox.ledger.duplicates(route) == 2


@pytest.mark.parametrize("attempts", [1, 2, 7])
async def test_max_attempts_is_kept_and_every_attempt_is_on_the_error(
    sandbox: Sandbox, attempts: int, start: Start
) -> None:
    sandbox.faults.add(Fault(MODELS, status=503, code="system_cpu_overloaded"))
    clock = QuickClock()
    async with start(sandbox, clock, retry=RetryPolicy(max_attempts=attempts)) as client:
        error = await failure_of(client.models.list())
    assert type(error) is ServerError
    assert sandbox.ledger.count(MODELS) == attempts
    assert [record.number for record in error.attempts] == [*range(1, attempts + 1)]
    assert [record.wait for record in error.attempts] == [*clock.sleeps, None]
    assert {(record.error, record.status_code, record.code) for record in error.attempts} == {
        ("ServerError", 503, "system_cpu_overloaded")
    }
    starts = [record.started_at for record in error.attempts]
    assert starts == sorted(starts)
    assert error.sent_at == starts[-1]


async def test_a_final_error_after_a_transient_one_ends_the_call(sandbox: Sandbox, start: Start) -> None:
    sandbox.faults.add(Fault(MODELS, status=503, at=(1,)))
    sandbox.faults.add(Fault(MODELS, status=400, at=(2,)))
    async with start(sandbox, QuickClock()) as client:
        error = await failure_of(client.models.list())
    assert type(error) is BadRequestError
    assert [(record.error, record.status_code) for record in error.attempts] == [
        ("ServerError", 503),
        ("BadRequestError", 400),
    ]


@pytest.mark.parametrize("jitter", [0.0, 0.25, 1.0])
async def test_the_waits_are_full_jitter_up_to_the_cap(sandbox: Sandbox, jitter: float, start: Start) -> None:
    sandbox.faults.add(Fault(MODELS, status=503))
    clock = QuickClock(jitter=jitter)
    async with start(sandbox, clock, retry=RetryPolicy(max_attempts=7, base=0.5, cap=4.0)) as client:
        await failure_of(client.models.list())
    assert clock.sleeps == pytest.approx([wait * jitter for wait in (0.5, 1.0, 2.0, 4.0, 4.0, 4.0)])


async def test_every_wait_draws_its_own_chance(sandbox: Sandbox, start: Start) -> None:
    sandbox.faults.add(Fault(MODELS, status=503))
    clock = QuickClock()
    waits: list[float] = []
    chances = iter((0.5, 0.25, 0.125))

    def redraw(event: RetryEvent) -> None:
        waits.append(event.wait)
        clock.jitter = next(chances)

    async with start(sandbox, clock, on_retry=redraw) as client:
        await failure_of(client.models.list())
    assert waits == pytest.approx([0.5 * 1.0, 1.0 * 0.5, 2.0 * 0.25])


@pytest.mark.parametrize("form", ["seconds", "date", "ms"])
@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_is_waited_for_in_each_of_its_forms(
    sandbox: Sandbox, form: str, status: int, start: Start
) -> None:
    clock = QuickClock(jitter=0.0)
    headers = {
        "seconds": {"retry-after": "20"},
        "ms": {"retry-after-ms": "20000"},
        "date": {"retry-after": format_datetime(clock.now() + timedelta(seconds=20), usegmt=True)},
    }[form]
    sandbox.faults.add(Fault(MODELS, status=status, headers=headers, times=1))
    async with start(sandbox, clock) as client:
        await client.models.list()
    # An HTTP date has no fractions of a second.
    assert clock.sleeps == [pytest.approx(20.0, abs=1.0 if form == "date" else 1e-6)]


async def test_a_429_that_says_nothing_is_followed_by_a_pause(sandbox: Sandbox, start: Start) -> None:
    sandbox.faults.add(Fault(MODELS, status=429, body=b"", times=1))
    clock = QuickClock(jitter=0.0)
    async with start(sandbox, clock) as client:
        await client.models.list()
    assert 0 < sum(clock.sleeps) < 0.1  # some round trips: one refusal proves no limit


@pytest.mark.parametrize("times", [4, 6, 8])
async def test_refusals_of_calls_that_look_for_the_limit_are_no_attempts_of_theirs(
    sandbox: Sandbox, start: Start, times: int
) -> None:
    sandbox.faults.add(Fault(MODELS, status=429, body=b"", times=times))
    async with start(sandbox, QuickClock(jitter=0.5), retry=RetryPolicy(max_attempts=2)) as client:
        await client.models.list()
    assert sandbox.ledger.count(MODELS) == times + 1


async def test_refusals_without_an_end_end_the_call(sandbox: Sandbox, start: Start) -> None:
    sandbox.faults.add(Fault(MODELS, status=429, body=b""))
    clock = QuickClock(jitter=0.5)
    async with start(sandbox, clock, retry=RetryPolicy(max_attempts=2, longest_retry_after=100)) as client:
        error = await failure_of(client.models.list())
    assert isinstance(error, RateLimitError)
    assert 100 <= sum(clock.sleeps) < 130
    assert sandbox.ledger.count(MODELS) < 35


@pytest.mark.parametrize("status", [429, 503])
async def test_a_retry_after_above_the_deadline_ends_the_call_at_once_with_the_error(
    sandbox: Sandbox, status: int, start: Start
) -> None:
    sandbox.faults.add(Fault(MODELS, status=status, headers={"retry-after": "60"}))
    clock = QuickClock()
    async with start(sandbox, clock, deadline=30) as client:
        error = await failure_of(client.models.list())
    assert isinstance(error, RateLimitError | ServerError)
    assert (error.status_code, error.retry_after, len(error.attempts)) == (status, 60.0, 1)
    assert error.retryable
    assert clock.sleeps == []
    assert sandbox.ledger.count() == 1
