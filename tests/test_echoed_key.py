"""A server that sends back what it was sent: the key is in nothing that is kept of its answer, and the signature of a
result's URL in no message."""

from __future__ import annotations

import json
import logging
import pickle
from base64 import b64encode
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from relaydance_async import (
    AsyncRelayDance,
    DownloadError,
    RelayDanceError,
    RetryEvent,
    RetryPolicy,
    StreamError,
    TaskFailedError,
    VideoTask,
)
from relaydance_async._sansio.observer import CallInfo, CallObserver, NoObserver
from tests.kit.calls import ask_chat, list_models, make_image, open_stream, submit_clip, upload_file
from tests.kit.clocks import QuickClock
from tests.kit.inside import make_client
from tests.kit.strangers import Gateway, answer, gateway

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("transport", ["httpx", "direct"])]

KEY = "sk-Very/Secret+0123456789"
IN_BASE64 = b64encode(KEY.encode()).decode()
FORMS = [KEY, f"Authorization: Bearer {KEY}", quote(KEY, safe=""), KEY.replace("/", r"\/"), IN_BASE64]

CALLS: dict[str, Callable[[AsyncRelayDance], Awaitable[Any]]] = {
    "models": list_models,
    "chat": ask_chat,
    "stream": open_stream,
    "image": make_image,
    "video": submit_clip,
    "upload": upload_file,
}
ECHO = " and ".join(FORMS)
ENVELOPE = json.dumps({"error": {"message": ECHO, "type": KEY, "code": KEY, "param": ECHO}}).encode()
PAGE = f"<html>{ECHO}</html>".encode()
JSON = {"content-type": "application/json", "x-echo": ECHO, "x-request-id": KEY, "location": f"https://a/?key={KEY}"}
STREAM = {**JSON, "content-type": "text/event-stream", "connection": "close"}
CHUNK = json.dumps({"choices": [{"index": 0, "delta": {"content": f"you sent {KEY}"}}]}).encode()

ANSWERS = {
    "an error": answer(400, JSON, ENVELOPE),
    "an error that is repeated": answer(503, JSON, ENVELOPE),
    "an error of somebody in between": answer(504, JSON, PAGE),
    "a long error": answer(502, JSON, b"x" * 190 + PAGE + b"y" * 100_000),
    "an error with a good status": answer(200, JSON, ENVELOPE),
    "a page": answer(200, JSON, PAGE),
    "another shape": answer(200, JSON, json.dumps([ECHO]).encode()),
    "a body that breaks off": answer(200, {**JSON, "connection": "close"}, PAGE).replace(b"length: 1", b"length: 9"),
    "a broken coding": answer(200, {**JSON, "content-encoding": "gzip"}, PAGE),
    "a stream": answer(200, STREAM, b"data: " + CHUNK + b"\n\n"),
    "a stream with an error": answer(200, STREAM, b"data: " + CHUNK + b"\n\ndata: " + ENVELOPE + b"\n\n"),
    "a stream of something else": answer(200, STREAM, b"data: " + PAGE + b"\n\n"),
    "an error for a stream": answer(200, STREAM, ENVELOPE),
    "no HTTP": f"HTTP/1.1 200 OK\r\n{KEY} {KEY}: a\r\n\r\nconnection: close".encode(),
}


class Ear(NoObserver):
    """Hears what observers are told."""

    def __init__(self) -> None:
        self.heard: list[object] = []

    def call_began(self, call: CallInfo) -> CallObserver:
        return self

    def answered(self, attempt: int, meta: object) -> None:
        self.heard.append(meta)

    async def failed(self, record: object, error: RelayDanceError, decision: object, elapsed: float) -> None:
        self.heard += [record, all_of(error)]

    def ended(self, result: object, error: BaseException | None, maybe_accepted: bool) -> None:
        self.heard.append(error)


def all_of(error: RelayDanceError) -> str:
    """All that can be seen of an error, and what a pickle of it holds."""
    body = getattr(error, "body", None)
    texts = [str(error), repr(error), error.support_details(), vars(error), error.meta, error.attempts, body]
    return "".join(map(str, texts)) + pickle.dumps(error).decode("latin-1")


def client_of(server: Gateway, transport: Any, **options: Any) -> AsyncRelayDance:
    return make_client(KEY, base_url=server.base_url, transport=transport, **options)


@pytest.mark.parametrize("case", ANSWERS)
@pytest.mark.parametrize("call", CALLS)
async def test_an_answer_that_sends_the_key_back_shows_it_nowhere(
    transport: Any, case: str, call: str, caplog: pytest.LogCaptureFixture
) -> None:
    events: list[RetryEvent] = []
    ear = Ear()
    caplog.set_level(logging.DEBUG, "relaydance_async")
    options: dict[str, Any] = {"retry": RetryPolicy(2), "on_retry": events.append, "observers": [ear]}
    clock = QuickClock().clock
    async with gateway(ANSWERS[case]) as server, client_of(server, transport, clock=clock, **options) as client:
        with pytest.raises(RelayDanceError) as caught:
            await CALLS[call](client)
    assert f"bearer {KEY}".encode().lower() in server.heads[0].lower()
    seen = all_of(caught.value) + "".join(all_of(event.error) for event in events) + str(ear.heard) + caplog.text
    for form in (KEY, KEY[3:], quote(KEY, safe=""), KEY.replace("/", r"\/"), IN_BASE64[:30], "0123456789"):
        assert form not in seen


async def test_a_stream_keeps_what_came_without_the_key(transport: Any) -> None:
    async with gateway(ANSWERS["a stream"]) as server, client_of(server, transport) as client:
        with pytest.raises(StreamError) as caught:
            await open_stream(client)
    assert caught.value.text == "you sent ***"
    assert caught.value.completion is not None
    assert caught.value.completion.choices[0].message.content == "you sent ***"


# The signature of a result's URL.

SIGNED_URL = "https://cdn.example/a.mp4?X-Amz-Signature=0123abcd&X-Amz-Expires=1800"


async def test_no_message_shows_the_signature_of_a_url_and_the_body_keeps_it(transport: Any) -> None:
    body = json.dumps({"error": {"message": f"can't store {SIGNED_URL}", "type": "api_error"}}).encode()
    async with gateway(answer(500, {"location": SIGNED_URL}, body)) as server, client_of(server, transport) as client:
        with pytest.raises(RelayDanceError) as caught:
            await submit_clip(client.with_options(retry=None))
    error = caught.value
    assert error.message == "can't store https://cdn.example/a.mp4?***"
    assert "X-Amz" not in f"{error} {error!r} {error.meta} {error.support_details()}"
    assert getattr(error, "body")["error"]["message"].endswith("Expires=1800")  # noqa: B009


@pytest.mark.parametrize("status", [302, 403, 404])
async def test_no_error_of_a_download_shows_the_signature(transport: Any, status: int, tmp_path: Path) -> None:
    page = f"<Error><Resource>{SIGNED_URL}</Resource></Error>".encode()
    async with gateway(answer(status, {"content-type": "application/xml", "location": SIGNED_URL}, page)) as server:
        url = f"{server.base_url}/a.mp4?X-Amz-Signature=0123abcd"
        task = VideoTask.model_validate({"task_id": "task_1", "status": "succeeded", "url": url})
        async with client_of(server, transport) as client:
            with pytest.raises(DownloadError) as caught:
                await client.video.download(task, tmp_path / "a.mp4")
    error = caught.value
    assert "X-Amz" not in all_of(error)


async def test_a_failed_clip_names_no_signature_in_its_message(transport: Any) -> None:
    task = {"task_id": "task_1", "status": "failed", "error": {"message": f"can't fetch {SIGNED_URL}"}}
    async with gateway(answer(200, {}, json.dumps(task).encode())) as server, client_of(server, transport) as client:
        with pytest.raises(TaskFailedError) as caught:
            await client.video.wait("task_1")
    assert str(caught.value).startswith("task task_1 failed: can't fetch https://cdn.example/a.mp4?***")
    assert "X-Amz" not in str(caught.value)
