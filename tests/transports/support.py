"""Servers on real sockets that answer with the very bytes a test gives them, in the test's own event loop."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextlib import ExitStack, aclosing, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, cast

import anyio
import anyio.abc
import pytest
import trustme
from anyio.streams.tls import TLSListener

from relaydance_async._sansio.breakage import Progress
from relaydance_async._sansio.request import BodyStream
from relaydance_async._sansio.timeout import Timeout
from relaydance_async._transports import Transport, TransportResponse, WireRequest

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def as_json(body: bytes) -> bytes:
    """A good answer with this JSON."""
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


over_every_transport = [
    pytest.mark.anyio,
    # httpcore's generators under an answer that is left half-read; its connection is closed all the same.
    pytest.mark.filterwarnings("ignore:Async generator .* was garbage collected:ResourceWarning"),
]

LIMIT = 1 << 24
KEY = "sk-contract-0123456789"
UNSENT = 22
"""Attempts of a call that gets no connection, when each wait is as long as it may be: for 60 s. httpx over aiohttp does
not tell that there was none: then they are 4."""


class Gone(Exception):
    """The client has closed its side."""


@dataclass(frozen=True)
class Head:
    """The head of a request as it came."""

    method: str
    target: str
    headers: list[tuple[str, str]]

    def all(self, name: str) -> list[str]:
        """Every value of that header."""
        return [value for known, value in self.headers if known.lower() == name.lower()]

    def get(self, name: str) -> str | None:
        """Its only value, or None."""
        values = self.all(name)
        assert len(values) < 2, f"{name} came twice: {values}"
        return values[0] if values else None

    @property
    def names(self) -> set[str]:
        return {name.lower() for name, _ in self.headers}


class Peer:
    """The server's end of one connection."""

    def __init__(self, stream: anyio.abc.ByteStream) -> None:
        self.stream = stream
        self._buffer = b""

    async def receive(self, most: int = 65536) -> bytes:
        """What comes next; `Gone` when nothing more does."""
        if self._buffer:
            taken, self._buffer = self._buffer[:most], self._buffer[most:]
            return taken
        try:
            return await self.stream.receive(most)
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
            raise Gone from error

    async def _until(self, mark: bytes) -> bytes:
        data = b""
        while mark not in data:
            data += await self.receive()
        found, self._buffer = data.split(mark, 1)
        return found

    async def _exactly(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            data += await self.receive(min(65536, count - len(data)))
        return bytes(data)

    async def read_head(self) -> Head:
        """The next request's head."""
        lines = (await self._until(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, version = lines[0].split(" ")
        assert version == "HTTP/1.1"
        pairs = [line.partition(": ") for line in lines[1:]]
        return Head(method, target, [(name, value) for name, _, value in pairs])

    async def read_body(self, head: Head) -> bytes:
        """The body that belongs to the head."""
        if head.get("transfer-encoding") == "chunked":
            body = b""
            while size := int((await self._until(b"\r\n")).partition(b";")[0], 16):
                body += await self._exactly(size)
                assert await self._exactly(2) == b"\r\n"
            assert await self._exactly(2) == b"\r\n"
            return body
        return await self._exactly(int(head.get("content-length") or 0))

    async def read(self) -> tuple[Head, bytes]:
        """The next request."""
        head = await self.read_head()
        return head, await self.read_body(head)

    async def send(self, data: bytes) -> None:
        """`Gone` when the client no longer takes it."""
        try:
            await self.stream.send(data)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
            raise Gone from error

    async def close(self) -> None:
        """An orderly end."""
        await self.stream.aclose()

    async def reset(self) -> None:
        """A TCP reset."""
        raw: socket.socket = self.stream.extra(anyio.abc.SocketAttribute.raw_socket)
        with suppress(OSError):  # the client was gone before, and the socket is closed
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await anyio.aclose_forcefully(self.stream)

    async def until_gone(self) -> None:
        """Until the client has closed the connection."""
        with suppress(Gone):
            while True:
                await self.receive()


Script = Callable[[Peer], Awaitable[None]]


@dataclass
class Server:
    """A running server, and what it has seen."""

    port: int
    scheme: str
    run: Script
    """What it does with a connection."""
    heads: list[Head] = field(default_factory=list[Head])
    bodies: list[bytes] = field(default_factory=list[bytes])
    connections: int = 0
    open: int = 0
    most_open: int = 0
    peers: set[Peer] = field(default_factory=set[Peer])
    """The connections that are open."""

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    async def read(self, peer: Peer) -> tuple[Head, bytes]:
        """The peer's next request, which is noted."""
        head, body = await peer.read()
        self.heads.append(head)
        self.bodies.append(body)
        return head, body

    def answering(self, *answers: bytes) -> Script:
        """Give these answers, one a request, on whatever connection; the last one again and again."""
        left = list(answers)

        async def answer(peer: Peer) -> None:
            while True:
                await self.read(peer)
                await peer.send(left.pop(0) if len(left) > 1 else left[0])

        return answer


@asynccontextmanager
async def serve(script: Script | bytes = OK, *, tls: ssl.SSLContext | None = None) -> AsyncGenerator[Server, None]:
    """A server on a port of its own that runs `script` for each connection, or gives these bytes to each request."""
    listener = (await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)).listeners[0]
    port = listener.extra(anyio.abc.SocketAttribute.local_port)
    server = Server(port, "https" if tls else "http", cast(Any, script))
    if isinstance(script, bytes):
        server.run = server.answering(script)

    async def handle(stream: anyio.abc.ByteStream) -> None:
        server.connections += 1
        server.open += 1
        server.most_open = max(server.open, server.most_open)
        try:
            async with stream:
                _stop_reading_ahead(stream)
                peer = Peer(stream)
                server.peers.add(peer)
                with suppress(Gone):
                    await server.run(peer)
                server.peers.discard(peer)
        except (anyio.BrokenResourceError, ssl.SSLError):
            pass  # the client was gone before the goodbye
        finally:
            server.open -= 1

    listening: Any = TLSListener(listener, tls, standard_compatible=False) if tls else listener
    async with listening, anyio.create_task_group() as group:
        group.start_soon(listening.serve, handle)
        yield server
        group.cancel_scope.cancel()


def _stop_reading_ahead(stream: Any) -> None:
    # Over asyncio and uvloop, anyio stops reading only after it has had to wait for something to read. What comes
    # before that would be taken without end, however little the script wants.
    while (below := getattr(stream, "transport_stream", None)) is not None:
        stream = below
    transport: asyncio.Transport | None = getattr(stream, "_transport", None)
    if transport is not None:
        transport.pause_reading()


def server_context(certificate: trustme.LeafCert) -> ssl.SSLContext:
    """A context that shows this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    cast(Any, certificate).configure_cert(context)  # its stub knows PyOpenSSL's contexts too
    return context


def wire(
    url: str,
    method: str = "GET",
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | BodyStream | None = None,
    timeout: Timeout = Timeout(5.0, 5.0, 5.0),  # noqa: B008  (frozen)
    peer: str = "the gateway",
    progress: Progress | None = None,
) -> WireRequest:
    """An attempt."""
    return WireRequest(method, url, dict(headers or {}), body, timeout, peer=peer, progress=progress)


async def fetch(transport: Transport, url: str, method: str = "GET", **options: Any) -> tuple[int, bytes]:
    """Status and body of one request."""
    response = await transport.send(wire(url, method, **options))
    return response.status_code, await response.read(LIMIT)


async def first_piece(response: TransportResponse) -> bytes:
    """The first piece of the body; the rest is left unread."""
    async with aclosing(response.chunks()) as chunks:
        return await anext(chunks)


@contextmanager
def silent_port() -> Generator[str, None, None]:
    """The URL of a port at which every attempt to connect hangs, because its queue is full."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def closed_port() -> str:
    """The URL of a port at which nobody listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{unused.getsockname()[1]}"
