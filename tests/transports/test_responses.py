"""What comes in: status, headers and body of every form that HTTP/1.1 has for them."""

from __future__ import annotations

import gzip
import json
import zlib
from contextlib import aclosing

import pytest

from relaydance_async import ResponseDecodeError, ResponseTooLargeError
from relaydance_async._transports import Transport
from tests.transports.conftest import OURS, Maker
from tests.transports.support import OK, Peer, fetch, first_piece, over_every_transport, serve, wire

pytestmark = over_every_transport


def answer(body: bytes = b"", *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}"]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def chunked(*pieces: bytes, trailer: bytes = b"", status: str = "200 OK", coding: str = "identity") -> bytes:
    head = f"HTTP/1.1 {status}\r\nTransfer-Encoding: chunked\r\nContent-Encoding: {coding}\r\n\r\n"
    body = b"".join(b"%x;ext=1\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    return head.encode() + body + b"0\r\n" + trailer + b"\r\n"


@pytest.mark.parametrize("status", [200, 201, 299, 301, 307, 400, 401, 404, 418, 429, 500, 503, 599])
async def test_the_status_is_given_as_it_came(transport: Transport, status: int) -> None:
    async with serve(answer(b"body", status=f"{status} Whatever It Is")) as server:
        assert await fetch(transport, server.url) == (status, b"body")


async def test_a_status_without_a_reason_is_fine(transport: Transport) -> None:
    async with serve(answer(b"x", status="200 ")) as server:
        assert await fetch(transport, server.url) == (200, b"x")


async def test_headers_are_found_in_any_case(transport: Transport) -> None:
    async with serve(answer(b"", "X-Request-Id: Some Id ", "content-TYPE:text/plain", "X-Empty:")) as server:
        response = await transport.send(wire(server.url))
        await response.aclose()
    for name in ("x-request-id", "X-Request-ID"):
        assert response.headers[name] == response.headers.get(name) == "Some Id"
    assert response.headers["Content-Type"] == "text/plain"
    assert response.headers["x-empty"] == ""
    assert "x-other" not in response.headers
    assert {name.lower() for name in response.headers} == {"x-request-id", "content-type", "x-empty", "content-length"}


async def test_a_body_comes_whole_with_a_length_in_chunks_or_until_the_end(transport: Transport) -> None:
    body = bytes(range(256)) * 4096  # 1 MiB

    async def until_the_end(peer: Peer) -> None:
        await peer.read()
        await peer.send(b"HTTP/1.0 200 OK\r\n\r\n" + body)

    for script in (answer(body), chunked(body[:1], body[1:70_000], body[70_000:]), until_the_end):
        async with serve(script) as server:
            assert await fetch(transport, server.url) == (200, body)


async def test_a_body_can_be_taken_in_pieces_as_they_come(transport: Transport) -> None:
    async def slow(peer: Peer) -> None:
        await peer.read()
        await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for piece in (b"one", b"two", b"three"):
            await peer.send(b"%x\r\n%s\r\n" % (len(piece), piece))
            assert await peer.receive() == b"+"  # the test has seen it
        await peer.send(b"0\r\n\r\n")

    seen: list[bytes] = []
    async with serve(slow) as server:
        response = await transport.send(wire(server.url))
        async with aclosing(response.chunks()) as chunks:
            async for piece in chunks:
                seen.append(piece)
                break
    assert seen == [b"one"]


@pytest.mark.parametrize("coding", ["gzip", "deflate", "raw deflate"])
@pytest.mark.parametrize("frame", ["length", "chunks"])
async def test_a_compressed_body_is_unpacked(transport: Transport, coding: str, frame: str) -> None:
    body = b"one two three " * 1000
    raw = zlib.compressobj(wbits=-15)
    packed = {
        "gzip": gzip.compress(body),
        "deflate": zlib.compress(body),
        "raw deflate": raw.compress(body) + raw.flush(),
    }[coding]
    name = coding.removeprefix("raw ")
    if frame == "length":
        data = answer(packed, f"Content-Encoding: {name}")
    else:
        data = chunked(packed[:7], packed[7:], coding=name)
    async with serve(data) as server:
        assert await fetch(transport, server.url) == (200, body)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_a_broken_coding_is_an_error_that_says_so_and_no_half_text(transport: Transport, coding: str) -> None:
    async with serve(answer(b"this is not compressed", f"Content-Encoding: {coding}")) as server:
        with pytest.raises(ResponseDecodeError, match="content encoding is broken"):
            await fetch(transport, server.url)


@pytest.mark.parametrize("coding", ["br", "zstd", "compress"])
async def test_a_coding_that_was_never_accepted_is_an_error_and_no_garbage(maker: Maker, coding: str) -> None:
    data = answer(b"\x8b\x02\x80{}\x03", f"Content-Encoding: {coding}", "Content-Type: application/json")
    async with serve(data) as server:
        with pytest.raises(ResponseDecodeError):
            await maker.client(server.url).models.list()
    assert len(server.heads) == 1


async def test_a_small_body_that_unpacks_to_more_than_the_limit_is_refused(transport: Transport) -> None:
    bomb = gzip.compress(bytes(50_000_000))
    assert len(bomb) < 60_000
    async with serve(answer(bomb, "Content-Encoding: gzip")) as server:
        response = await transport.send(wire(server.url))
        with pytest.raises(ResponseTooLargeError, match="larger than 1000000 bytes"):
            await response.read(1_000_000)


async def test_trailers_are_passed_over(transport: Transport) -> None:
    data = chunked(b"body", trailer=b"X-Checksum: 1\r\nX-More: 2\r\n")
    async with serve(data) as server:
        for _ in range(2):
            assert await fetch(transport, server.url) == (200, b"body")
    assert server.connections == 1


@pytest.mark.parametrize("hint", ["100 Continue", "102 Processing", "103 Early Hints"])
async def test_an_interim_answer_is_passed_over(transport: Transport, hint: str) -> None:
    interim = f"HTTP/1.1 {hint}\r\nLink: </x>; rel=preload\r\n\r\n".encode()
    async with serve(interim + interim + OK) as server:
        for _ in range(2):
            assert await fetch(transport, server.url, "POST", body=b"{}") == (200, b"ok")
    assert server.connections == 1


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
async def test_an_answer_without_a_body_ends_with_its_head(transport: Transport, status: str) -> None:
    data = f"HTTP/1.1 {status}\r\nETag: x\r\n\r\n".encode()
    async with serve(data) as server:
        for _ in range(3):
            assert await fetch(transport, server.url) == (int(status[:3]), b"")
    assert server.connections == 1


async def test_the_answer_to_head_has_a_length_and_no_body(transport: Transport) -> None:
    async with serve(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n") as server:
        for _ in range(2):
            assert await fetch(transport, server.url, "HEAD") == (200, b"")
    assert server.connections == 1


async def test_an_empty_body_is_empty(transport: Transport) -> None:
    for data in (answer(b""), chunked()):
        async with serve(data) as server:
            assert await fetch(transport, server.url) == (200, b"")


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
async def test_a_redirect_is_an_answer_like_any_other(transport: Transport, status: str) -> None:
    async with serve() as elsewhere:
        async with serve(answer(b"gone", f"Location: {elsewhere.url}/x", status=status)) as server:
            assert await fetch(transport, server.url, "POST", body=b"{}") == (int(status[:3]), b"gone")
            assert len(server.heads) == 1
        assert elsewhere.connections == 0


@pytest.mark.parametrize("kind", OURS)
async def test_a_cookie_is_not_sent_back(transport: Transport) -> None:
    """The jar of a caller's own client is the caller's."""
    async with serve(answer(b"ok", "Set-Cookie: session=1; Path=/", "Set-Cookie: b=2")) as server:
        for _ in range(2):
            await fetch(transport, server.url)
    assert [head.get("cookie") for head in server.heads] == [None, None]


async def test_a_limit_is_kept_whether_the_length_is_known_or_not(transport: Transport) -> None:
    for data in (answer(bytes(2000)), chunked(bytes(1500), bytes(500))):
        async with serve(data) as server:
            for limit, fits in ((2000, True), (1999, False)):
                response = await transport.send(wire(server.url))
                if fits:
                    assert await response.read(limit) == bytes(2000)
                else:
                    with pytest.raises(ResponseTooLargeError, match="larger than 1999 bytes"):
                        await response.read(limit)


async def test_a_response_can_be_closed_at_any_time_and_twice(transport: Transport) -> None:
    async with serve(answer(bytes(100_000))) as server:
        unread = await transport.send(wire(server.url))
        begun = await transport.send(wire(server.url))
        assert await first_piece(begun)
        read = await transport.send(wire(server.url))
        await read.read(1 << 20)
        for response in (unread, begun, read, unread, begun, read):
            await response.aclose()


async def test_text_of_an_error_in_gzip_reaches_the_caller(maker: Maker) -> None:
    body = gzip.compress(json.dumps({"error": {"message": "no such thing", "code": "x"}}).encode())
    async with serve(answer(body, "Content-Encoding: gzip", status="404 Not Found")) as server:
        with pytest.raises(Exception, match="no such thing"):
            await maker.client(server.url).models.list()
