"""Each private name of another package that we use: this fails by that name when a release drops it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import httpcore
import pytest

from relaydance_async._transports._private_names import (
    checking_connector,
    close_now,
    finish_closing,
    has_leftovers,
    open_transports,
    send_only_once,
    tells_when_it_sends,
    transport_of,
)
from tests.transports.support import OK, serve

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def session_of(connected: Callable[[Any], object] | None = None, *, usable: bool = True) -> Any:
    """A session of aiohttp's that tells of its connections, and uses idle ones again or not."""

    def tell(connection: object) -> None:
        if connected is not None:
            connected(connection)

    def is_usable(_: object) -> bool:
        return usable

    aiohttp = pytest.importorskip("aiohttp")
    return aiohttp.ClientSession(connector=checking_connector()(is_usable, tell))


async def test_aiohttp_connect_is_called_for_each_request() -> None:
    connections: list[object] = []
    async with serve() as server, session_of(connections.append) as session:
        for _ in range(2):
            async with session.get(server.url) as response:
                await response.read()
        assert [type(each).__name__ for each in connections] == ["Connection"] * 2


async def test_aiohttp_get_lends_out_idle_connections() -> None:
    async with serve() as server, session_of(usable=False) as session:
        for _ in range(2):
            async with session.get(server.url) as response:
                await response.read()
        assert server.connections == 2


async def test_aiohttp_acquired_and_conns_hold_the_connections() -> None:
    async with serve() as whole, serve(OK.replace(b"2", b"9")) as half, session_of() as session:
        await (await session.get(whole.url)).read()
        held = await session.get(half.url)
        assert (len(session.connector._conns), len(session.connector._acquired)) == (1, 1)
        assert len(open_transports(session)) == 2
        held.close()
        assert len(open_transports(session)) == 1


async def test_aiohttp_close_needs_no_await() -> None:
    async with serve() as server:
        session = session_of()
        await (await session.get(server.url)).read()
        connector = session.connector
        close_now(session)
        assert connector.closed


async def test_aiohttp_retry_connection_is_a_switch() -> None:
    async with session_of() as session:
        assert session._retry_connection is True
        send_only_once(session)
        assert session._retry_connection is False


async def test_aiohttp_writes_a_body_through_write_with_length() -> None:
    """A body that goes another way would count as sent before it is: the safe side, but not the true one."""
    aiohttp = pytest.importorskip("aiohttp")
    written: list[Any] = []

    class Body(aiohttp.BytesPayload):  # type: ignore[misc, name-defined, unused-ignore]
        async def write_with_length(self, writer: Any, content_length: int | None) -> None:
            written.append(writer.transport)
            await writer.write(b"x", drain=False)

    async with serve() as server, session_of() as session:
        await (await session.post(server.url, data=Body(b"x"))).read()
        assert [transport.is_closing() for transport in written] == [False]


async def test_httpcore_h11_state_shows_leftovers_through_connection_and_connections() -> None:
    for answer, left in ((OK, False), (OK + b"more", True)):
        async with serve(answer) as server:
            url = httpcore.URL(server.url)
            async with httpcore.AsyncHTTPConnection(url.origin) as connection:
                await connection.request("GET", url)
                assert has_leftovers(connection) == left
            async with httpcore.AsyncConnectionPool() as pool:
                await pool.request("GET", url)
                assert has_leftovers(pool) == (left and bool(pool.connections))


@pytest.mark.parametrize("name", ["httpx", "httpx2"])
async def test_httpx_transport_and_mounts_show_whose_they_are(name: str) -> None:
    library: Any = pytest.importorskip(name)

    class Foreign(library.AsyncBaseTransport):  # type: ignore[misc]
        pass

    async with library.AsyncClient() as own, library.AsyncClient(transport=Foreign()) as foreign:
        assert tells_when_it_sends(own)
        assert not tells_when_it_sends(foreign)
    async with library.AsyncClient(mounts={"all://x": Foreign(), "all://y": None}) as mixed:
        assert not tells_when_it_sends(mixed)
    assert not tells_when_it_sends(object())


def test_asyncio_transports_finds_one_by_its_descriptor_and_call_connection_lost_ends_it() -> None:
    loop = asyncio.SelectorEventLoop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connecting = loop.create_connection(asyncio.Protocol, *listener.getsockname())
        transport, _ = loop.run_until_complete(connecting)
        ours: socket.socket = transport.get_extra_info("socket")
        assert transport_of(loop, ours.fileno()) is transport
        assert transport_of(loop, 1 << 20) is None
        transport.abort()
        loop.close()
        assert ours.fileno() >= 0
        finish_closing(transport)
        assert ours.fileno() == -1


def test_importing_it_needs_no_aiohttp() -> None:
    import relaydance_async._transports._private_names as module

    assert not hasattr(module, "aiohttp")
