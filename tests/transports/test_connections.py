"""Which connections are used again, and which never."""

from __future__ import annotations

import anyio
import pytest

from relaydance_async import APIConnectionError
from relaydance_async._transports import Transport
from tests.kit.calls import ask_chat
from tests.kit.waiting import open_files, wait_until
from tests.transports.conftest import OURS, Maker
from tests.transports.support import (
    OK,
    Peer,
    Server,
    as_json,
    fetch,
    first_piece,
    over_every_transport,
    serve,
    wire,
)

pytestmark = over_every_transport

MODELS = as_json(b'{"object":"list","data":[]}')


async def all_left(server: Server) -> None:
    """Until no connection is open at the server, and the client has had the time to see that."""
    await wait_until(lambda: server.open == 0)
    await anyio.sleep(0.005)


async def test_a_connection_whose_answer_was_read_is_used_again(transport: Transport) -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    async with serve() as server:
        for _ in range(5):
            assert await fetch(transport, server.url) == (200, b"ok")
            assert await fetch(transport, server.url, "POST", body=b"x") == (200, b"ok")
    assert (server.connections, len(server.heads)) == (1, 10)
    async with serve(chunked) as server:
        for _ in range(3):
            assert await fetch(transport, server.url) == (200, b"ok")
    assert server.connections == 1


async def test_a_connection_whose_answer_was_not_read_to_its_end_is_closed(transport: Transport) -> None:
    async def large(peer: Peer) -> None:
        await server.read(peer)
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n" + bytes(1000))
        await peer.until_gone()

    async with serve(large) as server:
        half_read = await transport.send(wire(server.url))
        assert await first_piece(half_read)
        unread = await transport.send(wire(server.url))
        await unread.aclose()
        await all_left(server)
        again = await transport.send(wire(server.url))
        await again.aclose()
    assert server.connections == 3


async def test_an_error_answer_is_read_so_that_its_connection_can_be_used_again(maker: Maker) -> None:
    async with serve(b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy") as server:
        with pytest.raises(Exception, match="busy"):
            await maker.client(server.url).models.list()
    assert (server.connections, len(server.heads)) == (1, 4)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ],
)
async def test_a_server_that_keeps_no_connection_gets_a_new_one_each_time(transport: Transport, answer: bytes) -> None:
    async with serve(answer) as server:
        for _ in range(3):
            assert await fetch(transport, server.url) == (200, b"ok")
        await all_left(server)  # the client closes, although the server doesn't
    assert server.connections == 3


@pytest.mark.parametrize("end", ["close", "reset"])
async def test_a_connection_that_the_server_closed_while_idle_costs_neither_a_get_nor_a_billed_post(
    maker: Maker, end: str
) -> None:
    async def once(peer: Peer) -> None:
        head, _ = await server.read(peer)
        await peer.send(as_json(CHAT) if head.method == "POST" else MODELS)
        await (peer.close() if end == "close" else peer.reset())

    async with serve(once) as server:
        client = maker.client(server.url)
        for _ in range(2):
            await client.models.list()
            await all_left(server)
            await ask_chat(client)
            await all_left(server)
    assert [head.method for head in server.heads] == ["GET", "POST"] * 2


CHAT = (
    b'{"id":"1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"finish_reason":"stop",'
    b'"message":{"role":"assistant","content":"hi"}}]}'
)


@pytest.mark.parametrize("end", ["close", "reset"])
async def test_a_connection_that_the_server_closes_on_its_next_request_costs_a_get_nothing(
    maker: Maker, end: str
) -> None:
    async with serve(b"") as server:
        script_of(server, end)
        client = maker.client(server.url)
        await client.models.list()
        await client.models.list()
    assert server.connections == 2


@pytest.mark.parametrize("end", ["close", "reset"])
async def test_a_billed_post_on_a_connection_that_the_server_closes_just_then_is_sent_once(
    maker: Maker, end: str
) -> None:
    """Its bytes had left, so that nobody can tell whether the gateway took it."""
    async with serve(b"") as server:
        script_of(server, end)
        client = maker.client(server.url)
        await client.models.list()
        with pytest.raises(APIConnectionError) as caught:
            await ask_chat(client)
        assert caught.value.maybe_accepted
        assert len(caught.value.attempts) == 1
        await client.models.list()
    assert [head.method for head in server.heads] == ["GET", "POST", "GET"]


def script_of(server: Server, end: str) -> None:
    """Answer the first request of each connection; end it on the second, without an answer."""

    async def run(peer: Peer) -> None:
        await server.read(peer)
        await peer.send(MODELS)
        await server.read(peer)
        await (peer.close() if end == "close" else peer.reset())

    server.run = run


@pytest.mark.parametrize(
    "garbage",
    [b"garbage", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong", b"\r\n"],
    ids=["noise", "an answer to nothing", "an empty line"],
)
@pytest.mark.parametrize("kind", OURS)
async def test_what_follows_an_answer_is_never_taken_for_the_next_one(transport: Transport, garbage: bytes) -> None:
    """httpx's own pool, which a caller's client has, doesn't look (httpcore 1.0)."""
    async with serve(OK + garbage) as server:
        for _ in range(3):
            assert await fetch(transport, server.url) == (200, b"ok")
        assert server.connections == 3


@pytest.mark.parametrize("kind", [*OURS, "the caller's httpx", "the caller's httpx2"])
async def test_an_idle_connection_that_speaks_unasked_is_not_used_again(transport: Transport) -> None:
    async def chatty(peer: Peer) -> None:
        await server.read(peer)
        await peer.send(OK)
        await read.wait()
        await peer.send(b"HTTP/1.1 408 Too Slow\r\nContent-Length: 0\r\n\r\n")
        said.set()
        await peer.until_gone()

    read, said = anyio.Event(), anyio.Event()
    async with serve(chatty) as server:
        assert await fetch(transport, server.url) == (200, b"ok")
        read.set()
        await said.wait()
        await anyio.sleep(0.005)
        assert await fetch(transport, server.url) == (200, b"ok")
    assert server.connections == 2


async def test_each_origin_has_connections_of_its_own(transport: Transport) -> None:
    async with serve() as one, serve() as other:
        for _ in range(2):
            await fetch(transport, one.url)
            await fetch(transport, other.url)
    assert (one.connections, other.connections) == (1, 1)


@pytest.mark.parametrize("kind", OURS)
async def test_idle_connections_to_one_origin_take_no_place_of_those_to_another(maker: Maker) -> None:
    transport = await maker.transport(max_idle=2)
    async with serve() as one, serve() as other:
        held = [await transport.send(wire(one.url)) for _ in range(2)]
        for response in held:
            await response.read(100)
        for _ in range(4):
            await fetch(transport, other.url)
    assert other.connections == 1


@pytest.mark.parametrize("kind", OURS)
async def test_calls_that_queued_while_their_client_was_closed_go_over_a_new_connection(maker: Maker) -> None:
    async def run(peer: Peer) -> None:
        await server.read(peer)
        if server.connections == 1:
            await peer.until_gone()
        await peer.send(as_json(b'{"choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}]}'))
        await server.read(peer)
        await peer.send(as_json(b'{"choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}]}'))

    async def ask() -> None:
        try:
            await ask_chat(client)
        except APIConnectionError as error:
            errors.append(error)

    errors: list[APIConnectionError] = []
    async with serve(run) as server:
        client = maker.client(server.url, max_concurrency=1)
        before = open_files()
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(ask)
            await wait_until(lambda: len(server.heads) == 1)
            await client.aclose()
        assert [error.maybe_accepted for error in errors] == [True]
        assert (server.connections, len(server.heads)) == (2, 3)
        await client.aclose()
        await wait_until(lambda: open_files() <= before + 1)


@pytest.mark.parametrize("kind", OURS)
async def test_closing_the_transport_closes_every_connection(maker: Maker) -> None:
    async with serve() as server:
        before = open_files()
        transport = await maker.transport()
        unread = await transport.send(wire(server.url))
        for _ in range(3):
            await fetch(transport, server.url)
        assert open_files() > before
        await transport.aclose()
        await unread.aclose()
        await all_left(server)
        await wait_until(lambda: open_files() == before)


async def test_requests_at_once_have_a_connection_each_and_then_share_them(transport: Transport) -> None:
    arrived: list[Peer] = []

    async def together(peer: Peer) -> None:
        while True:
            await server.read(peer)
            arrived.append(peer)
            await wait_until(lambda: len(arrived) >= 8)
            await peer.send(OK)

    async with serve(together) as server:
        async with anyio.create_task_group() as group:
            for _ in range(8):
                group.start_soon(fetch, transport, server.url)
        assert server.connections == 8
        for _ in range(16):
            await fetch(transport, server.url)
    assert server.connections == 8


async def test_a_transport_counts_its_open_and_its_idle_connections_and_none_of_a_callers(
    maker: Maker, transport: Transport
) -> None:
    head_was_seen = anyio.Event()

    async def in_halves(peer: Peer) -> None:
        await server.read(peer)
        await peer.send(OK[:-1])
        await head_was_seen.wait()
        await peer.send(OK[-1:])
        await peer.until_gone()

    async with serve(in_halves) as server:
        counts = [transport.stats()]
        response = await transport.send(wire(server.url))
        counts.append(transport.stats())
        head_was_seen.set()
        assert await response.read(100) == b"ok"
        counts.append(transport.stats())
        await transport.aclose()
        counts.append(transport.stats())
    assert counts == ([(0, 0), (1, 0), (1, 1), (0, 0)] if maker.is_ours else [(0, 0)] * 4)
