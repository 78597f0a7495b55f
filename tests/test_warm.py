"""`warm`: what the first call would have to do, done before."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from relaydance_async import APIConnectionError, APITimeoutError, AsyncRelayDance, Timeout
from relaydance_async.sandbox import ConnectionFault, FaultyProxy, Sandbox
from tests.kit.probe import look_at
from tests.transports.support import closed_port

pytestmark = pytest.mark.anyio


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


@pytest.mark.parametrize("transport", ["direct", "httpx"])
async def test_the_first_call_finds_a_connection_and_nothing_was_sent(transport: str, sandbox: Sandbox) -> None:
    async with AsyncRelayDance(sandbox.api_key, base_url=sandbox.base_url, transport=transport) as client:  # type: ignore[arg-type]
        await client.warm()
        assert look_at(client).connections == 1
        assert not sandbox.ledger.entries
        await client.models.list()
        await client.warm()
        assert look_at(client).connections == 1


async def test_it_needs_no_key(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RELAYDANCE_API_KEY", raising=False)
    async with AsyncRelayDance(base_url=sandbox.base_url) as client:
        await client.warm()


async def test_a_gateway_that_is_not_there_is_told() -> None:
    async with AsyncRelayDance("sk-1", base_url=f"{closed_port()}/v1") as client:
        with pytest.raises(APIConnectionError, match="refused"):
            await client.warm()
        assert look_at(client).connections == 0


async def test_a_gateway_that_does_not_answer_the_handshake_is_told() -> None:
    with Sandbox() as sandbox, FaultyProxy(sandbox.base_url, [ConnectionFault("black_hole")]) as proxy:
        url = f"https://127.0.0.1:{proxy.port}/v1"
        async with AsyncRelayDance("sk-1", base_url=url, timeout=Timeout(connect=0.2)) as client:
            with pytest.raises(APITimeoutError):
                await client.warm()
            assert look_at(client).connections == 0


async def test_a_client_of_the_callers_is_left_alone(sandbox: Sandbox) -> None:
    async with (
        httpx.AsyncClient() as http,
        AsyncRelayDance(sandbox.api_key, base_url=sandbox.base_url, http_client=http) as client,
    ):
        await client.warm()
        assert len(await client.models.list()) > 1
