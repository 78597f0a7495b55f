"""A call that is cancelled, wherever it is, leaves no connection, no file descriptor and no broken transport behind."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import anyio
import pytest

from relaydance_async._sansio.request import BodyStream
from relaydance_async._transports import Transport
from tests.kit.waiting import open_files, wait_until
from tests.transports.conftest import Maker
from tests.transports.support import (
    LIMIT,
    OK,
    Peer,
    Server,
    fetch,
    over_every_transport,
    serve,
    silent_port,
    wire,
)

pytestmark = over_every_transport


async def cancelled(call: Callable[[], Awaitable[object]], reached: Callable[[], bool]) -> None:
    """Begin a call, and cancel it once it has come that far."""
    ended: list[bool] = []

    async def run() -> None:
        try:
            await call()
        except BaseException as error:
            # trio's own connect gives the cancellation in a group; the scope takes either.
            ended.append(not isinstance(error, Exception))
            raise

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(run)
            await wait_until(reached)
            group.cancel_scope.cancel()
    assert ended == [True]


async def works_and_leaves_nothing(transport: Transport, server: Server, files: int) -> None:
    await wait_until(lambda: server.open == 0)
    await wait_until(lambda: open_files() <= files)
    server.run = server.answering(OK)
    assert await fetch(transport, server.url) == (200, b"ok")


async def warmed(transport: Transport) -> None:
    """Have it make whatever it makes once, such as the caller's session, a thread, a resolver."""
    async with serve(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n") as server:
        await fetch(transport, server.url)
        await wait_until(lambda: server.open == 0)


async def test_while_connecting(transport: Transport) -> None:
    await warmed(transport)
    async with serve() as server:
        with silent_port() as url:
            files = open_files()
            for _ in range(3):
                await cancelled(lambda: fetch(transport, url), lambda: open_files() > files)
                await wait_until(lambda: open_files() == files)
        await works_and_leaves_nothing(transport, server, files)


@pytest.mark.parametrize("length", [None, 64 << 20])
async def test_while_the_body_is_sent(transport: Transport, length: int | None) -> None:
    closed = 0
    heads: list[object] = []

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal closed
        try:
            for _ in range(64):
                yield bytes(1 << 20)
        finally:
            closed += 1

    async def deaf(peer: Peer) -> None:
        heads.append(await peer.read_head())
        await go_on.wait()
        await peer.until_gone()

    go_on = anyio.Event()
    await warmed(transport)
    async with serve(deaf) as server:
        files = open_files()
        headers = {} if length is None else {"content-length": str(length)}
        body = BodyStream(pieces, length)
        await cancelled(lambda: fetch(transport, server.url, "POST", headers=headers, body=body), lambda: bool(heads))
        go_on.set()
        await works_and_leaves_nothing(transport, server, files)
    await wait_until(lambda: closed == 1)


async def test_while_a_piece_of_the_body_is_awaited(transport: Transport) -> None:
    waiting: list[bool] = []
    ended: list[bool] = []

    async def pieces() -> AsyncIterator[bytes]:
        yield b"first"
        waiting.append(True)
        try:
            await anyio.sleep_forever()
        finally:
            ended.append(True)

    async def listening(peer: Peer) -> None:
        await peer.until_gone()

    await warmed(transport)
    async with serve(listening) as server:
        files = open_files()
        await cancelled(lambda: fetch(transport, server.url, "POST", body=BodyStream(pieces)), lambda: bool(waiting))
        await wait_until(lambda: bool(ended))
        await works_and_leaves_nothing(transport, server, files)


async def test_while_a_file_is_uploaded(maker: Maker, tmp_path: Path) -> None:
    path = tmp_path / "big.bin"
    path.write_bytes(bytes(12 << 20))
    heads: list[object] = []

    async def deaf(peer: Peer) -> None:
        heads.append(await peer.read_head())
        await go_on.wait()
        await peer.until_gone()

    go_on = anyio.Event()
    async with serve(deaf) as server:
        client = maker.client(server.url)
        files = open_files()
        await cancelled(lambda: client.files.upload(path), lambda: bool(heads))
        go_on.set()
        await wait_until(lambda: server.open == 0)
        await wait_until(lambda: open_files() <= files)


@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 103 Early Hints\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Le"])
async def test_while_the_head_of_the_answer_is_awaited(transport: Transport, begun: bytes) -> None:
    asked: list[object] = []

    async def silent(peer: Peer) -> None:
        request = await peer.read()
        await peer.send(begun)
        asked.append(request)
        await peer.until_gone()

    await warmed(transport)
    async with serve(silent) as server:
        files = open_files()
        await cancelled(lambda: fetch(transport, server.url, "POST", body=b"{}"), lambda: bool(asked))
        await works_and_leaves_nothing(transport, server, files)


@pytest.mark.parametrize("head", [b"Content-Length: 100\r\n\r\nab", b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n"])
@pytest.mark.parametrize("whole", [True, False])
async def test_while_the_body_of_the_answer_is_read(transport: Transport, head: bytes, whole: bool) -> None:
    reading: list[object] = []

    async def stuck(peer: Peer) -> None:
        await peer.read()
        await peer.send(b"HTTP/1.1 200 OK\r\n" + head)
        await peer.until_gone()

    async def read() -> None:
        response = await transport.send(wire(server.url))
        if whole:
            reading.append(response)
            await response.read(LIMIT)
        else:
            async for piece in response.chunks():
                reading.append(piece)

    await warmed(transport)
    async with serve(stuck) as server:
        files = open_files()
        await cancelled(read, lambda: bool(reading))
        await works_and_leaves_nothing(transport, server, files)


async def test_a_cancelled_request_on_a_kept_connection_takes_it_along(transport: Transport) -> None:
    """Its answer may still come, and would be taken for that to the next request."""
    asked: list[object] = []

    async def late(peer: Peer) -> None:
        await server.read(peer)
        await peer.send(OK)
        asked.append(await server.read(peer))
        await peer.until_gone()
        gone.append(peer)

    gone: list[Peer] = []
    async with serve(late) as server:
        assert await fetch(transport, server.url) == (200, b"ok")
        await cancelled(lambda: fetch(transport, server.url), lambda: bool(asked))
        await wait_until(lambda: bool(gone))
        assert await fetch(transport, server.url) == (200, b"ok")
    assert server.connections == 2
