"""Never paid twice: a billed call is repeated only when it is known that it was not accepted."""

from __future__ import annotations

from typing import Any

import pytest

from relaydance_async import APIConnectionError, APITimeoutError, BadRequestError, RetryPolicy, Timeout
from relaydance_async.sandbox import ConnectionFault, Fault, FaultyProxy, Sandbox
from tests.call.support import PROXY_FAULTS, Start, failure_of
from tests.kit.calls import BILLED, open_stream, submit_clip
from tests.kit.clocks import QuickClock
from tests.kit.probe import held
from tests.kit.routes import CHAT, SUBMIT
from tests.kit.waiting import wait_until

pytestmark = pytest.mark.anyio

billed = pytest.mark.parametrize("route", BILLED)


@billed
async def test_a_billed_request_whose_answer_is_lost_is_not_repeated(
    sandbox: Sandbox, route: str, start: Start
) -> None:
    sandbox.faults.add(Fault(route, after_accept=True))
    clock = QuickClock()
    async with start(sandbox, clock) as client:
        error = await failure_of(BILLED[route](client))
        sandbox.faults.clear()
        await BILLED[route](client)
    assert type(error) is APIConnectionError
    assert error.maybe_accepted
    assert not error.retryable  # who repeats what is retryable must not pay twice
    assert len(error.attempts) == 1
    assert "may have been accepted and billed" in str(error)
    assert clock.sleeps == []
    assert sandbox.ledger.accepted(route) == 2  # the lost one and ours after it


@pytest.mark.parametrize("kind", PROXY_FAULTS)
@billed
async def test_a_billed_request_whose_connection_breaks_is_not_repeated(
    sandbox: Sandbox, route: str, kind: Any, start: Start
) -> None:
    after = {"cut_response": 400 if route == CHAT else 200}.get(kind, 0)
    with FaultyProxy(sandbox.root_url, [ConnectionFault(kind, after_bytes=after)]) as proxy:
        silent = kind == "black_hole_response"
        timeout = Timeout(read=0.1 if silent else 5.0)
        async with start(sandbox, QuickClock(), base_url=proxy.base_url, timeout=timeout) as client:
            error = await failure_of(BILLED[route](client))
            assert (await held(client)).connections == 0
            # On a slow machine the timeout may come before the server has read the request.
            await wait_until(lambda: sandbox.ledger.count(route) == 1)
    assert type(error) is (APITimeoutError if silent else APIConnectionError)
    assert error.maybe_accepted
    assert len(error.attempts) == 1
    assert proxy.requests == 1
    assert sandbox.ledger.accepted(route) == 1


@billed
async def test_a_connection_that_is_reset_before_the_request_was_read_loses_nothing_and_makes_nothing_twice(
    sandbox: Sandbox, route: str, start: Start
) -> None:
    with FaultyProxy(sandbox.root_url, [ConnectionFault("reset_before_request")]) as proxy:
        async with start(sandbox, QuickClock(), base_url=proxy.base_url) as client:
            error = await failure_of(BILLED[route](client))
    # The reset comes before the last byte was written, or after: only then the request may have been accepted.
    if error.maybe_accepted:  # of the last attempt, whichever that was
        assert error.not_retried_because == "it may have been accepted, and would then be paid for twice"
    else:
        assert len(error.attempts) == RetryPolicy().max_attempts
    assert sandbox.ledger.count(route) == 0


async def test_an_opening_stream_that_breaks_is_not_repeated(sandbox: Sandbox, start: Start) -> None:
    with FaultyProxy(sandbox.root_url, [ConnectionFault("reset_after_request")]) as proxy:
        async with start(sandbox, QuickClock(), base_url=proxy.base_url) as client:
            error = await failure_of(open_stream(client))
    assert error.maybe_accepted
    assert sandbox.ledger.accepted(CHAT) == sandbox.ledger.count(CHAT) == 1


@billed
async def test_a_caller_can_allow_an_ambiguous_request_to_be_repeated(
    sandbox: Sandbox, route: str, start: Start
) -> None:
    sandbox.faults.add(Fault(route, after_accept=True, times=1))
    async with start(sandbox, QuickClock()) as client:
        await BILLED[route](client.with_options(retry=RetryPolicy(retry_ambiguous=True)))
    assert sandbox.ledger.accepted(route) == 2
    assert sandbox.ledger.duplicates(route) == 1


async def test_an_attempt_that_may_have_been_accepted_stays_so_when_a_later_one_is_refused(
    sandbox: Sandbox, start: Start
) -> None:
    sandbox.faults.add(Fault(SUBMIT, after_accept=True, at=(1,)))
    sandbox.faults.add(Fault(SUBMIT, status=400, at=(2,)))
    async with start(sandbox, QuickClock(), retry=RetryPolicy(retry_ambiguous=True)) as client:
        error = await failure_of(submit_clip(client))
    assert type(error) is BadRequestError
    assert error.maybe_accepted
    assert sandbox.ledger.accepted(SUBMIT) == 1
