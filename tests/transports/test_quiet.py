"""What the application sees of connections besides its calls: nothing in its log, nothing kept in memory."""

from __future__ import annotations

import asyncio
import gc
import logging
import ssl
import sys
import weakref
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager, suppress
from contextvars import ContextVar

import anyio
import pytest

from relaydance_async import RelayDanceError
from relaydance_async._sansio.request import BodyStream
from relaydance_async._sansio.timeout import Timeout
from relaydance_async._transports import Transport, WireRequest
from tests.transports.conftest import OURS, Maker
from tests.transports.support import OK, Peer, Script, fetch, over_every_transport, serve, wire

pytestmark = over_every_transport

SECRET = "sk-of-one-of-many-tenants-0123456789"


async def reset_at_the_head(peer: Peer) -> None:
    await peer.read_head()
    await peer.reset()


async def reset_in_the_body(peer: Peer) -> None:
    await peer.read_head()
    await peer.receive()
    await peer.reset()


async def answer_early_and_close(peer: Peer) -> None:
    await peer.read_head()
    await peer.send(b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy")
    await peer.close()


async def cut_the_answer(peer: Peer) -> None:
    await peer.read_head()
    await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n" + bytes(1000))
    await peer.reset()


async def never_answer(peer: Peer) -> None:
    await peer.read_head()
    await anyio.sleep_forever()


async def say_no_http(peer: Peer) -> None:
    await peer.send(b"SSH-2.0-OpenSSH_9.6\r\n")
    await peer.read_head()
    await peer.reset()


SCRIPTS: dict[str, Script] = {
    "reset at the head": reset_at_the_head,
    "reset in the body": reset_in_the_body,
    "answered early": answer_early_and_close,
    "answer cut": cut_the_answer,
    "no answer": never_answer,
    "no HTTP": say_no_http,
}


def upload(pieces: bool) -> tuple[bytes | BodyStream, dict[str, str]]:
    size = 2 << 20

    async def stream() -> AsyncIterator[bytes]:
        for _ in range(0, size, 1 << 12):
            yield bytes(1 << 12)

    return (BodyStream(stream, size) if pieces else bytes(size)), {"content-length": str(size)}


@contextmanager
def everything_said(caplog: pytest.LogCaptureFixture) -> Generator[list[str]]:
    """What is logged, but by the test's own server (anyio), and what is given to the loop's exception handler."""
    said: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(str(context["message"])))
    with caplog.at_level(logging.WARNING):
        yield said
    said += [
        f"{record.name}: {record.getMessage()}" for record in caplog.records if not record.name.startswith("anyio")
    ]


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize("case", SCRIPTS)
@pytest.mark.parametrize("kind", OURS)
async def test_nothing_that_a_server_does_is_told_to_the_applications_log(
    maker: Maker, tls_server: ssl.SSLContext, caplog: pytest.LogCaptureFixture, case: str, secure: bool
) -> None:
    async def one(number: int) -> None:
        body, headers = upload(bool(number % 2))
        timeout = Timeout(5.0, 0.05, 5.0)
        with suppress(RelayDanceError), anyio.move_on_after(0.2 if number % 3 else 0.01):
            await fetch(transport, server.url, "POST", headers=headers, body=body, timeout=timeout)

    transport = await maker.transport()
    async with serve(SCRIPTS[case], tls=tls_server if secure else None) as server:
        with everything_said(caplog) as said:
            async with anyio.create_task_group() as group:
                for number in range(12):
                    group.start_soon(one, number)
            await transport.aclose()
            gc.collect()
            await anyio.sleep(0.01)
    assert said == []


@pytest.mark.parametrize("kind", OURS)
async def test_an_idle_connection_holds_neither_body_nor_key_of_a_call_before(transport: Transport) -> None:
    async with serve() as server:
        body, key = bytes(1 << 20), "".join([SECRET, "!"])
        before = sys.getrefcount(body), sys.getrefcount(key)
        for _ in range(2):  # on a new connection, and on one that there is
            await fetch(transport, server.url, "POST", headers={"authorization": key}, body=body)
            gc.collect()
            assert sys.getrefcount(body) == before[0]
        for other in range(300):  # what is remembered of heads is bounded
            await fetch(transport, server.url, headers={"authorization": f"Bearer {other}"})
        assert (sys.getrefcount(body), sys.getrefcount(key)) == before
    assert server.connections == 1


@pytest.mark.parametrize("kind", OURS)
async def test_many_connections_opened_by_large_requests_hold_none_of_them(transport: Transport) -> None:
    async def together(peer: Peer) -> None:
        while True:
            await server.read(peer)
            await anyio.sleep(0.005)
            await peer.send(OK)

    async def large() -> None:
        await fetch(transport, server.url, "POST", headers={"content-length": str(1 << 18)}, body=bytes(1 << 18))

    async with serve(together) as server:
        for request in (large, large):
            async with anyio.create_task_group() as group:
                for _ in range(10):
                    group.start_soon(request)
        assert server.connections == 10
        gc.collect()
        objects: list[object] = gc.get_objects()
        assert not [item for item in objects if isinstance(item, WireRequest) and item.url.startswith(server.url)]


class Payload:
    """What an application may keep in a ContextVar: the request that it serves, with its upload."""


application: ContextVar[Payload | None] = ContextVar("application", default=None)


@pytest.mark.parametrize("kind", OURS)
async def test_a_connection_does_not_keep_the_context_of_the_task_that_opened_it(
    maker: Maker, trusting: ssl.SSLContext
) -> None:
    """asyncio runs the callbacks of a connection in the context in which it was made: for as long as it lives."""

    async def serve_one() -> None:
        payload = Payload()
        kept.append(weakref.ref(payload))
        application.set(payload)
        await fetch(transport, server.url)

    kept: list[weakref.ref[Payload]] = []
    transport = await maker.transport()
    async with serve() as server:
        for _ in range(2):
            async with anyio.create_task_group() as group:
                group.start_soon(serve_one)
            await anyio.sleep(0.01)
            gc.collect()
        assert [reference() for reference in kept] == [None, None]
    assert server.connections == 1


@pytest.mark.parametrize("kind", OURS)
async def test_a_request_in_flight_shows_its_key_to_nobody_who_asks_for_a_repr(transport: Transport) -> None:
    async def asking(peer: Peer) -> None:
        await server.read(peer)
        seen.append(repr(transport) + repr(request))
        await peer.send(OK)

    seen: list[str] = []
    async with serve(asking) as server:
        request = wire(f"{server.url}/?signature=hush", headers={"authorization": SECRET})
        await (await transport.send(request)).read(100)
    assert seen
    assert SECRET not in seen[0]
    assert "hush" not in seen[0]
