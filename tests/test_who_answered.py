"""Somebody else answers a billed request that the gateway has taken: what is said of it, and how often it is sent."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from relaydance_async import (
    APIConnectionError,
    APIStatusError,
    AsyncRelayDance,
    RelayDanceError,
    RetryEvent,
    RetryPolicy,
    ServerError,
    maybe_accepted,
)
from tests.kit.calls import ask_chat, edit_image, list_models, make_image, open_stream, submit_clip, upload_file
from tests.kit.clocks import QuickClock
from tests.kit.inside import make_client
from tests.kit.strangers import ENVELOPE, PAGE, SIGNED, answer, gateway, good

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("transport", ["httpx", "direct"])]

Call = Callable[[AsyncRelayDance], Awaitable[Any]]

DEAR: dict[str, Call] = {"video": submit_clip, "image": make_image, "edit": edit_image, "upload": upload_file}
SMALL: dict[str, Call] = {"chat": ask_chat, "stream": open_stream}
BILLED = {**DEAR, **SMALL}

NGINX = {"server": "nginx/1.22.1", "content-type": "text/html"}
CLOUDFLARE = {"server": "cloudflare", "cf-ray": "8f1-FRA", "content-type": "text/html"}
ALB = {"server": "awselb/2.0"}
ENVOY = {"server": "envoy", "content-type": "text/plain"}
LITELLM = {"x-litellm-call-id": "f79d27b3", "content-type": "application/json"}

STRANGERS: dict[str, tuple[bytes, str]] = {
    "nginx 500": (answer(500, NGINX, PAGE), "a proxy (Server nginx/1.22.1)"),
    "nginx 502": (answer(502, NGINX, PAGE), "a proxy (Server nginx/1.22.1)"),
    "nginx 503": (answer(503, NGINX, PAGE), "a proxy (Server nginx/1.22.1)"),
    "nginx 504": (answer(504, NGINX, PAGE), "a proxy (Server nginx/1.22.1)"),
    "nginx 499": (answer(499, NGINX), "a proxy (Server nginx/1.22.1)"),
    "Cloudflare 524": (answer(524, CLOUDFLARE, PAGE), "Cloudflare (CF-Ray 8f1-FRA)"),
    "Cloudflare 522": (answer(522, CLOUDFLARE, PAGE), "Cloudflare (CF-Ray 8f1-FRA)"),
    "Cloudflare 520": (answer(520, CLOUDFLARE, PAGE), "Cloudflare (CF-Ray 8f1-FRA)"),
    "AWS 408": (answer(408, ALB), "a proxy (Server awselb/2.0)"),
    "AWS 502": (answer(502, ALB), "a proxy (Server awselb/2.0)"),
    "envoy 503": (answer(503, ENVOY, b"upstream connect error"), "a proxy (Server envoy)"),
    "LiteLLM 408": (answer(408, LITELLM, ENVELOPE), "LiteLLM"),
    "LiteLLM 500": (answer(500, LITELLM, ENVELOPE), "LiteLLM"),
    "LiteLLM 504": (answer(504, LITELLM, ENVELOPE), "LiteLLM"),
    "a 504 with an envelope": (answer(504, {}, ENVELOPE), "somebody in between"),
    "a 500 with a text": (answer(500, {}, b"oops"), "somebody in between"),
    "a 503 with another JSON": (answer(503, {}, b'{"message": "no"}'), "somebody in between"),
    "a 409": (answer(409), "somebody in between"),
    "a 303": (answer(303, {"location": "/elsewhere"}), "somebody in between"),
    "a 304": (answer(304), "somebody in between"),
    "a 600": (answer(600), "somebody in between"),
}
SOON = {name for name, (written, _) in STRANGERS.items() if written.split()[1] in (b"500", b"502", b"503")}


def client_of(server: Any, transport: Any, **options: Any) -> AsyncRelayDance:
    options.setdefault("clock", QuickClock().clock)
    return make_client("sk-very-secret-1", base_url=server.base_url, transport=transport, **options)


async def failure_of(awaitable: Awaitable[Any]) -> RelayDanceError:
    with pytest.raises(RelayDanceError) as caught:
        await awaitable
    return caught.value


@pytest.mark.parametrize("case", STRANGERS)
@pytest.mark.parametrize("call", DEAR)
async def test_a_clip_an_image_and_a_file_are_sent_once_whoever_answers(transport: Any, case: str, call: str) -> None:
    written, name = STRANGERS[case]
    async with gateway(written) as server, client_of(server, transport) as client:
        error = await failure_of(DEAR[call](client))
    assert len(server.taken) == len(error.attempts) == 1
    assert (error.maybe_accepted, maybe_accepted(error), error.retryable) == (True, True, False)
    assert isinstance(error, APIStatusError)
    assert error.answered_by == name
    assert f"answered by {name}" in str(error)
    assert "may have been accepted and billed: look at the console" in str(error)


@pytest.mark.parametrize("case", STRANGERS)
@pytest.mark.parametrize("call", SMALL)
async def test_a_chat_is_repeated_only_after_a_strangers_500_502_or_503(transport: Any, case: str, call: str) -> None:
    written, name = STRANGERS[case]
    async with gateway(written) as server, client_of(server, transport) as client:
        error = await failure_of(SMALL[call](client))
    assert len(server.taken) == len(error.attempts) == (4 if case in SOON else 1)
    assert isinstance(error, APIStatusError)
    assert (error.maybe_accepted, error.retryable, error.answered_by) == (True, False, name)


async def test_a_chat_that_is_answered_in_the_end_tells_of_the_attempt_before(transport: Any) -> None:
    events: list[RetryEvent] = []

    def reply(path: str, number: int) -> bytes:
        return answer(502, NGINX, PAGE) if number == 1 else good(path)

    async with gateway(reply) as server, client_of(server, transport, on_retry=events.append) as client:
        await ask_chat(client)
    assert len(server.taken) == 2
    (event,) = events
    assert event.error.maybe_accepted
    assert [record.status_code for record in event.error.attempts] == [502]


async def test_a_chat_stays_in_doubt_when_a_later_attempt_is_refused(transport: Any) -> None:
    def reply(path: str, number: int) -> bytes:
        return answer(502, NGINX, PAGE) if number == 1 else answer(400, SIGNED, ENVELOPE)

    async with gateway(reply) as server, client_of(server, transport) as client:
        error = await failure_of(ask_chat(client))
    assert [record.status_code for record in error.attempts] == [502, 400]
    assert error.maybe_accepted


REFUSALS = [400, 401, 403, 404, 405, 407, 411, 413, 414, 415, 421, 422, 431, 451, 301, 302, 307, 308]


@pytest.mark.parametrize("status", [*REFUSALS, 521, 523, 525, 526, 530])
async def test_what_is_said_before_a_request_is_passed_on_promises_that_it_was_not_accepted(
    transport: Any, status: int
) -> None:
    async with gateway(answer(status, CLOUDFLARE, PAGE)) as server, client_of(server, transport) as client:
        error = await failure_of(submit_clip(client))
    assert (error.maybe_accepted, maybe_accepted(error)) == (False, False)
    assert len(server.taken) == (4 if status > 500 else 1)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 524, 529])
async def test_a_signed_error_is_the_gateways_own_and_is_repeated(transport: Any, status: int) -> None:
    async with gateway(answer(status, SIGNED, ENVELOPE)) as server, client_of(server, transport) as client:
        error = await failure_of(submit_clip(client))
    assert len(server.taken) == 4
    assert isinstance(error, APIStatusError)
    assert (error.maybe_accepted, error.retryable, error.answered_by) == (False, True, None)


# Whether the origin signs its answers.


def first_signed(path: str, number: int) -> bytes:
    return good(path, SIGNED) if path == "/models" else answer(503, {}, ENVELOPE)


async def test_an_unsigned_envelope_is_believed_until_the_origin_has_signed_an_answer(transport: Any) -> None:
    async with gateway(first_signed) as server, client_of(server, transport) as client:
        believed = await failure_of(submit_clip(client))
        await list_models(client)
        doubted = await failure_of(submit_clip(client))
    assert (believed.maybe_accepted, len(believed.attempts)) == (False, 4)
    assert (doubted.maybe_accepted, len(doubted.attempts)) == (True, 1)


async def test_what_one_client_has_seen_of_an_origin_another_knows(transport: Any) -> None:
    async with (
        gateway(first_signed) as server,
        client_of(server, transport) as one,
        client_of(server, transport) as other,
    ):
        await list_models(one)
        assert (await failure_of(submit_clip(other))).maybe_accepted
    async with gateway(first_signed) as elsewhere, client_of(elsewhere, transport) as third:
        assert not (await failure_of(submit_clip(third))).maybe_accepted


@pytest.mark.parametrize(("told", "doubted"), [(True, True), (False, False)])
async def test_a_caller_can_say_whether_the_origin_signs(transport: Any, told: bool, doubted: bool) -> None:
    async with gateway(first_signed) as server, client_of(server, transport, signed_answers=told) as client:
        await list_models(client)
        error = await failure_of(submit_clip(client))
    assert error.maybe_accepted is doubted
    assert len(server.taken) == 1 + (1 if doubted else 4)


# What the caller allows.


@pytest.mark.parametrize("allowed", [True, False])
@pytest.mark.parametrize("status", [502, 524])
@pytest.mark.parametrize("call", ["video", "chat"])
async def test_a_policy_decides_for_all_endpoints_alike(transport: Any, allowed: bool, status: int, call: str) -> None:
    retry = RetryPolicy(max_attempts=3, retry_ambiguous=allowed)
    async with gateway(answer(status, NGINX, PAGE)) as server, client_of(server, transport, retry=retry) as client:
        error = await failure_of(BILLED[call](client))
    assert len(server.taken) == (3 if allowed else 1)
    assert error.maybe_accepted
    assert ("retry_ambiguous=True" in str(error)) is not allowed


@pytest.mark.parametrize("case", STRANGERS)
async def test_a_request_that_costs_nothing_is_never_in_doubt(transport: Any, case: str) -> None:
    async with gateway(STRANGERS[case][0]) as server, client_of(server, transport) as client:
        for call in (client.models.list(), client.video.retrieve("task_1"), client.account.balance()):
            assert not (await failure_of(call)).maybe_accepted
    assert len(server.taken) >= 3


# Answers that are hardly HTTP, and what goes wrong after a good head.

SUBMITTED = b'{"task_id": "task_1", "status": "submitted"}'
ODD: dict[str, bytes] = {
    "101": b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
    "101 and an answer": b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n" + answer(200),
    "000": answer("000", {"connection": "close"}),
    "600": answer(600, {"connection": "close"}),
    "304": answer(304, {"connection": "close"}),
    "204": b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n",
    "no HTTP": b"ICY 200 OK\r\nconnection: close\r\n\r\n{}",
    "a preface of HTTP/2": b"\x00\x00\x12\x04\x00\x00\x00\x00\x00connection: close",
    "a space in a header's name": b"HTTP/1.1 200 OK\r\nX Y: a\r\nconnection: close\r\n\r\n",
    "an empty body": answer(200, {"connection": "close"}),
    "a web page": answer(200, {"connection": "close"}, PAGE),
    "half of a body": answer(200, {"connection": "close"}, SUBMITTED).replace(b"length: 44", b"length: 99"),
    "an error inside": answer(200, {"connection": "close", **SIGNED}, ENVELOPE),
    "a broken coding": answer(200, {"connection": "close", "content-encoding": "gzip"}, SUBMITTED),
    "a coding that was not asked for": answer(200, {"connection": "close", "content-encoding": "br"}, SUBMITTED),
    "another shape": answer(200, {"connection": "close"}, b"[]"),
    "nothing at all": b"connection: close",
}


@pytest.mark.parametrize("case", ODD)
@pytest.mark.parametrize("call", ["video", "image", "chat", "stream", "upload"])
async def test_an_odd_answer_leaves_a_billed_request_in_doubt(transport: Any, case: str, call: str) -> None:
    async with gateway(ODD[case]) as server, client_of(server, transport) as client:
        error = await failure_of(BILLED[call](client))
    assert (error.maybe_accepted, error.retryable) == (True, False)
    assert len(server.taken) == len(error.attempts) == 1


STREAM = {"content-type": "text/event-stream", "connection": "close"}
CHUNK = b'data: {"choices": [{"index": 0, "delta": {"content": "Hello"}}]}\n\n'
STREAMS = {
    "cut off": CHUNK,
    "cut off at once": b"",
    "done without a reason": CHUNK + b"data: [DONE]\n\n",
    "an error in its midst": CHUNK + b'data: {"error": {"message": "x", "code": "500"}}\n\n',
    "no JSON": CHUNK + b"data: {oops\n\n",
    "an error in its place": ENVELOPE,
    "a page in its place": PAGE,
}


@pytest.mark.parametrize("case", STREAMS)
async def test_a_stream_that_ends_badly_is_in_doubt_and_has_its_attempt(transport: Any, case: str) -> None:
    async with gateway(answer(200, STREAM, STREAMS[case])) as server, client_of(server, transport) as client:
        error = await failure_of(open_stream(client))
    assert (error.maybe_accepted, error.retryable, len(error.attempts)) == (True, False, 1)
    assert error.attempts[0].status_code == 200
    if CHUNK in STREAMS[case]:
        assert getattr(error, "text") == "Hello"  # noqa: B009  (of a StreamError)
        assert getattr(error, "completion").choices[0].message.content == "Hello"  # noqa: B009


# What is kept of an answer.


async def test_the_body_of_an_error_is_kept_up_to_64_kib(transport: Any) -> None:
    body = json.dumps({"error": {"message": "it broke"}, "more": "x" * 100_000}).encode()
    async with gateway(answer(502, NGINX, body)) as server, client_of(server, transport) as client:
        error = await failure_of(submit_clip(client))
    assert isinstance(error, ServerError)
    assert (error.message, error.raw_body) == ("it broke", body[: 64 * 1024])


async def test_an_error_whose_body_breaks_off_keeps_what_came(transport: Any) -> None:
    written = answer(502, {**NGINX, "connection": "close"}, PAGE).replace(b"content-length: 6", b"content-length: 9")
    async with gateway(written) as server, client_of(server, transport) as client:
        error = await failure_of(submit_clip(client))
    assert isinstance(error, ServerError)
    assert error.raw_body == PAGE
    assert error.body == PAGE.decode()


@pytest.mark.parametrize("case", ["a web page", "a broken coding", "a coding that was not asked for", "another shape"])
async def test_an_answer_that_cannot_be_decoded_is_kept_whole(transport: Any, case: str) -> None:
    async with gateway(ODD[case]) as server, client_of(server, transport) as client:
        error = await failure_of(submit_clip(client))
    assert getattr(error, "raw_body") == ODD[case].partition(b"\r\n\r\n")[2]  # noqa: B009


async def test_an_answer_that_is_too_large_is_kept_up_to_the_limit(transport: Any) -> None:
    written = answer(200, {}, b"x" * 5000)
    async with gateway(written) as server, client_of(server, transport, max_response_bytes=1000) as client:
        error = await failure_of(submit_clip(client))
    assert getattr(error, "raw_body") == b"x" * 1000  # noqa: B009
    assert error.maybe_accepted


async def test_no_connection_is_not_in_doubt(transport: Any) -> None:
    async with gateway(b"") as server:
        pass
    async with client_of(server, transport) as client:
        error = await failure_of(submit_clip(client))
    assert isinstance(error, APIConnectionError)
    assert (error.maybe_accepted, maybe_accepted(error), error.retryable) == (False, False, True)
