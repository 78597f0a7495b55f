"""One small function for each parser of what comes from outside: any bytes give a result or an error of ours.

The ordinary tests run each with hypothesis, and `nox -s fuzz` with a coverage-guided fuzzer.
"""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import asyncio
import json
import math
import pickle
import zlib
from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, cast

from pydantic import BaseModel

from relaydance_async import (
    APIStatusError,
    ChatCompletion,
    ChatCompletionChunk,
    InvalidInputError,
    RelayDanceError,
    ResponseDecodeError,
    StreamError,
    VideoTask,
    WebhookPayloadError,
    WebhookVerificationError,
)
from relaydance_async._engine._coding import decoded
from relaydance_async._sansio.chat_stream import ChatDecoder, decode_completion
from relaydance_async._sansio.decode import decode_result
from relaydance_async._sansio.envelope import build_decode_error, decode_status_error, parse_envelope
from relaydance_async._sansio.retry_after import LONGEST, parse_retry_after
from relaydance_async._sansio.sse import SSEParser
from relaydance_async._sansio.webhook import build_callback_url, parse_delivery, verify_callback
from relaydance_async.models.account import BillingUsage, Subscription, TokenUsage
from relaydance_async.models.catalog import ModelList
from relaydance_async.models.files import UploadedFile
from relaydance_async.models.images import ImagesResponse
from relaydance_async.models.meta import ResponseMeta
from tests.fuzz.answers import answer
from tests.fuzz.shapes import CHUNKS, ERRORS, MESSAGE, ODD_VALUES, RESULTS, TASKS, USAGE, Draw, build_document

Target = Callable[[bytes], None]

NOW = datetime(2026, 8, 7, 12, tzinfo=UTC)
SECRET = b"a secret of thirty-two characters"
MODELS: tuple[type[BaseModel], ...] = (
    ChatCompletion,
    ChatCompletionChunk,
    VideoTask,
    ImagesResponse,
    ModelList,
    UploadedFile,
    TokenUsage,
    Subscription,
    BillingUsage,
)
_MOST_TEXT = 20_000


def check_error(error: RelayDanceError) -> None:
    """Whatever it was made from, an error can be shown, written to a file and sent to another process."""
    shown = f"{error}{error!r}{error.support_details()}"
    shown.encode()
    assert len(shown) < _MOST_TEXT
    again: RelayDanceError = pickle.loads(pickle.dumps(error))
    assert again == error or repr(vars(again)) == repr(vars(error))  # NaN, kept as it came, is never equal


def envelope(data: bytes) -> None:
    """Error answers."""
    draw = Draw(data)
    status = 200 + 2 * draw.byte()
    headers = {"content-type": draw.pick(("application/json", "text/html; charset=utf-8", ""))}
    body = build_document(draw, [*ERRORS, *TASKS, *RESULTS])
    meta = ResponseMeta(status_code=status, headers=headers)
    error = decode_status_error(meta, body)
    assert error.message
    assert not (error.retryable and status in (400, 401, 403, 404))
    check_error(error)
    check_error(build_decode_error(meta, body, "the answer is not a task"))
    found = parse_envelope(body)
    assert found is None or found.message


def events(data: bytes) -> None:
    """Event streams, whole and split at any place."""
    draw = Draw(data)
    cuts = [draw.byte() for _ in range(draw.byte() % 8)]
    size = draw.pick((1 << 20, 64, 8))
    stream = draw.rest()
    whole, split = _events_of([stream], size), _events_of(_cut(stream, cuts), size)
    # How it was split may only decide whether an error comes before or after the last events.
    assert whole[1] == split[1]
    shorter, longer = sorted((whole[0], split[0]), key=len)
    assert longer[: len(shorter)] == shorter
    assert whole[1] or whole == split
    assert all(len(event) <= size for event in longer)


def _events_of(pieces: list[bytes], size: int) -> tuple[list[bytes], bool]:
    parser = SSEParser(max_event_bytes=size)
    found: list[bytes] = []
    try:
        for piece in pieces:
            found += [event.data for event in parser.feed(piece)]
    except StreamError as error:
        check_error(error)
        return found, True
    return found, False


def _cut(stream: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({min(cut, len(stream)) for cut in cuts})
    return [stream[start:end] for start, end in zip([0, *places], [*places, len(stream)], strict=True)]


def retry_after(data: bytes) -> None:
    """The headers that say how long to wait."""
    first, _, second = data.decode("latin-1").partition("\n")
    headers = {name: value for name, value in (("retry-after", first), ("retry-after-ms", second)) if value}
    seconds = parse_retry_after(headers, NOW)
    assert seconds is None or (math.isfinite(seconds) and 0 <= seconds <= LONGEST)


def task(data: bytes) -> None:
    """Tasks in all their shapes."""
    try:
        found = decode_result(VideoTask, build_document(Draw(data), TASKS), ResponseMeta)
    except RelayDanceError as error:
        check_error(error)
        return
    _check_task(found)


def _check_task(found: VideoTask) -> None:
    assert found.task_id
    assert found.url is None or (found.status == "succeeded" and found.url.lower().startswith("http"))
    assert found.error is None or found.status == "failed"
    assert found.progress is None or 0 <= found.progress <= 100
    assert pickle.loads(pickle.dumps(found)).task_id == found.task_id
    assert VideoTask.model_validate(found.model_dump()) == found


def webhook(data: bytes) -> None:
    """Deliveries: their query string and their body."""
    draw = Draw(data)
    reference = draw.take(draw.byte() % 8).decode("utf-8", draw.pick(("replace", "surrogateescape")))
    ours = _callback_query(reference)
    query = draw.take(draw.byte()).decode("latin-1")
    if ours is not None:
        assert verify_callback(ours, secrets=[SECRET], now=1000.0).reference == reference
        if draw.byte() & 1:
            at = draw.byte() % len(ours)
            query = ours[:at] + query + ours[at + len(query) :]
    try:
        verified = verify_callback(query, secrets=[b"another secret, the new one", SECRET], now=1000.0)
        assert verified.reference == reference
    except WebhookVerificationError as error:
        check_error(error)
    try:
        assert 1 <= len(parse_delivery(build_document(draw, TASKS)).task_id) <= 256
    except WebhookPayloadError as error:
        check_error(error)


def _callback_query(reference: str) -> str | None:
    try:
        url = build_callback_url("https://shop.example/hook", reference, secret=SECRET, expires_at=2000)
    except InvalidInputError as error:
        check_error(error)
        return None
    return url.partition("?")[2]


def result(data: bytes) -> None:
    """Results of each kind, in the answers of any."""
    draw = Draw(data)
    model = draw.pick(MODELS)
    try:
        found = decode_result(model, build_document(draw, [*RESULTS, *CHUNKS, *TASKS, *ERRORS]), ResponseMeta)
    except RelayDanceError as error:
        check_error(error)
        return
    assert isinstance(found, model)
    if isinstance(found, TokenUsage):
        found.balance()
    repr(found)


FRAMES = [b"data: ", b"data: ", b": PING\n\ndata:", b"data: [DONE]\n\ndata: ", b"event: x\ndata: ", b""]
FRAME_ENDS = [b"\n\n", b"\r\n\r\n", b"\n"]


def stream(data: bytes) -> None:
    """Streamed completions: from bytes to the whole."""
    draw = Draw(data)
    body = b""
    for _ in range(draw.byte() % 6):
        chunk = build_document(Draw(draw.take(draw.byte() % 64)), CHUNKS)
        body += draw.pick(FRAMES) + chunk + draw.pick(FRAME_ENDS)
    body += draw.pick((b"data: [DONE]\n\n", b""))
    pieces = _cut(body, [4 * draw.byte() for _ in range(draw.byte() % 4)])
    _assemble(pieces, ChatDecoder(status=200, limit=draw.pick((1 << 20, 1 << 20, 100))))


def _assemble(pieces: list[bytes], decoder: ChatDecoder) -> None:
    text = ""
    failure: RelayDanceError | None = None
    whole: ChatCompletionChunk | None = None
    try:
        for piece in pieces:
            for chunk in decoder.feed(piece):
                text += chunk.text()
            if decoder.done:
                break
        whole = decoder.rest()
        text += whole.text() if whole is not None else ""
        decoder.close()
    except (StreamError, APIStatusError) as error:
        failure = error
    completion = decoder.completion()
    completion.model_dump()
    assert failure is not None or whole is not None or all(choice.finish_reason for choice in completion.choices)
    # A chunk that reports an error, or is one too many, was not handed on.
    assert decoder.text == text
    if failure is not None:
        check_error(failure)
        so_far = getattr(failure, "completion", None)
        assert so_far is None or repr(so_far) == repr(completion)
        assert getattr(failure, "text", text) == text
        assert failure.maybe_accepted


TEXT = "what was paid for"
_KEPT = {
    **MESSAGE,
    "content": TEXT,
    "images": [{"image_url": {"url": "u"}}],
    "annotations": None,
    "audio": {"data": "a"},
}
_PLACES = (
    *("index", "role", "refusal", "reasoning", "tool_calls", "images", "audio", "id", "type", "function", "name"),
    *("arguments", "finish_reason", "created", "model", "usage", "prompt_tokens", "object", "logprobs"),
)


def paid(data: bytes) -> None:
    """A completion, and a stream of one chunk, with any JSON in one place: its text is never lost."""
    draw = Draw(data)
    place, value = draw.pick(_PLACES), draw.pick((*ODD_VALUES, draw.rest().decode("latin-1")))
    answer = {"index": 0, "message": _KEPT, "finish_reason": "stop", "logprobs": None}
    completion = _put(
        {"id": "c", "created": 17, "model": "m", "object": "o", "choices": [answer], "usage": USAGE}, place, value
    )
    body = json.dumps(completion).encode()
    assert decode_completion(body, ResponseMeta).choices[0].message.content == TEXT
    _check_paid(body)
    event = b"data: " + body.replace(b'"message"', b'"delta"') + b"\n\n"
    try:
        _check_paid(event)
    except StreamError as error:
        assert place == "finish_reason"
        _check_cut_off(error)


def _check_cut_off(error: StreamError) -> None:
    check_error(error)
    assert error.text == TEXT
    assert error.completion is not None
    assert error.completion.choices[0].message.content == TEXT


def _check_paid(body: bytes) -> None:
    decoder = ChatDecoder(status=200, limit=1 << 20)
    for _ in decoder.feed(body):
        pass
    decoder.rest()
    decoder.close()
    # Under an odd index it is another choice's.
    assert [choice.message.content for choice in decoder.completion().choices] == [TEXT]


def _put(value: Any, place: str, odd: Any) -> Any:
    """The same with something else wherever that name stands."""
    if isinstance(value, list):
        items: Sequence[Any] = cast("Sequence[Any]", value)
        return [_put(item, place, odd) for item in items]
    if not isinstance(value, dict):
        return value
    members = cast("dict[str, Any]", value).items()
    return {name: odd if name == place else _put(item, place, odd) for name, item in members}


def coding(data: bytes) -> None:
    """Compressed bodies, whole, altered, cut, followed by others, and split at any place."""
    draw = Draw(data)
    name = draw.pick(("gzip", "deflate", "x-gzip", "br"))
    body = b""
    for _ in range(draw.byte() % 3):
        deflate = zlib.compressobj(draw.byte() % 10, wbits=draw.pick((31, 15, -15)))
        member = bytearray(deflate.compress(draw.take(8) * draw.byte() ** 2) + deflate.flush())
        if draw.byte() & 1:
            member[draw.byte() % len(member)] = draw.byte()
        body += member
    pieces = _cut(body + draw.take(draw.byte() % 16), [draw.byte() for _ in range(draw.byte() % 4)])
    _loop.run_until_complete(_undo(pieces, name))


async def _undo(pieces: list[bytes], name: str) -> None:
    try:
        async for piece in decoded(_arriving(pieces), name):
            assert 0 < len(piece) <= 65536
    except ResponseDecodeError as error:
        check_error(error)


async def _arriving(pieces: list[bytes]) -> AsyncGenerator[bytes, None]:
    for piece in pieces:
        yield piece


_loop = asyncio.new_event_loop()

TARGETS: dict[str, Target] = {
    target.__name__: target
    for target in (envelope, events, retry_after, task, webhook, result, stream, paid, coding, answer)
}
