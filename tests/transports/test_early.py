"""Answers that come before a request has left: what has arrived is read, also when a write fails."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest

from relaydance_async import APIConnectionError, RelayDanceError
from relaydance_async._sansio.breakage import Progress, Reached
from relaydance_async._sansio.request import BodyStream
from relaydance_async._transports import Transport
from tests.kit.threaded import ThreadedServer, serve_in_threads
from tests.kit.waiting import block_until
from tests.transports.conftest import OURS
from tests.transports.support import Peer, closed_port, fetch, over_every_transport, serve, wire

pytestmark = over_every_transport

REFUSAL = b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 4\r\n\r\nmuch"
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbusy"
SIZES = {"30 KB": 30_000, "300 KB": 300_000, "5 MB": 5_000_000}
ROUNDS, AT_ONCE = 4, 10


def in_pieces(size: int, length: int | None) -> BodyStream:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(0, size, 10_000):
            yield bytes(10_000)

    return BodyStream(pieces, length)


def head_only(server: ThreadedServer, connection: socket.socket) -> None:
    """As HAProxy without a backend: the rest of the request is never read, so that the system resets the connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(4096)
    connection.sendall(BUSY)


async def uploads(transport: Transport, url: str, size: int) -> Counter[str]:
    """What 40 uploads hear, 10 at a time."""
    heard: Counter[str] = Counter()
    content = os.urandom(size)

    async def upload() -> None:
        try:
            status, _ = await fetch(transport, url, "POST", headers={"content-length": str(size)}, body=content)
            heard[str(status)] += 1
        except RelayDanceError as error:
            heard[error.message] += 1

    for _ in range(ROUNDS):
        async with anyio.create_task_group() as group:
            for _ in range(AT_ONCE):
                group.start_soon(upload)
    return heard


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", OURS)
async def test_a_refusal_by_a_server_that_reads_no_further_is_heard_by_every_upload(
    transport: Transport, size: str
) -> None:
    with serve_in_threads(head_only) as server:
        heard = await uploads(transport, server.url, SIZES[size])
    assert heard == {"503": ROUNDS * AT_ONCE}


@pytest.mark.parametrize("kind", OURS)
@pytest.mark.parametrize("body", [bytes(24 << 20), in_pieces(24 << 20, 24 << 20), in_pieces(24 << 20, None)])
async def test_an_answer_that_comes_amid_an_upload_ends_it(transport: Transport, body: bytes | BodyStream) -> None:
    """The server goes on to hold the connection, and never takes the rest."""

    async def refuse(peer: Peer) -> None:
        await peer.read_head()
        await peer.send(REFUSAL)
        await left.wait()

    left = anyio.Event()
    framing = {"transfer-encoding": "chunked"} if isinstance(body, BodyStream) and body.length is None else {}
    headers = framing or {"content-length": str(24 << 20)}
    async with serve(refuse) as server:
        with anyio.fail_after(1):
            assert await fetch(transport, server.url, "POST", headers=headers, body=body) == (413, b"much")
        left.set()
    assert server.connections == 1


@pytest.mark.parametrize("kind", OURS)
async def test_what_was_never_written_to_its_end_was_not_sent_although_it_was_answered(transport: Transport) -> None:
    async def cut(peer: Peer) -> None:
        await peer.read_head()
        await peer.send(REFUSAL[:30])
        await peer.reset()

    progress = Progress()
    async with serve(cut) as server:
        with pytest.raises(Exception, match="the connection broke"):
            await fetch(
                transport,
                server.url,
                "POST",
                headers={"content-length": str(24 << 20)},
                body=bytes(24 << 20),
                progress=progress,
            )
    assert progress.reached is Reached.PARTLY_SENT


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize("size", [2, 60_000, 300_000])
@pytest.mark.parametrize("kind", OURS)
async def test_what_the_server_has_read_to_its_end_was_sent_however_the_connection_ends(
    transport: Transport, tls_server: ssl.SSLContext, size: int, secure: bool
) -> None:
    async def read_and_reset(peer: Peer) -> None:
        await server.read(peer)
        await peer.reset()

    async with serve(read_and_reset, tls=tls_server if secure else None) as server:
        for count in range(1, 4):
            progress = Progress()
            with pytest.raises(APIConnectionError) as caught:
                await fetch(
                    transport,
                    server.url,
                    "POST",
                    headers={"content-length": str(size)},
                    body=bytes(size),
                    progress=progress,
                )
            assert (len(server.bodies[-1]), len(server.bodies)) == (size, count)
            assert progress.reached is Reached.SENT
            assert caught.value.maybe_accepted


@pytest.mark.parametrize("kind", OURS)
async def test_a_connection_with_half_a_request_on_it_is_not_used_again(transport: Transport) -> None:
    """Whatever follows there would be read as the rest of the body."""

    async def early(peer: Peer) -> None:
        head = await peer.read_head()
        if head.method == "POST":
            await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            await seen.wait()
            return
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nnew")

    seen = anyio.Event()
    headers = {"content-length": str(24 << 20)}
    async with serve(early) as server:
        with anyio.fail_after(1):
            response = await transport.send(wire(server.url, "POST", headers=headers, body=bytes(24 << 20)))
        assert response.status_code == 200
        assert await response.read(100) == b"ok"
        assert await fetch(transport, server.url) == (200, b"new")
        seen.set()
    assert server.connections == 2


HAPROXY = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")


@contextmanager
def haproxy(folder: Path) -> Generator[str]:
    """The URL of an HAProxy whose only backend is dead. It ends with the test."""
    port = closed_port().rpartition(":")[2]
    dead = closed_port().removeprefix("http://")
    (folder / "haproxy.cfg").write_text(
        "global\n  maxconn 200\ndefaults\n  mode http\n  retries 0\n"
        "  timeout connect 1s\n  timeout client 10s\n  timeout server 10s\n"
        f"listen api\n  bind 127.0.0.1:{port}\n  server dead {dead}\n"
    )
    assert HAPROXY is not None
    running = subprocess.Popen([HAPROXY, "-db", "-f", str(folder / "haproxy.cfg")], stderr=subprocess.PIPE)
    try:
        block_until(lambda: _listens(int(port)))
        yield f"http://127.0.0.1:{port}"
    finally:
        running.terminate()
        running.communicate(timeout=10)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        time.sleep(0.02)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.skipif(HAPROXY is None, reason="the Debian package haproxy is not installed")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", OURS)
async def test_haproxys_503_without_a_backend_is_heard_by_every_upload(
    transport: Transport, size: str, tmp_path: Path
) -> None:
    with haproxy(tmp_path) as url:
        heard = await uploads(transport, url, SIZES[size])
    assert heard == {"503": ROUNDS * AT_ONCE}
