"""Answers without end, or larger than they seem: an error, in bounded memory."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx
import pytest
from anyio.abc import SocketAttribute, SocketStream

from relaydance_async import (
    APIStatusError,
    AsyncRelayDance,
    RelayDanceError,
    ResponseDecodeError,
    ResponseTooLargeError,
    RetryPolicy,
    StreamError,
)
from relaydance_async._engine._coding import decoded
from tests.kit.calls import HELLO, open_stream
from tests.kit.transports import TRANSPORTS, transport_options

pytestmark = pytest.mark.anyio

MIB = 2**20
LIMIT = 2 * MIB


@pytest.fixture(params=TRANSPORTS)
async def transport(request: pytest.FixtureRequest) -> AsyncIterator[dict[str, Any]]:
    async with transport_options(request.param) as options:
        yield options


@asynccontextmanager
async def answering(
    transport: dict[str, Any], head: str, piece: bytes, *, times: int = 10**9, **options: Any
) -> AsyncGenerator[AsyncRelayDance, None]:
    """A client of a server that answers with a head and this piece again and again, until nobody reads it."""

    async def serve(stream: SocketStream) -> None:
        async with stream:
            try:
                await stream.receive()
                await stream.send(head.encode())
                for _ in range(times):
                    await stream.send(piece)
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                return  # nobody reads on

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    url = f"http://127.0.0.1:{listener.extra(SocketAttribute.local_port)}/v1"
    options = {"max_response_bytes": LIMIT, "retry": RetryPolicy(1), **transport, **options}
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, serve)
        async with AsyncRelayDance("sk-1", base_url=url, **options) as client:
            yield client
        group.cancel_scope.cancel()


async def raised(call: Callable[[], Any]) -> tuple[RelayDanceError, int]:
    """What a call raises, and the bytes of memory that it needed at most."""
    tracemalloc.start()
    try:
        with pytest.raises(RelayDanceError) as caught:
            await call()
        return caught.value, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def head(*lines: str, status: str = "200 OK") -> str:
    return "\r\n".join([f"HTTP/1.1 {status}", "content-type: application/json", "connection: close", *lines, "", ""])


def squeezed(coding: str, size: int) -> bytes:
    """That many zeros, in one of the codings."""
    window = {"gzip": 31, "deflate": 15, "bare deflate": -15}[coding]
    deflate = zlib.compressobj(9, wbits=window)
    return b"".join([*(deflate.compress(bytes(MIB)) for _ in range(size // MIB)), deflate.flush()])


@pytest.mark.parametrize("coding", ["gzip", "deflate", "bare deflate"])
async def test_a_small_answer_that_holds_a_huge_one_stops_at_the_limit(transport: dict[str, Any], coding: str) -> None:
    body = squeezed(coding, 64 * MIB)
    lines = [f"content-encoding: {coding.split()[-1]}", f"content-length: {len(body)}"]
    async with answering(transport, head(*lines), body, times=1) as client:
        error, memory = await raised(client.models.list)
    assert isinstance(error, ResponseTooLargeError)
    assert memory < 4 * LIMIT


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip", "compress", "x" * 5000])
async def test_a_coding_that_was_not_asked_for_is_an_error(transport: dict[str, Any], coding: str) -> None:
    async with answering(transport, head(f"content-encoding: {coding}"), b"x" * 100, times=1) as client:
        error, _ = await raised(client.models.list)
    assert isinstance(error, ResponseDecodeError)
    assert "content encoding" in error.message
    assert len(str(error)) < 500


@pytest.mark.parametrize("length", ["", "content-length: 99999999999999"])
async def test_an_endless_answer_stops_at_the_limit(transport: dict[str, Any], length: str) -> None:
    lines = [length] if length else []
    async with answering(transport, head(*lines), b" " * 65536) as client:
        error, memory = await raised(client.models.list)
    assert isinstance(error, ResponseTooLargeError)
    assert memory < 4 * LIMIT


async def test_an_endless_error_is_an_error_by_its_status(transport: dict[str, Any]) -> None:
    async with answering(transport, head(status="500 Oh"), b" " * 65536) as client:
        error, memory = await raised(client.models.list)
    assert isinstance(error, APIStatusError)
    assert error.status_code == 500
    assert memory < 4 * LIMIT


@pytest.mark.parametrize("piece", [b"x" * 65536, b": PING " + b"x" * 65529, b"data: " + b"x" * 65530])
async def test_an_endless_line_of_a_stream_stops_at_the_limit(transport: dict[str, Any], piece: bytes) -> None:
    start = head().replace("application/json", "text/event-stream")
    async with answering(transport, start, piece) as client:
        error, memory = await raised(lambda: open_stream(client))
    assert isinstance(error, StreamError)
    assert memory < 64 * MIB


async def test_a_stream_of_chunks_without_end_stops_at_the_limit(transport: dict[str, Any]) -> None:
    start = head().replace("application/json", "text/event-stream")
    piece = b'data: {"choices": [{"delta": {"content": "word "}}]}\n\n' * 1000
    async with answering(transport, start, piece, max_response_bytes=LIMIT // 8) as client:
        stream = await client.chat.completions.create(model="m", messages=HELLO, stream=True)
        error, memory = await raised(stream.get_final_completion)
    assert isinstance(error, StreamError)
    assert memory < 8 * LIMIT


@pytest.mark.parametrize("piece", [b"x-more: 1\r\n" * 1000, b"x" * 65536])
async def test_headers_without_end_are_an_error(transport: dict[str, Any], piece: bytes) -> None:
    async with answering(transport, "HTTP/1.1 200 OK\r\nx-first: ", piece) as client:
        error, memory = await raised(client.models.list)
    assert error.status_code is None
    assert memory < 8 * LIMIT


async def pieces_of(body: bytes, size: int) -> AsyncGenerator[bytes, None]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


@pytest.mark.parametrize("size", [1, 7, 10**6])
async def test_a_coding_is_undone_however_it_is_split(size: int) -> None:
    text = bytes(range(256)) * 1000
    bare = zlib.compressobj(wbits=-15)
    bodies = {
        "gzip": gzip.compress(text[:1000]) + gzip.compress(text[1000:]),
        "X-GZIP ": gzip.compress(text),
        "deflate": zlib.compress(text),
        "Deflate": bare.compress(text) + bare.flush(),
    }
    for coding, body in bodies.items():
        pieces = [piece async for piece in decoded(pieces_of(body, size), coding)]
        assert b"".join(pieces) == text
        assert max(map(len, pieces)) <= 65536
        with pytest.raises(ResponseDecodeError, match="ends too early"):
            [piece async for piece in decoded(pieces_of(body[:-20], size), coding)]
    assert [piece async for piece in decoded(pieces_of(b"", 1), "gzip")] == []


@pytest.mark.parametrize(
    ("coding", "member"), [("gzip", gzip.compress(b"")), ("deflate", b"\x03\x00")], ids=["gzip", "deflate"]
)
async def test_empty_members_without_end_are_an_error(coding: str, member: bytes) -> None:
    with pytest.raises(ResponseDecodeError, match="goes on after its end"):
        [piece async for piece in decoded(pieces_of(member * 2000, 65536), coding)]


async def test_an_answer_that_a_hook_has_read_is_taken_from_there() -> None:
    async def read(response: httpx.Response) -> None:
        await response.aread()

    body = gzip.compress(b'{"data": [{"id": "m"}]}')
    async with (
        httpx.AsyncClient(verify=False, event_hooks={"response": [read]}) as http,
        answering({"http_client": http}, head("content-encoding: gzip"), body, times=1) as client,
    ):
        assert "m" in await client.models.list()
