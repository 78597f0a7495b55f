"""Calls whose connection does not come about, or breaks without a cost."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from relaydance_async import APIConnectionError, RetryEvent, RetryPolicy, ServerError, Timeout
from relaydance_async.sandbox import ConnectionFault, Fault, FaultyProxy, Sandbox
from tests.call.support import PROXY_FAULTS, Start, closed_port, failure_of
from tests.kit.calls import BILLED, submit_clip
from tests.kit.clocks import QuickClock
from tests.kit.routes import FILES, MODELS, SUBMIT

pytestmark = pytest.mark.anyio

billed = pytest.mark.parametrize("route", BILLED)


@pytest.mark.parametrize("kind", PROXY_FAULTS)
async def test_a_get_is_repeated_after_a_broken_connection(sandbox: Sandbox, kind: Any, start: Start) -> None:
    with FaultyProxy(sandbox.root_url, [ConnectionFault(kind, after_bytes=0, at=(1, 2))]) as proxy:
        timeout = Timeout(read=0.1 if kind == "black_hole_response" else 5.0)
        async with start(sandbox, QuickClock(), base_url=proxy.base_url, timeout=timeout) as client:
            models = await client.models.list()
            assert models.data
    assert proxy.connections == 3


async def test_a_get_that_breaks_for_good_is_not_called_accepted(sandbox: Sandbox, start: Start) -> None:
    with FaultyProxy(sandbox.root_url, [ConnectionFault("reset_after_request")]) as proxy:
        async with start(sandbox, QuickClock(), base_url=proxy.base_url) as client:
            error = await failure_of(client.models.list())
    assert type(error) is APIConnectionError
    assert not error.maybe_accepted
    assert len(error.attempts) == proxy.connections == 4


@billed
async def test_a_refused_connection_is_tried_again_for_a_billed_request_too(
    sandbox: Sandbox, route: str, start: Start
) -> None:
    port = closed_port()
    proxy = FaultyProxy(sandbox.root_url, port=port)

    def open_at_last(event: RetryEvent) -> None:
        assert type(event.error) is APIConnectionError
        assert not event.error.maybe_accepted
        if event.attempt == 2:
            proxy.start()

    base_url = f"http://127.0.0.1:{port}/v1"
    try:
        async with start(sandbox, QuickClock(), base_url=base_url, on_retry=open_at_last) as client:
            await BILLED[route](client)
    finally:
        proxy.stop()
    assert sandbox.ledger.accepted(route) == sandbox.ledger.count(route) == 1


def opening(proxy: FaultyProxy, at: float) -> Callable[[float], None]:
    """Closes the port, and opens it at the first sleep that ends after that many seconds of a `QuickClock`."""
    proxy.close_port()
    slept: list[float] = [1000.0]

    def open_port(seconds: float) -> None:
        before = slept[0]
        slept[0] += seconds
        if before < at <= slept[0]:
            proxy.open_port()

    return open_port


async def test_a_port_that_stays_closed_is_an_error_after_a_minute(sandbox: Sandbox, start: Start) -> None:
    clock = QuickClock()
    async with start(sandbox, clock, base_url=f"http://127.0.0.1:{closed_port()}/v1") as client:
        error = await failure_of(submit_clip(client))
    assert type(error) is APIConnectionError
    assert error.message.startswith("no connection to the gateway: ")
    assert error.not_retried_because == "there was no connection for 58 s"
    assert not error.maybe_accepted
    assert clock.sleeps == [0.5, 1.0, 2.0, *[3.0] * 18]


async def test_without_retries_a_closed_port_is_an_error_at_once(sandbox: Sandbox, start: Start) -> None:
    base_url = f"http://127.0.0.1:{closed_port()}/v1"
    async with start(sandbox, QuickClock(), base_url=base_url, retry=RetryPolicy(max_attempts=1)) as client:
        error = await failure_of(submit_clip(client))
    assert len(error.attempts) == 1


async def test_a_port_that_is_closed_for_five_seconds_costs_no_call_whose_deadline_allows_more(
    sandbox: Sandbox, start: Start
) -> None:
    with FaultyProxy(sandbox.root_url) as proxy:
        clock = QuickClock(opening(proxy, 1005.0), jitter=None)
        client = start(sandbox, clock, base_url=proxy.base_url, deadline=30)
        async with client, anyio.create_task_group() as group:
            for _ in range(50):
                group.start_soon(submit_clip, client)
    assert sandbox.ledger.accepted(SUBMIT) == sandbox.ledger.count(SUBMIT) == 50


async def test_what_was_sent_is_counted_without_the_attempts_that_had_no_connection(
    sandbox: Sandbox, start: Start
) -> None:
    sandbox.faults.add(Fault(MODELS, status=503))
    with FaultyProxy(sandbox.root_url) as proxy:
        clock = QuickClock(opening(proxy, 1010.0))
        async with start(sandbox, clock, base_url=proxy.base_url, retry=RetryPolicy(max_attempts=3)) as client:
            error = await failure_of(client.models.list())
    assert sandbox.ledger.count(MODELS) == 3
    assert error.not_retried_because == "3 requests of 3 were sent"


async def test_a_host_without_an_address_is_tried_again_too(sandbox: Sandbox, start: Start) -> None:
    async with start(sandbox, QuickClock(), base_url="https://no-such-host.invalid/v1") as client:
        error = await failure_of(submit_clip(client))
    assert type(error) is APIConnectionError
    assert (error.maybe_accepted, error.retryable, len(error.attempts)) == (False, True, 22)


async def test_an_upload_that_can_be_read_once_is_sent_once(sandbox: Sandbox, start: Start) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"a piece"

    sandbox.faults.add(Fault(FILES, status=503))
    async with start(sandbox, QuickClock()) as client:
        error = await failure_of(client.files.upload(pieces(), filename="a.bin"))
    assert type(error) is ServerError
    assert sandbox.ledger.count(FILES) == 1


async def test_an_upload_from_a_path_is_read_again_for_each_attempt(
    sandbox: Sandbox, tmp_path: Path, start: Start
) -> None:
    path = tmp_path / "cat.jpg"
    path.write_bytes(b"cat" * 1000)
    sandbox.faults.add(Fault(FILES, status=503, times=2))
    async with start(sandbox, QuickClock()) as client:
        await client.files.upload(path)
    assert sandbox.ledger.accepted(FILES) == 1


async def test_a_stale_connection_of_the_pool_does_not_cost_a_get(sandbox: Sandbox, start: Start) -> None:
    with FaultyProxy(sandbox.root_url) as proxy:
        async with start(sandbox, QuickClock(), base_url=proxy.base_url) as client:
            await client.models.list()
            proxy.reset_all()
            await client.models.list()
    assert sandbox.ledger.accepted(MODELS) == 2
