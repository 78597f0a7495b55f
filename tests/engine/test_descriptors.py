"""What a transport of the loop's tells of itself."""

from __future__ import annotations

import asyncio
import ssl

import pytest

from relaydance_async._engine._descriptors import ask, fileno_of
from tests.kit.tls import build_tls

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("over_tls", [True, False], ids=["tls", "plain"])
async def test_a_connection_that_was_closed_more_than_once_can_still_be_asked(over_tls: bool) -> None:
    served, authority = build_tls()
    trusted = ssl.create_default_context(cadata=authority)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0, ssl=served if over_tls else None)
    port = server.sockets[0].getsockname()[1]
    transport, _ = await loop.create_connection(asyncio.Protocol, "127.0.0.1", port, ssl=trusted if over_tls else None)
    assert fileno_of(transport) >= 0
    assert (ask(transport, "ssl_object") is not None) == over_tls
    for _ in range(3):
        transport.close()
        fileno_of(transport)
    transport.abort()
    ask(transport, "ssl_object")
    for _ in range(5):
        await asyncio.sleep(0)
    assert fileno_of(transport) == -1
    server.close()
    await server.wait_closed()
