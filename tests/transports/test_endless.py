"""Answers without an end, though bytes keep coming: each has one all the same, soon and at a small cost."""

from __future__ import annotations

import resource
import time
from contextlib import aclosing

import anyio
import pytest

from relaydance_async import APIConnectionError, APITimeoutError, RelayDanceError
from relaydance_async._sansio.timeout import Timeout
from relaydance_async._transports import Transport
from tests.transports.conftest import OURS
from tests.transports.support import OK, Gone, Peer, Script, fetch, over_every_transport, serve, wire

pytestmark = over_every_transport

SHORT = 0.06
"""Seconds of the read timeout."""
SOON = 2.0
"""Seconds within which everything here ends, on a slow machine too."""
CHEAP = 32 << 20
"""Bytes more in memory, both sides together."""
MOST = 64 << 20
"""Bytes that are enough for any bound."""

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
EMPTY_GZIP = bytes.fromhex("1f8b08000000000000030300000000000000 0000".replace(" ", ""))

HEADS = {
    "early hints": (b"", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"),
    "continue": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "processing, with fields": (b"", b"HTTP/1.1 102 Processing\r\nX-A: b\r\nX-B: c\r\n\r\n"),
    "blank lines": (b"", b"\r\n" * 50),
    "fields": (b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"),
    "one field": (b"HTTP/1.1 200 OK\r\nX-A: ", b"b" * 100),
    "a name": (b"HTTP/1.1 200 OK\r\nX", b"-" * 100),
    "a reason": (b"HTTP/1.1 200 ", b"O" * 100),
    "a status": (b"HTTP/1.1 2", b"0" * 100),
    "noise": (b"", bytes(100)),
    "fields of an interim answer": (b"HTTP/1.1 103 Early Hints\r\n", b"Link: </x>\r\n"),
}
BODIES = {
    "a chunk extension": (CHUNKED + b"5;", b"a=b;" * 50),
    "a quoted chunk extension": (CHUNKED + b'5;a="', b"b" * 50),
    "an extension on each chunk": (CHUNKED, b"1;" + b"a" * 4000 + b"\r\n{\r\n"),
    "zeros of a chunk size": (CHUNKED, b"0" * 100),
    "digits of a chunk size": (CHUNKED + b"1", b"f" * 100),
    "trailers": (CHUNKED + b"2\r\n{}\r\n0\r\n", b"X-A: b\r\n"),
    "one trailer": (CHUNKED + b"2\r\n{}\r\n0\r\nX-A: ", b"b" * 100),
    "members of gzip that hold nothing": (
        CHUNKED.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n"),
        b"%x\r\n%s\r\n" % (len(EMPTY_GZIP), EMPTY_GZIP),
    ),
    "a body": (b"HTTP/1.1 200 OK\r\n\r\n", b" " * 100),
    "chunks": (CHUNKED, b"1\r\n \r\n"),
}


def endless(first: bytes, more: bytes, pause: float) -> Script:
    """Answer with `first` and then `more` without end: as fast as it is taken, or one each `pause` seconds."""

    async def run(peer: Peer) -> None:
        await peer.read()
        await peer.send(first or more)
        if pause:
            while True:
                await anyio.sleep(pause)
                await peer.send(more)
        many = more * (65536 // len(more) + 1)
        for _ in range(0, MOST, len(many)):
            await peer.send(many)
        raise Gone

    return run


def memory() -> int:
    """Bytes in use by this process, at their most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


async def ends(transport: Transport, script: Script) -> RelayDanceError:
    """What the request ends with: soon, and without a lot of memory."""
    async with serve(script) as server:
        began, before = time.monotonic(), memory()
        with anyio.fail_after(SOON), pytest.raises(RelayDanceError) as caught:
            await ask(transport, server.url)
        assert time.monotonic() - began < SOON
        assert memory() - before < CHEAP
        server.run = server.answering(OK)
        assert await fetch(transport, server.url) == (200, b"ok")
    error = caught.value
    assert error.maybe_accepted or not isinstance(error, APIConnectionError)
    return error


async def ask(transport: Transport, url: str) -> None:
    """A request whose whole answer is wanted."""
    response = await transport.send(wire(url, "POST", body=b"{}", timeout=Timeout(5.0, SHORT, 5.0)))
    await response.read(1 << 16)


@pytest.mark.parametrize("case", HEADS)
@pytest.mark.parametrize("kind", OURS)
async def test_a_head_without_end_is_cut_off_however_fast_it_comes(transport: Transport, case: str) -> None:
    error = await ends(transport, endless(*HEADS[case], 0))
    assert type(error) is APIConnectionError


@pytest.mark.parametrize("case", HEADS)
@pytest.mark.parametrize("kind", OURS)
async def test_the_read_timeout_is_for_the_whole_head_however_often_something_comes(
    transport: Transport, case: str
) -> None:
    error = await ends(transport, endless(*HEADS[case], SHORT / 5))
    # Some of these can be known for garbage before the time is over.
    assert type(error) in (APITimeoutError, APIConnectionError)


@pytest.mark.parametrize("case", BODIES)
@pytest.mark.parametrize("kind", OURS)
async def test_a_body_without_end_is_cut_off_however_fast_it_comes(transport: Transport, case: str) -> None:
    error = await ends(transport, endless(*BODIES[case], 0))
    assert not isinstance(error, APITimeoutError)


async def count(transport: Transport, url: str, got: list[int]) -> None:
    """Take a body in pieces, and note how many bytes each has."""
    response = await transport.send(wire(url, timeout=Timeout(5.0, SHORT, 5.0)))
    async with aclosing(response.chunks()) as pieces:
        async for piece in pieces:
            got.append(len(piece))


@pytest.mark.parametrize("case", [case for case in BODIES if case not in ("a body", "chunks")])
@pytest.mark.parametrize("kind", OURS)
async def test_a_stream_that_is_all_framing_is_cut_off(transport: Transport, case: str) -> None:
    """Its caller would wait for a piece without end; a bound on the content doesn't help."""
    got: list[int] = []
    async with serve(endless(*BODIES[case], 0)) as server:
        with anyio.fail_after(SOON), pytest.raises(RelayDanceError) as caught:
            await count(transport, server.url, got)
    assert sum(got) < 1 << 20
    assert not isinstance(caught.value, APITimeoutError)


INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"


@pytest.mark.parametrize("kind", OURS)
async def test_five_interim_answers_are_passed_over(transport: Transport) -> None:
    async with serve(INTERIM * 5 + OK) as server:
        assert await fetch(transport, server.url) == (200, b"ok")


@pytest.mark.parametrize("kind", OURS)
async def test_six_interim_answers_are_too_many(transport: Transport) -> None:
    async with serve(INTERIM * 6 + OK) as server:
        with pytest.raises(APIConnectionError):
            await fetch(transport, server.url)
