"""What breaks and when: the type of the error, whether the request may have been accepted, whether to repeat it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

import anyio
import pytest

from relaydance_async import APIConnectionError, APITimeoutError, RelayDanceError
from relaydance_async._sansio.request import BodyStream
from relaydance_async._sansio.timeout import Timeout
from relaydance_async._transports import Transport
from tests.kit.calls import ask_chat, submit_clip
from tests.transports.conftest import CALLERS, OURS, Maker
from tests.transports.support import (
    OK,
    UNSENT,
    Gone,
    Peer,
    Script,
    as_json,
    closed_port,
    fetch,
    over_every_transport,
    serve,
    silent_port,
    wire,
)

pytestmark = over_every_transport

SHORT = 0.05
WITH_WRITE_TIMEOUT = [kind for kind in (*OURS, *CALLERS) if not kind.endswith("over aiohttp")]
"""aiohttp has none of its own, and httpx-aiohttp adds none; there the deadline of the call is the limit."""


async def failure(transport: Transport, url: str, method: str = "POST", **options: object) -> RelayDanceError:
    with anyio.fail_after(5), pytest.raises(RelayDanceError) as caught:
        await fetch(transport, url, method, **options)
    return caught.value


def of(error: RelayDanceError) -> tuple[type[RelayDanceError], bool, bool]:
    return type(error), error.retryable, error.maybe_accepted


# Before anything was sent.


async def test_a_closed_port_means_that_nothing_was_sent(transport: Transport) -> None:
    error = await failure(transport, closed_port(), body=b"{}")
    assert of(error) == (APIConnectionError, True, False)
    assert error.message.startswith("no connection to the gateway: ")


async def test_a_connection_that_does_not_come_about_in_time_means_that_nothing_was_sent(transport: Transport) -> None:
    with silent_port() as url:
        error = await failure(transport, url, body=b"{}", timeout=Timeout(SHORT, 5.0, 5.0))
    assert of(error) == (APITimeoutError, True, False)
    assert error.message == f"no connection within {SHORT:g} s"


async def test_a_billed_call_that_never_got_a_connection_is_repeated(maker: Maker) -> None:
    with silent_port() as url, pytest.raises(APITimeoutError) as caught:
        await submit_clip(maker.client(url, timeout=Timeout(0.02, 5.0, 5.0)))
    assert len(caught.value.attempts) in (UNSENT, 4)
    assert not caught.value.maybe_accepted


# After it was sent.


def closing(*pieces: bytes) -> Script:
    """Read the request, send this much, and close."""

    async def run(peer: Peer) -> None:
        await peer.read()
        for piece in pieces:
            await peer.send(piece)
        await peer.close()

    return run


async def resetting(peer: Peer) -> None:
    await peer.read()
    await peer.reset()


async def resetting_in_the_body(peer: Peer) -> None:
    await peer.read()
    await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nab")
    await peer.receive()  # the test has seen that much, or the client is gone
    await peer.reset()


BREAKS: dict[str, Script] = {
    "closed without an answer": closing(),
    "reset without an answer": resetting,
    "closed in the status line": closing(b"HTTP/1.1 20"),
    "closed in the headers": closing(b"HTTP/1.1 200 OK\r\nContent-Le"),
    "closed before the body": closing(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
    "closed in the body": closing(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"),
    "closed in a chunk": closing(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"),
    "closed between chunks": closing(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n"),
    "closed before the last line": closing(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n"),
    "an interim answer only": closing(b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    "no HTTP": closing(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"),
    "a bad chunk size": closing(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n"),
    "a bad length": closing(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nab"),
    "two lengths": closing(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc"),
    "a huge header": closing(b"HTTP/1.1 200 OK\r\nX-Huge: " + b"x" * 300_000 + b"\r\n\r\n"),
    "a header without a name": closing(b"HTTP/1.1 200 OK\r\n: x\r\n\r\n"),
}


@pytest.mark.parametrize("case", BREAKS)
async def test_an_answer_that_breaks_off_or_is_none_leaves_it_open_whether_it_was_accepted(
    transport: Transport, case: str
) -> None:
    async with serve(BREAKS[case]) as server:
        error = await failure(transport, server.url, body=b"{}")
        assert of(error) == (APIConnectionError, True, True)
        assert error.message.startswith("the connection broke: ")
        assert (await fetch_from(transport))[0] == 200  # the next request works
    assert server.connections == 1


async def fetch_from(transport: Transport) -> tuple[int, bytes]:
    async with serve() as server:
        return await fetch(transport, server.url)


@pytest.mark.parametrize("case", BREAKS)
async def test_a_billed_call_whose_answer_breaks_off_is_sent_once(maker: Maker, case: str) -> None:
    async with serve(BREAKS[case]) as server:
        with pytest.raises(APIConnectionError) as caught:
            await ask_chat(maker.client(server.url))
    assert (server.connections, len(caught.value.attempts), caught.value.maybe_accepted) == (1, 1, True)


async def test_a_reset_in_the_body_is_an_error_after_the_pieces_that_came(transport: Transport) -> None:
    async def run(peer: Peer) -> None:
        await peer.read()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nab")
        await seen.wait()
        await peer.reset()

    seen = anyio.Event()
    async with serve(run) as server:
        response = await transport.send(wire(server.url, "POST", body=b"{}"))
        async with aclosing(response.chunks()) as chunks:
            assert await anext(chunks) == b"ab"
            seen.set()
            with pytest.raises(APIConnectionError) as caught:
                await anext(chunks)
    assert of(caught.value) == (APIConnectionError, True, True)


# Time.


async def silent(peer: Peer) -> None:
    await peer.read()
    await peer.until_gone()


async def silent_in_the_head(peer: Peer) -> None:
    await peer.read()
    await peer.send(b"HTTP/1.1 200 OK\r\nContent-Le")
    await peer.until_gone()


async def silent_in_the_body(peer: Peer) -> None:
    await peer.read()
    await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nab")
    await peer.until_gone()


async def silent_after_an_interim_answer(peer: Peer) -> None:
    await peer.read()
    await peer.send(b"HTTP/1.1 102 Processing\r\n\r\n")
    await peer.until_gone()


@pytest.mark.parametrize("script", [silent, silent_in_the_head, silent_in_the_body, silent_after_an_interim_answer])
async def test_an_answer_that_does_not_come_in_time_may_have_been_accepted(
    transport: Transport, kind: str, script: Script
) -> None:
    if kind.endswith("over aiohttp") and script is silent_after_an_interim_answer:
        script = silent  # aiohttp 3.14 forgets its read timeout at an interim answer: there the deadline is the limit
    async with serve(script) as server:
        error = await failure(transport, server.url, body=b"{}", timeout=Timeout(5.0, SHORT, 5.0))
    assert of(error) == (APITimeoutError, True, True)
    assert error.message == f"no answer within {SHORT:g} s"


async def test_the_read_timeout_is_for_each_piece_and_not_for_the_whole(transport: Transport) -> None:
    async def drip(peer: Peer) -> None:
        await peer.read()
        for piece in (b"HTTP/1.1 200 OK\r\n", b"Content-Length: 10\r\n\r\n", *([b"."] * 10)):
            await peer.send(piece)
            await anyio.sleep(0.02)

    async with serve(drip) as server:
        timeout = Timeout(5.0, 0.09, 5.0)
        started = anyio.current_time()
        assert await fetch(transport, server.url, timeout=timeout) == (200, b"." * 10)
        assert anyio.current_time() - started > timeout.read


LENGTH = {"content-length": str(24 << 20)}


async def deaf(peer: Peer) -> None:
    await peer.read_head()
    await anyio.sleep_forever()


def in_pieces(length: int | None = None) -> BodyStream:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(24):
            yield bytes(1 << 20)

    return BodyStream(pieces, length)


@pytest.mark.parametrize("kind", WITH_WRITE_TIMEOUT)
@pytest.mark.parametrize("body", [bytes(24 << 20), in_pieces(24 << 20)], ids=["bytes", "pieces"])
async def test_a_body_whose_end_the_server_did_not_take_in_time_was_not_accepted(
    transport: Transport, maker: Maker, body: bytes | BodyStream
) -> None:
    timeout = Timeout(5.0, 5.0, SHORT)
    async with serve(deaf) as server:
        error = await failure(
            transport, server.url, headers={"content-length": str(24 << 20)}, body=body, timeout=timeout
        )
    # A caller's client doesn't tell how much of some bytes it has written.
    assert of(error) == (APITimeoutError, True, isinstance(body, bytes) and not maker.is_ours)
    assert error.message == f"the request could not be sent within {SHORT:g} s"


@pytest.mark.parametrize("kind", WITH_WRITE_TIMEOUT)
async def test_of_a_body_of_unknown_length_any_piece_may_have_been_the_last(transport: Transport) -> None:
    async with serve(deaf) as server:
        error = await failure(transport, server.url, body=in_pieces(), timeout=Timeout(5.0, 5.0, SHORT))
    assert of(error) == (APITimeoutError, True, True)


async def resetting_in_the_request(peer: Peer) -> None:
    await peer.read_head()
    await peer.reset()


@pytest.mark.parametrize("body", [bytes(24 << 20), in_pieces(24 << 20)], ids=["bytes", "pieces"])
async def test_an_upload_that_the_server_cuts_midway_was_not_accepted(
    transport: Transport, maker: Maker, body: bytes | BodyStream
) -> None:
    async with serve(resetting_in_the_request) as server:
        error = await failure(transport, server.url, headers=LENGTH, body=body)
    assert of(error) == (APIConnectionError, True, isinstance(body, bytes) and not maker.is_ours)


async def test_a_billed_upload_that_was_cut_midway_is_repeated(maker: Maker) -> None:
    async def run(peer: Peer) -> None:
        if server.connections == 1:
            await resetting_in_the_request(peer)
            raise Gone
        await server.read(peer)
        await peer.send(as_json(b'{"id":"file-1","url":"https://files.test/1"}'))

    async with serve(run) as server:
        uploaded = await maker.client(server.url).files.upload(bytes(24 << 20), filename="clip.bin")
    assert (uploaded.id, server.connections, len(server.heads)) == ("file-1", 2, 1)


async def test_an_answer_that_is_cut_off_is_told_in_one_line_without_layers(transport: Transport, kind: str) -> None:
    async with serve(BREAKS["closed in the body"]) as server:
        error = await failure(transport, server.url, body=b"{}")
    assert "\n" not in error.message
    if kind in OURS:
        assert error.message == "the connection broke: the answer was cut off (2 of 5 bytes)"


@pytest.mark.parametrize("case", BREAKS)
async def test_no_text_holds_a_line_break_a_librarys_repr_or_the_query(transport: Transport, case: str) -> None:
    async with serve(BREAKS[case]) as server:
        error = await failure(transport, f"{server.url}/?token=secret", body=b"{}")
    assert not any(part in error.message for part in ("\n", "<", "Error(", "secret", "message="))


async def test_who_was_asked_is_named(transport: Transport) -> None:
    error = await failure(transport, closed_port(), "GET", peer="cdn.example")
    assert error.message.startswith("no connection to cdn.example: ")


async def test_a_server_that_thinks_before_it_answers_is_given_the_read_timeout(transport: Transport) -> None:
    """Neither the connect timeout nor the write timeout may end it."""

    async def thoughtful(peer: Peer) -> None:
        while True:
            await peer.read()
            await anyio.sleep(0.06)
            await peer.send(OK)

    async with serve(thoughtful) as server:
        for body in (b"{}", bytes(100_000)):
            timeout = Timeout(0.05, 5.0, 0.05)
            assert await fetch(transport, server.url, "POST", body=body, timeout=timeout) == (200, b"ok")


# The deadline of the whole call.


async def test_a_deadline_that_passes_while_connecting_means_that_nothing_was_sent(maker: Maker) -> None:
    with silent_port() as url, pytest.raises(APITimeoutError) as caught:
        await submit_clip(maker.client(url, deadline=SHORT))
    # Nobody can tell how far httpx-aiohttp has come when it is cancelled.
    assert caught.value.maybe_accepted == maker.kind.endswith("over aiohttp")


async def test_a_deadline_that_passes_while_waiting_for_the_answer_may_have_been_accepted(maker: Maker) -> None:
    async with serve(silent) as server:
        with pytest.raises(APITimeoutError) as caught:
            await submit_clip(maker.client(server.url, deadline=SHORT))
    assert caught.value.maybe_accepted
