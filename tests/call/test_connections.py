"""Calls whose connection does not come about, or breaks without a cost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from relaydance_async import APIConnectionError, RetryEvent, ServerError, Timeout
from relaydance_async.sandbox import ConnectionFault, Fault, FaultyProxy, Sandbox
from tests.call.support import PROXY_FAULTS, Start, closed_port, failure_of
from tests.kit.calls import BILLED, submit_clip
from tests.kit.clocks import QuickClock
from tests.kit.routes import FILES, MODELS

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


async def test_a_port_that_stays_closed_is_an_error_after_every_attempt(sandbox: Sandbox, start: Start) -> None:
    async with start(sandbox, QuickClock(), base_url=f"http://127.0.0.1:{closed_port()}/v1") as client:
        error = await failure_of(submit_clip(client))
    assert type(error) is APIConnectionError
    assert error.message.startswith("no connection to the gateway: ")
    assert (error.maybe_accepted, len(error.attempts)) == (False, 4)


async def test_a_host_without_an_address_is_tried_again_too(sandbox: Sandbox, start: Start) -> None:
    async with start(sandbox, QuickClock(), base_url="https://no-such-host.invalid/v1") as client:
        error = await failure_of(submit_clip(client))
    assert type(error) is APIConnectionError
    assert (error.maybe_accepted, error.retryable, len(error.attempts)) == (False, True, 4)


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
