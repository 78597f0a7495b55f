"""Connections between two requests: how long they are kept, how many, and what is seen of their end."""

from __future__ import annotations

import asyncio
import select
import socket
import ssl
import struct
import sys
import threading

import anyio
import pytest

from relaydance_async._transports import Transport
from tests.kit.calls import Call, fetch_task, submit_clip
from tests.kit.clocks import JumpingLoop
from tests.kit.inside import connections_of
from tests.kit.loops import Backend, backend_of
from tests.kit.threaded import ThreadedServer, serve_in_threads
from tests.kit.waiting import open_files, wait_until
from tests.transports.conftest import OURS, Maker
from tests.transports.support import OK, Peer, Server, as_json, fetch, over_every_transport, serve

pytestmark = over_every_transport

ON_ASYNCIO = tuple(kind for kind in OURS if " on " not in kind)
LONGEST = 5.0
"""Seconds that an idle connection is kept at most, whatever its server says."""
TASK = b'{"task_id":"task_1","status":"submitted"}'


@pytest.fixture
def anyio_backend(kind: str) -> Backend:
    """Where the time can be put forward, it may be."""
    return ("asyncio", {"loop_factory": JumpingLoop}) if kind in ON_ASYNCIO else backend_of(kind)


async def pass_time(seconds: float) -> None:
    """Nothing else happens meanwhile but what timers do."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, JumpingLoop)
    loop.step = 0.1
    await loop.skip_in_steps(seconds)
    await asyncio.sleep(0.01)  # for what the timers began to do


async def warm_up(transport: Transport, server: Server, count: int) -> None:
    """Have that many requests under way at once, each on a connection of its own, which is idle then."""

    async def together(peer: Peer) -> None:
        await server.read(peer)
        await wait_until(lambda: len(server.heads) >= count)
        await peer.send(OK)
        await server.answering(OK)(peer)

    server.run = together
    async with anyio.create_task_group() as group:
        for _ in range(count):
            group.start_soon(fetch, transport, server.url)
    assert transport.stats() == (count, count)


def keeping(said: str) -> bytes:
    """A good answer with this header."""
    return b"HTTP/1.1 200 OK\r\n" + (f"{said}\r\n" if said else "").encode() + b"Content-Length: 2\r\n\r\nok"


SAID = {
    # header: (is taken again after this time, is no longer after that time)
    "Keep-Alive: timeout=3": (1.5, 3.0),
    "keep-alive: TIMEOUT=3, max=100": (1.5, 3.0),
    "Keep-Alive: max=100,timeout=3": (1.5, 3.0),
    'Keep-Alive: timeout="3"': (1.0, LONGEST),
    "Keep-Alive: timeout=1": (0.3, 1.0),
    "Keep-Alive: timeout=75": (3.5, 75.0),
    "Keep-Alive: timeout=soon": (3.5, LONGEST),
    "Keep-Alive: timeout=-1": (0.0, LONGEST),
    "Keep-Alive: 3": (3.5, LONGEST),
    "": (3.5, LONGEST),
}


@pytest.mark.parametrize("said", SAID)
@pytest.mark.parametrize("kind", ON_ASYNCIO)
async def test_an_idle_connection_is_taken_as_long_as_its_server_says_and_5_seconds_at_most(
    transport: Transport, said: str
) -> None:
    while_kept, too_late = SAID[said]
    async with serve(keeping(said)) as server:
        await fetch(transport, server.url)
        if while_kept:
            await pass_time(while_kept)
            await fetch(transport, server.url)
            assert server.connections == 1
        await pass_time(too_late + 0.1)
        await fetch(transport, server.url)
        assert server.connections == 2


@pytest.mark.parametrize("kind", ON_ASYNCIO)
async def test_a_server_that_keeps_no_idle_connection_gets_no_second_request_on_one(transport: Transport) -> None:
    async with serve(keeping("Keep-Alive: timeout=0")) as server:
        for _ in range(3):
            assert await fetch(transport, server.url) == (200, b"ok")
        assert server.connections == 3


@pytest.mark.parametrize("kind", ON_ASYNCIO)
async def test_a_request_never_crosses_the_end_that_the_server_has_announced(maker: Maker) -> None:
    """The way takes 20 ms, there and back: what the server calls idle for 1 s is idle here for 0.96 s."""
    loop = asyncio.get_running_loop()

    async def run(peer: Peer) -> None:
        answered = float("inf")
        while True:
            await server.read(peer)
            if loop.time() + 0.04 - answered >= 1.0:
                await peer.reset()
                return
            await peer.send(as_json(TASK).replace(b"\r\n\r\n", b"\r\nKeep-Alive: timeout=1\r\n\r\n"))
            answered = loop.time()

    async with serve(run) as server:
        client = maker.client(server.url)
        for idle in (0.5, 0.9, 0.93, 0.95, 0.965, 0.98, 0.995, 1.0):
            await submit_clip(client)
            await pass_time(idle)
        await submit_clip(client)


@pytest.mark.parametrize("kind", ON_ASYNCIO)
async def test_how_long_a_server_keeps_connections_is_learned_from_its_closes(maker: Maker) -> None:
    """It says nothing and closes after 2 s: after a few closes nothing is sent at about that time."""
    loop = asyncio.get_running_loop()
    lost = 0

    async def run(peer: Peer) -> None:
        nonlocal lost
        await server.read(peer)
        await peer.send(as_json(TASK))
        answered = loop.time()
        while True:
            with anyio.move_on_after(2.0) as idle:
                await server.read(peer)
            if idle.cancelled_caught:
                return
            if loop.time() + 0.02 - answered >= 2.0:
                lost += 1
                await peer.reset()
                return
            await peer.send(as_json(TASK))
            answered = loop.time()

    async with serve(run) as server:
        client = maker.client(server.url)
        for _ in range(3):
            await submit_clip(client)
            await pass_time(2.1)
        assert lost == 0
        for idle in (1.9, 1.985, 1.99, 1.995):
            await submit_clip(client)
            await pass_time(idle)
        await submit_clip(client)
        assert lost == 0


@pytest.mark.parametrize("kind", ON_ASYNCIO)
async def test_idle_connections_are_closed_by_a_timer_and_not_by_the_next_request(maker: Maker) -> None:
    transport = await maker.transport()
    async with serve() as server:
        before = open_files()
        await warm_up(transport, server, 20)
        await pass_time(LONGEST + 1)
        await wait_until(lambda: transport.stats() == (0, 0), 1)
        await wait_until(lambda: server.open == 0, 1)
        await wait_until(lambda: open_files() == before, 1)


@pytest.mark.parametrize("kind", ON_ASYNCIO)
async def test_after_a_burst_what_a_trickle_does_not_need_is_closed(maker: Maker) -> None:
    """The warmest is taken first, so that the others grow cold."""
    transport = await maker.transport()
    async with serve() as server:
        await warm_up(transport, server, 20)
        for _ in range(int(LONGEST) + 2):
            await pass_time(1)
            await fetch(transport, server.url)
        assert transport.stats() == (1, 1)
        await wait_until(lambda: server.open == 1)


@pytest.mark.parametrize("count", [60, pytest.param(8000, marks=pytest.mark.torture)])
@pytest.mark.parametrize("kind", ON_ASYNCIO)
async def test_a_client_of_each_of_many_tenants_holds_no_connection_when_idle(maker: Maker, count: int) -> None:
    async with serve(as_json(b'{"object":"list","data":[]}')) as server:
        before = open_files()
        clients = [maker.client(server.url) for _ in range(count)]
        for number, client in enumerate(clients):
            await client.models.list()
            if number % 200 == 199:
                await pass_time(LONGEST / 10)
        await pass_time(LONGEST + 1)
        await wait_until(lambda: server.open == 0, 1)
        await wait_until(lambda: open_files() <= before, 1)
        assert server.connections == count


@pytest.mark.parametrize("kind", ON_ASYNCIO)
async def test_the_views_of_a_client_share_its_connections(maker: Maker) -> None:
    async with serve(as_json(b'{"object":"list","data":[]}')) as server:
        client = maker.client(server.url)
        for number in range(20):
            await client.with_options(deadline=60.0 + number).models.list()
    assert server.connections == 1


@pytest.mark.skipif(sys.platform != "linux", reason="127.0.0.2 and its like answer on Linux only")
@pytest.mark.parametrize("kind", ON_ASYNCIO)
async def test_idle_connections_are_bounded_in_all_and_the_coldest_go_first(maker: Maker) -> None:
    transport = await maker.transport(max_idle=10)
    answered = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal answered
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                answered += 1
                writer.write(OK)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(answer, "0.0.0.0", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        for host in range(1, 61):
            assert await fetch(transport, f"http://127.0.0.{host}:{port}") == (200, b"ok")
            assert transport.stats().open <= 10
        warm, cold = transport.filenos(), f"http://127.0.0.1:{port}"
        await fetch(transport, f"http://127.0.0.60:{port}")
        assert sorted(transport.filenos()) == sorted(warm)
        await fetch(transport, cold)
        assert transport.stats().open <= 10
        await transport.aclose()
    assert answered == 62


@pytest.mark.parametrize("kind", OURS)
async def test_the_end_of_an_idle_connection_is_seen_when_it_comes(maker: Maker) -> None:
    transport = await maker.transport()
    async with serve() as server:
        before = open_files()

        await warm_up(transport, server, 3)
        assert open_files() > before
        for peer in list(server.peers):
            await peer.close()
        await wait_until(lambda: transport.stats() == (0, 0), 1)
        await wait_until(lambda: open_files() == before, 1)


class Ending:
    """A server that ends each connection after its first answer, when it is told to."""

    def __init__(self, end: str) -> None:
        self._end = end
        self._now = threading.Barrier(2, timeout=10)

    def serve(self, server: ThreadedServer, connection: socket.socket) -> None:
        if not server.read(connection):
            return
        connection.sendall(as_json(TASK))
        self._now.wait()
        if self._end == "with unread bytes":
            connection.sendall(as_json(b'{"task_id":"stranger","status":"submitted"}'))
        elif self._end == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if self._end != "with unread bytes":
            connection.close()
        self._now.wait()
        if self._end == "with unread bytes" and server.read(connection):
            connection.sendall(as_json(b'{"task_id":"late","status":"submitted"}'))

    def end(self) -> None:
        """End the connection; the thread of the loop waits for that, so that the loop can't look."""
        self._now.wait()
        self._now.wait()


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize("end", ["closed", "reset", "with unread bytes"])
@pytest.mark.parametrize("call", [submit_clip, fetch_task])
@pytest.mark.parametrize("kind", OURS)
async def test_a_connection_that_ended_while_the_loop_was_busy_is_not_taken(
    maker: Maker, tls_server: ssl.SSLContext, call: Call, end: str, secure: bool
) -> None:
    """Its end waits in the socket; the loop has not looked there yet."""
    ending = Ending(end)
    with serve_in_threads(ending.serve, tls_server if secure else None) as server:
        client = maker.client(server.url)
        for _ in range(5):
            assert (await call(client)).task_id == "task_1"
            before = connections_of(client)
            ending.end()
            select.select(before, [], [], 10)  # a busy kernel may deliver it later
    assert (server.connections, len(server.requests)) == (5, 5)


@pytest.mark.skipif(sys.platform != "linux", reason="the names of the options are Linux's")
@pytest.mark.parametrize("kind", OURS)
async def test_the_system_watches_over_connections_and_sends_small_writes_at_once(maker: Maker) -> None:
    """NATs and load balancers forget connections that are silent; a chat may be so for 300 s."""
    transport = await maker.transport()
    async with serve() as server:
        await fetch(transport, server.url)
        (fileno,) = transport.filenos()
        with socket.socket(fileno=socket.dup(fileno)) as same:
            found = [
                same.getsockopt(level, option)
                for level, option in (
                    (socket.SOL_SOCKET, socket.SO_KEEPALIVE),
                    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
                    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL),
                    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT),
                    (socket.IPPROTO_TCP, socket.TCP_NODELAY),
                )
            ]
    assert found == [1, 60, 5, 5, 1]
