"""What a transport of the loop's tells of itself."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import ssl
import warnings
from typing import Any

import pytest

from relaydance_async._engine._descriptors import ask, break_off, fileno_of
from tests.kit.tls import build_tls


@pytest.mark.anyio
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


@pytest.mark.skipif(os.name != "posix", reason="a descriptor can't be taken away elsewhere")
def test_a_connection_of_a_closed_loop_ends_without_the_garbage_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        loop = asyncio.new_event_loop()
        address: Any = listener.getsockname()
        left: list[asyncio.Transport | None] = [
            loop.run_until_complete(loop.create_connection(asyncio.Protocol, *address))[0]
        ]
        loop.close()
        with listener.accept()[0] as server, monkeypatch.context() as patch:
            server.settimeout(5)
            patch.setattr(gc, "collect", lambda: 0)
            kept = left[0]
            break_off(loop, left)
            assert server.recv(1) == b""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            del kept
            gc.collect()
