"""What goes out: every byte as asked, and nothing else."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import unquote

import anyio
import anyio.lowlevel
import pytest

from relaydance_async import RelayDanceError, RequestTooLargeError
from relaydance_async._sansio.request import BodyStream
from relaydance_async._transports import Transport
from tests.kit.waiting import wait_until
from tests.transports.conftest import CALLERS, Maker
from tests.transports.support import OK, Peer, Server, as_json, fetch, over_every_transport, serve

pytestmark = over_every_transport

# Every client of the httpx family adds these of its own, if the request has none.
OF_THE_CALLERS_CLIENT = {"accept", "accept-encoding", "connection", "user-agent"}


def in_pieces(*pieces: bytes, length: int | None = None) -> BodyStream:
    async def run() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    return BodyStream(run, length)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"])
async def test_the_method_arrives(transport: Transport, method: str) -> None:
    async with serve(b"HTTP/1.1 204 No Content\r\n\r\n") as server:
        assert await fetch(transport, server.url, method) == (204, b"")
    assert [head.method for head in server.heads] == [method]


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/v1/models",
        "/v1/a%2Fb/%E4%BD%A0%20c",
        "/v1/files?x=a%20b%2Bc+d&y=&x=2",
        "/clips/a.mp4?X-Amz-Signature=ab%2Fcd%3D&~_-.!*;:@,$'()",
        "/?",
    ],
)
async def test_path_and_query_arrive_as_they_were_escaped(transport: Transport, kind: str, target: str) -> None:
    async with serve() as server:
        await fetch(transport, f"{server.url}{target}")
    arrived = server.heads[0].target.rstrip("?")
    if kind.endswith("over aiohttp"):
        # httpx-aiohttp has yarl escape the URL anew: what it means stays.
        assert unquote(arrived) == unquote(target).rstrip("?")
    else:
        assert arrived == target.rstrip("?")


async def test_the_headers_are_those_asked_for_and_no_others(transport: Transport, maker: Maker) -> None:
    asked = {
        "accept": "application/json",
        "user-agent": "relaydance-async/1",
        "authorization": "Bearer key",
        "x-Mixed-CASE": "Some, Value; q=1",
        "content-type": "application/json",
    }
    async with serve() as server:
        await fetch(transport, f"{server.url}/v1", "POST", headers=asked, body=b"{}")
        await fetch(transport, f"{server.url}/v1", headers={"accept": "text/event-stream"})
    first, second = server.heads
    allowed = {"host", "content-length", *(() if maker.is_ours else OF_THE_CALLERS_CLIENT)}
    assert {name: first.get(name) for name in asked} == asked
    assert first.get("host") == second.get("host") == server.url.removeprefix("http://")
    assert first.names <= {name.lower() for name in asked} | allowed
    assert second.get("accept") == "text/event-stream"
    assert second.names <= {"accept", *allowed} - {"content-length"}


@pytest.mark.parametrize("value", ["a\r\nx-b: 2", "a\r\nx-b: 2\r\n", "a\nx-b: 2", "a\r\n\r\nGET / HTTP/1.1"])
async def test_a_value_that_holds_a_field_is_never_sent(transport: Transport, value: str) -> None:
    """Of outside there are some: the media type that a store of assets asks for, say."""
    async with serve() as server:
        with pytest.raises(RelayDanceError):
            await fetch(transport, f"{server.url}/v1", headers={"x-a": value})
    assert server.heads == []


async def test_the_clients_own_headers_are_all_that_a_call_sends(maker: Maker) -> None:
    async with serve(as_json(b'{"object":"list","data":[]}')) as server:
        await maker.client(server.url).models.list()
    names = server.heads[0].names
    if not maker.is_ours:
        names -= OF_THE_CALLERS_CLIENT - {"accept", "user-agent"}
    assert names == {"host", "accept", "user-agent", "authorization"}
    assert (server.heads[0].get("user-agent") or "").startswith("relaydance-async/")


async def test_a_password_of_a_netrc_file_is_not_sent(
    transport: Transport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login someone password secret\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    async with serve() as server:
        await fetch(transport, server.url)
        await fetch(transport, server.url, headers={"authorization": "Bearer key"})
    assert [head.get("authorization") for head in server.heads] == [None, "Bearer key"]


# aiohttp's advice to whoever gives it much at once; httpx-aiohttp does.
@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
@pytest.mark.parametrize("size", [0, 1, 65536, 65537, 3_000_000])
async def test_a_body_of_bytes_arrives_whole_with_its_length(transport: Transport, size: int) -> None:
    body = bytes(index % 251 for index in range(min(size, 997))) * (size // 997 + 1)
    async with serve() as server:
        await fetch(transport, server.url, "POST", body=body[:size])
    assert server.bodies == [body[:size]]
    assert server.heads[0].get("content-length") == str(size)
    assert server.heads[0].get("transfer-encoding") is None
    assert server.heads[0].get("expect") is None


async def test_a_stream_of_known_length_is_sent_with_its_length(transport: Transport) -> None:
    async with serve() as server:
        body = in_pieces(b"abc", b"", b"de", length=5)
        await fetch(transport, server.url, "POST", headers={"content-length": "5"}, body=body)
    assert server.bodies == [b"abcde"]
    assert (server.heads[0].get("content-length"), server.heads[0].get("transfer-encoding")) == ("5", None)


async def test_a_stream_of_unknown_length_is_sent_in_chunks(transport: Transport) -> None:
    async with serve() as server:
        await fetch(transport, server.url, "POST", body=in_pieces(b"abc", b"", b"de" * 70_000))
        await fetch(transport, server.url, "POST", body=in_pieces())
    assert server.bodies == [b"abc" + b"de" * 70_000, b""]
    assert {(head.get("content-length"), head.get("transfer-encoding")) for head in server.heads} == {(None, "chunked")}
    assert server.connections == 1


async def test_a_body_is_pulled_only_as_fast_as_the_server_takes_it(transport: Transport) -> None:
    pulled = 0
    read_on = anyio.Event()
    piece = bytes(1 << 20)

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal pulled
        for _ in range(32):
            pulled += 1
            yield piece

    async def slow(peer: Peer) -> None:
        head = await peer.read_head()
        await read_on.wait()
        received.append(len(await peer.read_body(head)))
        await peer.send(OK)

    received: list[int] = []
    async with serve(slow) as server, anyio.create_task_group() as group:
        headers = {"content-length": str(32 << 20)}
        body = BodyStream(pieces, 32 << 20)
        group.start_soon(lambda: fetch(transport, server.url, "POST", headers=headers, body=body))
        before = -1
        while before < pulled or not pulled:  # until it stands still
            before = pulled
            await anyio.sleep(0.02)
        assert pulled < 16  # the kernel's buffers hold a few
        read_on.set()
    assert (pulled, received) == (32, [32 << 20])


async def test_a_piece_goes_out_before_the_next_one_exists(transport: Transport) -> None:
    arrived = anyio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        yield b"first"
        await arrived.wait()
        yield b"second"

    async def script(peer: Peer) -> None:
        data = b""
        while b"first" not in data:
            data += await peer.receive()
        arrived.set()
        while b"second" not in data:
            data += await peer.receive()
        await peer.send(OK)

    async with serve(script) as server:
        with anyio.fail_after(5):
            assert await fetch(transport, server.url, "POST", body=BodyStream(pieces)) == (200, b"ok")


async def test_an_answer_before_the_body_was_read_is_the_answer(maker: Maker, tmp_path: Path) -> None:
    """As nginx does with 413: it answers, and swallows the rest of the body."""
    path = tmp_path / "big.bin"
    path.write_bytes(bytes(4_000_000))

    async def refuse(peer: Peer) -> None:
        await peer.read_head()
        await peer.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await peer.until_gone()

    async with serve(refuse) as server:
        with anyio.fail_after(5), pytest.raises(RequestTooLargeError) as caught:
            await maker.client(server.url).files.upload(path)
        with anyio.fail_after(5):
            await wait_for_none_open(server)
    assert caught.value.status_code == 413
    assert len(caught.value.attempts) == 1
    assert not caught.value.maybe_accepted


async def wait_for_none_open(server: Server) -> None:
    await wait_until(lambda: server.open == 0)


async def test_an_error_answer_in_the_middle_of_a_body_is_the_answer(transport: Transport) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"a" * 1000
        await answered.wait()
        for _ in range(64):
            yield b"b" * 65536

    async def refuse(peer: Peer) -> None:
        await peer.read_head()
        await peer.send(b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy")
        answered.set()
        await peer.until_gone()

    answered = anyio.Event()
    async with serve(refuse) as server:
        assert await fetch(transport, server.url, "POST", body=BodyStream(pieces)) == (503, b"busy")


async def test_an_answer_may_come_while_the_body_is_still_on_its_way(transport: Transport) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"a" * 1000
        await answered.wait()
        for _ in range(64):
            yield b"b" * 65536

    async def eager(peer: Peer) -> None:
        head = await peer.read_head()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n")
        answered.set()
        received.append(len(await peer.read_body(head)))
        await peer.send(b"all of ")
        await peer.until_gone()

    answered = anyio.Event()
    received: list[int] = []
    async with serve(eager) as server:
        with anyio.fail_after(5):
            assert await fetch(transport, server.url, "POST", body=BodyStream(pieces)) == (200, b"all of ")
    assert received == [1000 + 64 * 65536]


async def test_a_continue_that_nobody_asked_for_changes_nothing(transport: Transport) -> None:
    async def eager(peer: Peer) -> None:
        while True:
            head = await peer.read_head()
            await peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            server.bodies.append(await peer.read_body(head))
            await peer.send(OK)

    async with serve(eager) as server:
        for body in (b"x" * 100_000, in_pieces(b"abc", b"def")):
            assert await fetch(transport, server.url, "POST", body=body) == (200, b"ok")
    assert server.bodies == [b"x" * 100_000, b"abcdef"]
    assert server.connections == 1


async def test_an_upload_from_a_file_leaves_the_event_loop_free(maker: Maker, tmp_path: Path) -> None:
    path = tmp_path / "big.bin"
    path.write_bytes(bytes(range(256)) * 32768)  # 8 MiB
    longest = 0.0

    async def tick() -> None:
        nonlocal longest
        while True:
            before = anyio.current_time()
            await anyio.lowlevel.checkpoint()
            longest = max(longest, anyio.current_time() - before)

    async with serve(as_json(b'{"id":"file_1","url":"https://x.test/a"}')) as server:
        client = maker.client(server.url)
        await client.files.upload(b"warm")
        async with anyio.create_task_group() as group:
            group.start_soon(tick)
            with path.open("rb") as file:
                await client.files.upload(file)
            group.cancel_scope.cancel()
    assert len(server.bodies[1]) > path.stat().st_size
    assert longest < 0.25


async def test_a_server_that_answers_in_gzip_unasked_is_understood_and_none_is_asked(
    transport: Transport, maker: Maker
) -> None:
    packed = gzip.compress(b"ok" * 1000)
    answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s" % (len(packed), packed)
    async with serve(answer) as server:
        assert await fetch(transport, server.url) == (200, b"ok" * 1000)
    assert maker.kind in CALLERS or server.heads[0].get("accept-encoding") is None
