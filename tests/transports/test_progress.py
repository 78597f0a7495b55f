"""When a transport says that a request begins to leave, and how far it says that it got."""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from relaydance_async import APIConnectionError
from relaydance_async._sansio.breakage import Progress, Reached
from relaydance_async._transports import Transport
from tests.kit.calls import submit_clip
from tests.kit.waiting import wait_until
from tests.transports.conftest import OURS, Maker
from tests.transports.support import (
    OK,
    Peer,
    Server,
    closed_port,
    fetch,
    over_every_transport,
    serve,
    wire,
)

pytestmark = over_every_transport


class Hook(Progress):
    """Runs something whenever a request is about to leave."""

    def __init__(self, action: Callable[[], Awaitable[None]] | None = None) -> None:
        super().__init__()
        self.action = action
        self.calls = 0

    def sending(self) -> Awaitable[None] | None:
        super().sending()
        self.calls += 1
        return self.action() if self.action is not None else None


class Listener:
    """A server that notes each byte, and answers a request when its last byte has come."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.received = b""

    async def run(self, peer: Peer) -> None:
        while True:
            self.received += (data := await peer.receive())
            if data.endswith(b"!") or (data.startswith(b"GET") and data.endswith(b"\r\n\r\n")):
                await peer.send(OK)


@asynccontextmanager
async def listening() -> AsyncGenerator[Listener, None]:
    async with serve() as server:
        listener = Listener(server)
        server.run = listener.run
        yield listener


async def turns() -> None:
    """Let everything else that is ready go on."""
    for _ in range(50):
        await anyio.lowlevel.checkpoint()


BODIES = [None, b"x!", bytes(200_000) + b"!"]


@pytest.mark.parametrize("body", BODIES, ids=["none", "small", "large"])
@pytest.mark.parametrize("waits", [True, False])
async def test_it_is_told_once_when_there_is_a_connection_and_no_byte_has_left(
    transport: Transport, kind: str, body: bytes | None, waits: bool
) -> None:
    async def look() -> None:
        if kind in OURS:  # a client of the caller's doesn't tell when it has connected
            await wait_until(lambda: listener.server.connections == 1)
        await turns()
        seen.append(listener.received)

    seen: list[bytes] = []
    async with listening() as listener:
        for number in range(2):  # on a new connection, and on that one again
            listener.received = b""
            progress = Hook(look if waits else None)
            request = wire(listener.server.url, "GET" if body is None else "POST", body=body, progress=progress)
            response = await transport.send(request)
            assert progress.calls == 1
            assert seen == [b""] * (number + 1) * waits
            assert progress.reached is Reached.ANSWERING
            assert await response.read(100) == b"ok"
            assert listener.received
        assert listener.server.connections == 1


class Full(Exception):
    """A journal that can't write."""


OBJECTIONS = [Full("disk"), OSError(28, "No space left"), TimeoutError("locked"), RuntimeError("closed")]


@pytest.mark.parametrize("objection", OBJECTIONS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("waits", [True, False])
@pytest.mark.parametrize("body", BODIES, ids=["none", "small", "large"])
async def test_what_it_raises_ends_the_attempt_with_nothing_sent(
    transport: Transport, objection: Exception, waits: bool, body: bytes | None
) -> None:
    async def refuse() -> None:
        if waits:
            await turns()
        raise objection

    class Refusing(Hook):
        def sending(self) -> Awaitable[None] | None:
            waiting = super().sending()
            if waits:
                return waiting
            assert waiting is None
            raise objection

    method = "GET" if body is None else "POST"
    async with listening() as listener:
        for _ in range(2):
            progress = Refusing(refuse if waits else None)
            with pytest.raises(type(objection)) as caught:
                await fetch(transport, listener.server.url, method, body=body, progress=progress)
            assert caught.value is objection
            assert (progress.calls, progress.reached) == (1, Reached.NOT_SENT)
        await turns()
        assert listener.received == b""
        assert await fetch(transport, listener.server.url) == (200, b"ok")
        await transport.aclose()


@pytest.mark.parametrize("body", BODIES, ids=["none", "small", "large"])
async def test_a_cancellation_while_it_waits_ends_the_attempt_with_nothing_sent(
    transport: Transport, kind: str, body: bytes | None
) -> None:
    async def block() -> None:
        waiting.set()
        await anyio.sleep_forever()

    async def send() -> None:
        await fetch(transport, listener.server.url, "GET" if body is None else "POST", body=body, progress=progress)

    waiting = anyio.Event()
    progress = Hook(block)
    async with listening() as listener:
        async with anyio.create_task_group() as group:
            group.start_soon(send)
            await waiting.wait()
            group.cancel_scope.cancel()
        await turns()
        assert (listener.received, progress.reached) == (b"", Reached.NOT_SENT)
        await wait_until(lambda: listener.server.open == 0)
        assert await fetch(transport, listener.server.url) == (200, b"ok")


async def test_without_a_connection_it_is_not_told(transport: Transport, kind: str) -> None:
    progress = Hook()
    with pytest.raises(APIConnectionError):
        await fetch(transport, closed_port(), "POST", body=b"{}", progress=progress)
    assert progress.calls == (0 if kind in OURS else 1)
    if not kind.endswith("over aiohttp"):
        assert progress.reached is Reached.NOT_SENT


@pytest.mark.parametrize("end", ["close", "reset"])
@pytest.mark.parametrize("body", [b"x!", bytes(200_000) + b"!"], ids=["small", "large"])
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("kind", OURS)
@pytest.mark.usefixtures("trusted")
async def test_a_connection_that_ended_just_before_the_first_byte_takes_none(
    transport: Transport, end: str, body: bytes, tls: bool, tls_server: ssl.SSLContext
) -> None:
    """An idle connection is lent out, and the server closes it before the request is written."""

    async def once(peer: Peer) -> None:
        await server.read(peer)
        await peer.send(OK)
        await lent.wait()
        await (peer.close() if end == "close" else peer.reset())

    async def let_it_end() -> None:
        lent.set()
        await wait_until(lambda: server.open == 0)

    lent = anyio.Event()
    async with serve(once, tls=tls_server if tls else None) as server:
        await fetch(transport, server.url)
        progress = Hook(let_it_end)
        with pytest.raises(APIConnectionError) as caught:
            await fetch(transport, server.url, "POST", body=body, progress=progress)
    assert (progress.calls, progress.reached) == (1, Reached.NOT_SENT)
    assert (caught.value.retryable, caught.value.maybe_accepted) == (True, False)
    assert len(server.heads) == 1


CLIP = b'{"task_id":"task_1","status":"submitted"}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(CLIP), CLIP)


class ClosingServer:
    """Answers one request on each connection, and closes it with the last byte of the answer, unannounced."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def run(self) -> None:
        """In a thread, until the listener is shut down."""
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                self._serve(connection)

    def _serve(self, connection: socket.socket) -> None:
        data = b""
        while b"\r\n\r\n" not in data:
            data += (piece := connection.recv(65536))
            if not piece:
                return
        head, body = data.split(b"\r\n\r\n", 1)
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        while len(body) < length:
            body += connection.recv(65536)
        self.bodies.append(body)
        # Held back, so that the end comes in one packet with the answer.
        connection.sendall(ANSWER, getattr(socket, "MSG_MORE", 0))


@pytest.mark.skipif(not hasattr(socket, "MSG_MORE"), reason="the end can't be made to come with the answer")
@pytest.mark.parametrize("kind", OURS)
async def test_a_server_that_closes_each_connection_with_its_answer_loses_no_billed_call(maker: Maker) -> None:
    server = ClosingServer()
    client = maker.client(server.url)
    async with anyio.create_task_group() as group:
        group.start_soon(anyio.to_thread.run_sync, server.run)
        try:
            for _ in range(300):
                assert (await submit_clip(client)).task_id == "task_1"
        finally:
            server.listener.shutdown(socket.SHUT_RDWR)
            server.listener.close()
    assert len(server.bodies) == 300


def test_an_attempts_repr_shows_no_query_and_no_headers() -> None:
    shown = repr(wire("https://cdn.example/clip.mp4?sig=secret", headers={"authorization": "secret"}))
    assert shown == "<WireRequest GET https://cdn.example/clip.mp4>"
