"""Forged, malformed, oversized, slow and broken deliveries, byte for byte over real sockets."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import anyio
import httpx
import pytest

from relaydance_async import AsyncRelayDance
from relaydance_async.sandbox import Sandbox
from relaydance_async.webhooks import WebhookApp, WebhookReceiver
from tests.kit.routes import FETCH
from tests.webhooks.support import Handler, body_of, finished, post, query_of, serving

pytestmark = pytest.mark.anyio


@pytest.fixture
async def impatient(receiver: WebhookReceiver, handler: Handler) -> AsyncIterator[str]:
    """The URL of an app that waits only a moment for a body."""
    async with serving(WebhookApp(receiver, handler, body_timeout=0.02)) as url:
        yield url


async def exchange(url: str, *pieces: bytes, method: str = "POST", close: bool = False) -> bytes:
    """What a server says to a request whose head has these lines and whose body comes in these pieces."""
    parts = urlsplit(url)
    head, *body = pieces
    async with await anyio.connect_tcp("127.0.0.1", parts.port or 0) as stream:
        await stream.send(f"{method} {parts.path}?{parts.query} HTTP/1.1\r\nhost: x\r\n".encode() + head + b"\r\n\r\n")
        answer = b""
        with anyio.fail_after(10):
            for piece in body:
                try:
                    await stream.send(piece)
                except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                    break
            if close:
                return answer
            while b"\r\n\r\n" not in answer:
                try:
                    answer += await stream.receive()
                except (anyio.EndOfStream, anyio.BrokenResourceError):
                    break
    return answer


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


TOKENS = [
    ("rd_", "no_"),
    ("rd_sig=", "rd_sig=x"),
    ("rd_sig=", "rd_sig=%C3%A9"),
    ("rd_sig=", "rd_sig=%FF%FE"),
    ("rd_sig=", "rd_sig=%00"),
    ("rd_sig=", "rd_sig=&x="),
    ("rd_sig=", "rd_sig=a&rd_sig="),
    ("rd_ref=r", "rd_ref=s"),
    ("rd_ref=r", "rd_ref=r&rd_ref=r"),
    ("rd_ref=r", "rd_ref=r%00"),
    ("rd_exp=", "rd_exp=9"),
    ("rd_exp=", "rd_exp=0"),
    ("rd_exp=", "rd_exp=%2B"),
    ("rd_exp=", "rd_exp=-"),
    ("rd_exp=", "rd_exp=+"),
    ("rd_exp=1", "rd_exp=1_"),
    ("rd_exp=1", "rd_exp=%EF%BC%91"),
    ("rd_exp=1", "rd_exp=" + "1" * 5000),
    ("rd_exp=1", "rd_exp=1e"),
    ("rd_ref=r", "rd_ref=" + "r" * 20_000),
    ("rd_ref", "a&" * 100 + "rd_ref"),
]


@pytest.mark.parametrize(("old", "new"), TOKENS, ids=range(len(TOKENS)))
async def test_a_forged_url_is_refused_before_the_body_is_read_or_anything_is_asked(
    client: AsyncRelayDance,
    receiver: WebhookReceiver,
    hooks: str,
    handler: Handler,
    sandbox: Sandbox,
    old: str,
    new: str,
) -> None:
    task_id = await finished(client, sandbox)
    asked = sandbox.ledger.count(FETCH)
    query = query_of(receiver.callback_url(hooks, "r"))
    assert old in query
    forged = f"{hooks}?{query.replace(old, new, 1)}"
    assert await post(forged, body_of(task_id)) == 403
    assert status_of(await exchange(forged, b"content-length: 1000000000")) == 403
    assert sandbox.ledger.count(FETCH) == asked
    assert handler.deliveries == []


async def test_a_url_without_a_query_is_refused(hooks: str) -> None:
    assert await post(hooks, b"{}") == 403


async def test_the_encoding_of_the_query_does_not_matter(
    client: AsyncRelayDance, sandbox: Sandbox, receiver: WebhookReceiver, hooks: str, handler: Handler
) -> None:
    task_id = await finished(client, sandbox)
    query = query_of(receiver.callback_url(hooks, "r"))
    encoded = "&".join(
        f"{name}={''.join(f'%{ord(letter):02x}' for letter in value)}"
        for name, _, value in (field.partition("=") for field in reversed(query.split("&")))
    )
    assert status_of(await exchange(f"{hooks}?{encoded}", length(body_of(task_id)), body_of(task_id))) == 204
    assert handler.deliveries[0].reference == "r"


def length(body: bytes) -> bytes:
    return b"content-length: %d" % len(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b'"task_1"',
        b"\xff\xfe",
        b"[" * 9000,
        b'{"task_id":' * 800,
        b'{"task_id": ""}',
        b'{"task_id": ".."}',
        b'{"task_id": " "}',
        b'{"task_id": null, "status": "succeeded"}',
        b'{"task_id": ' + b"9" * 5000 + b"}",
        b'{"task_id": {"a": 1}}',
        b'{"task_id": "\\ud800", "status": "succeeded"}',
        b"<html></html>",
    ],
)
async def test_a_body_that_is_no_task_is_refused(
    receiver: WebhookReceiver, hooks: str, handler: Handler, sandbox: Sandbox, body: bytes
) -> None:
    assert await post(receiver.callback_url(hooks, "r"), body) == 400
    assert handler.deliveries == []
    assert sandbox.ledger.count(FETCH) == 0


@pytest.mark.parametrize(
    "task_id",
    ["../../dashboard", "a/b", "a?c=d", "a#e", "a%2Fb", "x" * 257, "\u202e", "a\x00", "a\n", "a b", "...", "é"],
)
async def test_an_id_that_could_lead_elsewhere_is_not_asked_for(
    receiver: WebhookReceiver, hooks: str, handler: Handler, sandbox: Sandbox, task_id: str
) -> None:
    assert await post(receiver.callback_url(hooks, "r"), body_of(task_id)) == 400
    assert handler.deliveries == []
    assert sandbox.ledger.entries == []


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "application/x-www-form-urlencoded", ""])
async def test_the_content_type_does_not_matter(
    client: AsyncRelayDance,
    sandbox: Sandbox,
    receiver: WebhookReceiver,
    hooks: str,
    handler: Handler,
    content_type: str,
) -> None:
    task_id = await finished(client, sandbox)
    assert await post(receiver.callback_url(hooks, "r"), body_of(task_id), **{"content-type": content_type}) == 204
    assert len(handler.deliveries) == 1


async def test_a_compressed_body_is_refused_unread(receiver: WebhookReceiver, hooks: str, handler: Handler) -> None:
    body = gzip.compress(body_of("task_1"))
    assert await post(receiver.callback_url(hooks, "r"), body, **{"content-encoding": "gzip"}) == 415
    assert handler.deliveries == []


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"])
async def test_only_post_is_a_delivery(receiver: WebhookReceiver, hooks: str, method: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.request(method, receiver.callback_url(hooks, "r"))
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


async def test_a_body_of_10_mb_is_refused_by_its_length(receiver: WebhookReceiver, hooks: str) -> None:
    answer = await exchange(receiver.callback_url(hooks, "r"), b"content-length: 10485760")
    assert status_of(answer) == 413
    assert b"connection: close" in answer.lower()


async def test_a_body_of_10_mb_without_a_length_is_refused_at_the_limit(receiver: WebhookReceiver, hooks: str) -> None:
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    answer = await exchange(receiver.callback_url(hooks, "r"), b"transfer-encoding: chunked", *[chunk] * 160)
    assert answer == b"" or status_of(answer) == 413  # the answer may be lost: the sender is cut off in mid-sentence


async def test_a_chunked_body_is_read(
    client: AsyncRelayDance, sandbox: Sandbox, receiver: WebhookReceiver, hooks: str, handler: Handler
) -> None:
    body = body_of(await finished(client, sandbox))
    chunks = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (body[:7], body[7:])]
    url = receiver.callback_url(hooks, "r")
    assert status_of(await exchange(url, b"transfer-encoding: chunked", *chunks, b"0\r\n\r\n")) == 204
    assert len(handler.deliveries) == 1


async def test_a_body_that_stops_coming_is_given_up(receiver: WebhookReceiver, impatient: str) -> None:
    answer = await exchange(receiver.callback_url(impatient, "r"), b"content-length: 100", b"{")
    assert status_of(answer) == 408
    assert b"connection: close" in answer.lower()


async def test_a_body_that_drips_is_given_up_although_it_never_stops(receiver: WebhookReceiver, impatient: str) -> None:
    parts = urlsplit(receiver.callback_url(impatient, "r"))
    async with await anyio.connect_tcp("127.0.0.1", parts.port or 0) as stream:
        await stream.send(
            f"POST {parts.path}?{parts.query} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n".encode()
        )
        answer = b""

        async def drip() -> None:
            while True:
                try:
                    await stream.send(b"1\r\n{\r\n")
                except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                    return
                await anyio.sleep(0.005)

        async with anyio.create_task_group() as group:
            group.start_soon(drip)
            with anyio.fail_after(10):
                answer = await stream.receive()
            group.cancel_scope.cancel()
    assert status_of(answer) == 408


async def test_a_body_that_breaks_off_calls_nobody_and_the_next_delivery_counts(
    client: AsyncRelayDance, sandbox: Sandbox, receiver: WebhookReceiver, hooks: str, handler: Handler
) -> None:
    body = body_of(await finished(client, sandbox))
    url = receiver.callback_url(hooks, "r")
    assert await exchange(url, length(body), body[:20], close=True) == b""
    assert handler.deliveries == []
    assert await post(url, body) == 204
    assert len(handler.deliveries) == 1


async def test_slow_deliveries_do_not_keep_a_genuine_one_waiting(
    client: AsyncRelayDance, sandbox: Sandbox, receiver: WebhookReceiver, hooks: str, handler: Handler
) -> None:
    body = body_of(await finished(client, sandbox))
    url = receiver.callback_url(hooks, "r")
    async with anyio.create_task_group() as group:
        for _ in range(50):
            group.start_soon(exchange, url, b"content-length: 100", b"{")
        assert await post(url, body) == 204
        group.cancel_scope.cancel()
    assert len(handler.deliveries) == 1


async def test_a_websocket_is_closed_and_nothing_but_http_is_answered(app: WebhookApp) -> None:
    sent: list[dict[str, object]] = []

    async def receive() -> dict[str, object]:
        return {"type": "websocket.connect"}

    async def send(message: object) -> None:
        assert isinstance(message, dict)
        sent.append(json.loads(json.dumps(message)))

    await app({"type": "websocket"}, receive, send)
    assert sent == [{"type": "websocket.close"}]
