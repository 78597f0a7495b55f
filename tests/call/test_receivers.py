"""What becomes of an answer: bytes and texts, and what is refused in their place."""

from __future__ import annotations

from typing import Any

import pytest

from relaydance_async import AsyncRelayDance, ResponseDecodeError, ResponseTooLargeError, RetryPolicy, ServerError
from relaydance_async._call import Receiver, as_bytes, as_text
from relaydance_async._sansio.request import build_get
from relaydance_async._sansio.target import ApiTarget
from relaydance_async.sandbox import Sandbox
from tests.call.support import Start, failure_of
from tests.kit.inside import api_of
from tests.kit.probe import look_at
from tests.transports.support import serve

pytestmark = pytest.mark.anyio

ONCE = RetryPolicy(max_attempts=1)
SOUND = b"\xff\xfb\x90\x00 not a text"
ERROR = b'{"error":{"message":"the upstream broke off","type":"server_error","code":"upstream_error"}}'


def answer(kind: str | None, body: bytes) -> bytes:
    named = f"Content-Type: {kind}\r\n" if kind is not None else ""
    return f"HTTP/1.1 200 OK\r\n{named}Content-Length: {len(body)}\r\n\r\n".encode() + body


def fetch(client: AsyncRelayDance, receive: Receiver[Any]) -> Any:
    """A call of a route that no resource has."""
    return api_of(client).call(build_get(ApiTarget("/a", "/a")), receive)


@pytest.mark.parametrize("kind", ["audio/mpeg", "Audio/MPEG", "audio/mpeg; rate=1"])
async def test_bytes_of_the_right_kind_are_given_whole(sandbox: Sandbox, start: Start, kind: str) -> None:
    async with serve(answer(kind, SOUND)) as server, start(sandbox, base_url=f"{server.url}/v1") as client:
        assert await fetch(client, as_bytes("audio/")) == SOUND
        assert await fetch(client, as_bytes("video/", "audio/")) == SOUND
        assert look_at(client).permits == 0


@pytest.mark.parametrize("kind", [None, "application/octet-stream", "audio/mpeg"])
async def test_bytes_of_any_kind_are_anything_but_a_page(sandbox: Sandbox, start: Start, kind: str | None) -> None:
    async with serve(answer(kind, SOUND)) as server, start(sandbox, base_url=f"{server.url}/v1") as client:
        assert await fetch(client, as_bytes()) == SOUND


@pytest.mark.parametrize("receive", [as_bytes(), as_bytes("audio/"), as_text()], ids=["any", "audio", "text"])
async def test_a_web_page_with_a_good_status_is_refused(sandbox: Sandbox, start: Start, receive: Any) -> None:
    page = b"<html><body>Log in</body></html>"
    async with serve(answer("text/html", page)) as server, start(sandbox, base_url=f"{server.url}/v1") as client:
        error = await failure_of(fetch(client, receive))
        assert look_at(client).permits == 0
    assert isinstance(error, ResponseDecodeError)
    assert error.raw_body == page
    assert error.not_retried_because == "the same request would fail again"


@pytest.mark.parametrize("receive", [as_bytes(), as_bytes("audio/")], ids=["any", "audio"])
async def test_an_error_with_a_good_status_is_that_error(sandbox: Sandbox, start: Start, receive: Any) -> None:
    good = answer("application/json", ERROR)
    async with serve(good) as server, start(sandbox, base_url=f"{server.url}/v1", retry=ONCE) as client:
        error = await failure_of(fetch(client, receive))
    assert (error.message, error.code) == ("the upstream broke off", "upstream_error")
    assert len(error.attempts) == 1


@pytest.mark.parametrize("kind", ["video/mp4", None, "xaudio/mpeg"])
async def test_bytes_of_another_kind_are_refused(sandbox: Sandbox, start: Start, kind: str | None) -> None:
    async with serve(answer(kind, SOUND)) as server, start(sandbox, base_url=f"{server.url}/v1") as client:
        error = await failure_of(fetch(client, as_bytes("audio/")))
    assert isinstance(error, ResponseDecodeError)
    assert "not of the kind that was asked for" in error.message


@pytest.mark.parametrize("kind", ["text/plain; charset=utf-8", "text/vtt", "application/x-subrip"])
async def test_a_text_is_given_with_what_is_no_text_in_it_replaced(sandbox: Sandbox, start: Start, kind: str) -> None:
    body = "né 你好".encode() + b"\xff!"
    async with serve(answer(kind, body)) as server, start(sandbox, base_url=f"{server.url}/v1") as client:
        assert await fetch(client, as_text()) == "né 你好\ufffd!"


async def test_a_text_may_be_json(sandbox: Sandbox, start: Start) -> None:
    good = answer("application/json", b'{"text":"hi"}')
    async with serve(good) as server, start(sandbox, base_url=f"{server.url}/v1") as client:
        assert await fetch(client, as_text()) == '{"text":"hi"}'


@pytest.mark.parametrize("receive", [as_bytes(), as_text()], ids=["bytes", "text"])
async def test_an_answer_above_the_limit_is_refused(sandbox: Sandbox, start: Start, receive: Any) -> None:
    long = answer("application/octet-stream", b"x" * 10_000)
    async with (
        serve(long) as server,
        start(sandbox, base_url=f"{server.url}/v1", max_response_bytes=9_999) as client,
    ):
        error = await failure_of(fetch(client, receive))
        assert look_at(client).permits == 0
        assert len(await fetch(client.with_options(max_response_bytes=10_000), receive)) == 10_000
    assert type(error) is ResponseTooLargeError


async def test_a_large_page_is_not_read_to_its_end(sandbox: Sandbox, start: Start) -> None:
    page = answer("text/html", b"x" * 2_000_000)
    async with serve(page) as server, start(sandbox, base_url=f"{server.url}/v1") as client:
        error = await failure_of(fetch(client, as_bytes()))
        assert look_at(client).permits == 0
    assert isinstance(error, ResponseDecodeError)


async def test_an_error_status_is_an_error_whatever_is_asked_for(sandbox: Sandbox, start: Start) -> None:
    bad = b"HTTP/1.1 500 Oops\r\nContent-Type: audio/mpeg\r\nContent-Length: 1\r\n\r\nx"
    async with serve(bad) as server, start(sandbox, base_url=f"{server.url}/v1", retry=ONCE) as client:
        error = await failure_of(fetch(client, as_bytes("audio/")))
    assert type(error) is ServerError
