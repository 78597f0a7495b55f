"""One small function for each parser of what comes from outside: any bytes give a result or an error of ours.

The ordinary tests run each with hypothesis, and `nox -s fuzz` with a coverage-guided fuzzer.
"""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import asyncio
import math
import pickle
import zlib
from collections.abc import AsyncGenerator, Callable
from datetime import UTC, datetime

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
from relaydance_async._sansio.chat_stream import ChatDecoder
from relaydance_async._sansio.decode import decode_result
from relaydance_async._sansio.envelope import build_decode_error, decode_status_error, parse_envelope
from relaydance_async._sansio.retry_after import LONGEST, parse_retry_after
from relaydance_async._sansio.sse import SSEParser
from relaydance_async._sansio.webhook import build_callback_url, parse_delivery, verify_callback
from relaydance_async._transports._coding import decoded
from relaydance_async.models.account import BillingUsage, Subscription, TokenUsage
from relaydance_async.models.catalog import ModelList
from relaydance_async.models.files import UploadedFile
from relaydance_async.models.images import ImagesResponse
from relaydance_async.models.meta import ResponseMeta
from tests.fuzz.shapes import CHUNKS, ERRORS, RESULTS, TASKS, Draw, build_document

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
    assert pickle.loads(pickle.dumps(error)) == error


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
    try:
        for piece in pieces:
            for chunk in decoder.feed(piece):
                text += chunk.text()
            if decoder.done:
                break
        decoder.close()
    except (StreamError, APIStatusError) as error:
        failure = error
    completion = decoder.completion()
    completion.model_dump()
    assert failure is not None or all(choice.finish_reason for choice in completion.choices)
    # A chunk that reports an error, or is one too many, was not handed on.
    assert decoder.text == text
    if failure is not None:
        check_error(failure)
        assert getattr(failure, "text", text) == text
        assert failure.maybe_accepted is isinstance(failure, StreamError)


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
    target.__name__: target for target in (envelope, events, retry_after, task, webhook, result, stream, coding)
}
