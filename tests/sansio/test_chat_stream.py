"""A streamed completion, decoded from bytes without any connection."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaydance_async import (
    APIConnectionError,
    APITimeoutError,
    ChatCompletionChunk,
    IncompleteStreamError,
    NotFoundError,
    RelayDanceError,
    StreamError,
)
from relaydance_async._sansio.chat_stream import ChatDecoder

DONE = b"data: [DONE]\n\n"


def decoder_of(limit: int = 1 << 20) -> ChatDecoder:
    return ChatDecoder(status=200, limit=limit)


def event(text: str | None = None, finish_reason: str | None = None, **fields: Any) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish_reason}
    return b"data: " + json.dumps({"id": "c", "choices": [choice], **fields}).encode() + b"\n\n"


WHOLE = event("Hello") + b": PING\n\n" + event(", you") + event(finish_reason="stop") + DONE


def read(decoder: ChatDecoder, *pieces: bytes) -> tuple[str, RelayDanceError | None]:
    """The text of all chunks that were given out, and the error that it ended with."""
    chunks: list[ChatCompletionChunk] = []
    failure: RelayDanceError | None = None
    try:
        for piece in pieces:
            for chunk in decoder.feed(piece):
                chunks.append(chunk)
        decoder.close()
    except RelayDanceError as error:
        failure = error
    return "".join(chunk.text() for chunk in chunks), failure


def test_bytes_become_chunks_and_the_whole() -> None:
    decoder = decoder_of()
    assert read(decoder, WHOLE) == ("Hello, you", None)
    assert decoder.done
    assert decoder.completion().choices[0].message.content == decoder.text == "Hello, you"


@given(st.lists(st.integers(0, len(WHOLE)), max_size=8))
def test_however_the_bytes_are_split(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(WHOLE)]
    decoder = decoder_of()
    assert read(decoder, *(WHOLE[start:end] for start, end in pairwise(edges))) == ("Hello, you", None)
    assert decoder.done


def test_a_chunk_is_decoded_when_it_is_asked_for() -> None:
    decoder = decoder_of()
    chunks = decoder.feed(event("a") + event("b"))
    assert decoder.text == ""
    next(chunks)
    assert decoder.text == "a"
    next(chunks)
    assert decoder.text == "ab"


def test_what_comes_after_done_does_not_count() -> None:
    decoder = decoder_of()
    assert read(decoder, event("a", "stop") + DONE + event("b") + b'data: {"error": "no"}\n\n') == ("a", None)


def test_without_done_a_finish_reason_is_enough() -> None:
    decoder = decoder_of()
    assert read(decoder, event("a", "stop")) == ("a", None)
    assert not decoder.done


ENDINGS: dict[str, tuple[bytes, str]] = {
    "an error event": (b'data: {"error": {"message": "no", "type": "t", "code": "c", "param": "p"}}\n\n', "no"),
    "an error beside choices": (event(error={"message": "no"}), "no"),
    "a flat error": (b'data: {"code": "c", "message": "no", "data": null}\n\n', "no"),
    "no chunk": (b"data: {\n\n", "the stream holds what is not a chunk: b'{'"),
    "too much": (event("b" * 2000), "the stream is larger than max_response_bytes=1000"),
}


@pytest.mark.parametrize("case", ENDINGS)
def test_what_came_before_an_error_in_the_same_piece_is_given_out(case: str) -> None:
    bad, message = ENDINGS[case]
    decoder = decoder_of(1000)
    text, failure = read(decoder, event("Hel") + event("lo") + bad + event("never"))
    assert text == decoder.text == "Hello"
    assert type(failure) is StreamError
    assert (failure.message, failure.text) == (message, "Hello")
    assert failure.maybe_accepted


def test_an_error_event_keeps_its_type_code_and_param() -> None:
    _, failure = read(decoder_of(), ENDINGS["an error event"][0])
    assert failure is not None
    assert (failure.type, failure.code, failure.param) == ("t", "c", "p")


def test_what_has_come_of_a_stream_that_breaks_is_on_its_error_as_a_completion() -> None:
    _, failure = read(decoder_of(), event("Hel") + event("lo"), ENDINGS["an error event"][0])
    assert isinstance(failure, StreamError)
    assert failure.partial is not None
    assert failure.partial.choices[0].message.content == "Hello"
    _, failure = read(decoder_of(), b"")
    assert isinstance(failure, StreamError)
    assert failure.partial is None


def test_an_event_beyond_the_parsers_limit_has_the_text_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = decoder_of()
    monkeypatch.setattr(decoder._parser, "_max", 100)  # pyright: ignore[reportPrivateUsage]
    _, failure = read(decoder, event("Hi"), b"data: " + b"x" * 200)
    assert isinstance(failure, StreamError)
    assert failure.text == "Hi"
    assert failure.maybe_accepted


@pytest.mark.parametrize(
    ("bytes_", "message"),
    [
        (b"", "the stream ended before it began"),
        (DONE, "the stream ended before it began"),
        (b"<html>", "the stream ended before it began"),
        (event("a"), "the stream ended without a finish_reason: the answer is cut off"),
        (event("a") + DONE, "the stream ended without a finish_reason: the answer is cut off"),
        (event("a", "stop").removesuffix(b"\n"), "the stream ended before it began"),
    ],
)
def test_an_answer_that_is_cut_off_is_never_taken_for_whole(bytes_: bytes, message: str) -> None:
    decoder = decoder_of()
    text, failure = read(decoder, bytes_)
    assert type(failure) is IncompleteStreamError
    assert (failure.message, failure.text) == (message, text)
    assert failure.maybe_accepted
    with pytest.raises(IncompleteStreamError):
        decoder.close()


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_plain_json_error_in_place_of_a_stream_is_that_error(size: int) -> None:
    body = b'{"error": {\n\n"message": "no such upstream", "code": "model_not_found"}}'
    _, failure = read(decoder_of(), *(body[at : at + size] for at in range(0, len(body), size)))
    assert isinstance(failure, NotFoundError)
    assert (failure.message, failure.status_code, failure.raw_body) == ("no such upstream", 200, body)
    assert failure.maybe_accepted  # after a good status nothing is "not accepted"


@pytest.mark.parametrize(
    ("cause", "message"),
    [
        (
            APIConnectionError("the connection broke: 400, message:\n  too short", retryable=True),
            "400, message: too short",
        ),
        (APITimeoutError("no answer within 5 s"), "no answer within 5 s"),
    ],
)
def test_bytes_that_break_off_are_said_to_in_one_line(cause: APIConnectionError, message: str) -> None:
    decoder = decoder_of()
    read(decoder, event("Hi"))
    error = decoder.broke(cause)
    assert error.message == f"the stream broke: {message}"
    assert (error.text, error.maybe_accepted, error.retryable) == ("Hi", True, cause.retryable)


def test_a_field_of_the_wrong_type_costs_only_itself() -> None:
    decoder = decoder_of()
    odd = b'data: {"choices": [{"delta": {"content": "Hi \\ud83d", "role": 7}, "finish_reason": "stop"}]}\n\n'
    assert read(decoder, odd) == ("Hi \ufffd", None)
