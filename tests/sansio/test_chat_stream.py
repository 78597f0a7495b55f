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
from relaydance_async._sansio.chat_stream import ChatDecoder, decode_completion
from relaydance_async.models.meta import ResponseMeta

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
        if (whole := decoder.rest()) is not None:
            chunks.append(whole)
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
    assert failure.completion is not None
    assert failure.completion.choices[0].message.content == "Hello"
    _, failure = read(decoder_of(), b"")
    assert isinstance(failure, StreamError)
    assert failure.completion is None


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


def test_what_came_before_an_error_is_on_it_as_a_completion() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 1}
    call = {"index": 0, "id": "a", "function": {"name": "f", "arguments": '{"x"'}}
    pieces = (chunk({"content": "Hi", "reasoning": "so"}), chunk({"tool_calls": [call]}, usage=usage))
    _, failure = read(decoder_of(), *pieces, b'data: {"error": "no"}\n\n')
    assert isinstance(failure, StreamError)
    assert failure.completion is not None
    message = failure.completion.choices[0].message
    assert (message.content, message.reasoning, failure.completion.choices[0].finish_reason) == ("Hi", "so", None)
    assert message.tool_calls is not None
    assert message.tool_calls[0].function is not None
    assert message.tool_calls[0].function.arguments == '{"x"'
    assert failure.completion.usage is not None
    assert failure.completion.usage.prompt_tokens == 3


def chunk(delta: Any, finish_reason: Any = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return b"data: " + json.dumps({"id": "c", "choices": [choice], **more}).encode() + b"\n\n"


@pytest.mark.parametrize("ending", [b"", DONE, b"data: {\n\n"])
def test_when_nothing_came_no_completion_is_on_the_error(ending: bytes) -> None:
    _, failure = read(decoder_of(), ending)
    assert isinstance(failure, StreamError)
    assert failure.completion is None


ODD_CHUNKS: dict[str, tuple[bytes, ...]] = {
    "no delta": (chunk(None), chunk({"content": "Hi"})),
    "content in parts": (chunk({"content": [{"type": "text", "text": "H"}]}), chunk({"content": ["i"]})),
    "no choices": (chunk({"content": "Hi"}), b'data: {"usage": null}\n\n', b'data: {"choices": null}\n\n'),
    "null in place of a choice": (b'data: {"choices": [null]}\n\n', chunk({"content": "Hi"})),
    "null in place of tool calls": (chunk({"content": "Hi", "tool_calls": [None]}), chunk({"tool_calls": {}})),
    "events that are empty": (b"data:\n\n", chunk({"content": "Hi"}), b"data: null\n\ndata: []\n\n"),
    "a list of one chunk": (b'data: [{"choices": [{"delta": {"content": "Hi"}}]}]\n\n',),
    "the old text": (b'data: {"choices": [{"text": "Hi"}]}\n\n',),
    "a message": (b'data: {"choices": [{"index": 0, "message": {"content": "Hi", "images": [1]}}]}\n\n',),
    "the sum in the end": (
        chunk({"content": "Hi"}),
        b'data: {"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]}\n\n',
    ),
    "numbers as text": (chunk({"content": "Hi"}, created="1.5", usage={"prompt_tokens": "12"}),),
    "other types": (chunk({"content": "Hi", "role": [], "refusal": None}, id=7, model=["m"]),),
}


@pytest.mark.parametrize("case", ODD_CHUNKS)
def test_odd_chunks_lose_no_text(case: str) -> None:
    decoder = decoder_of()
    assert read(decoder, *ODD_CHUNKS[case], chunk({}, "stop")) == ("Hi", None)
    assert decoder.text == "Hi"
    assert decoder.completion().choices[0].message.content == "Hi"


def test_the_sum_in_a_last_chunk_is_kept_under_another_name() -> None:
    decoder = decoder_of()
    read(decoder, *ODD_CHUNKS["the sum in the end"])
    assert decoder.completion().choices[0].model_extra == {"raw_message": {"content": "Hi"}}


@pytest.mark.parametrize("reason", [{"type": "stop"}, 1, True, ["stop"]])
def test_a_finish_reason_of_another_type_is_one(reason: Any) -> None:
    assert read(decoder_of(), chunk({"content": "Hi"}, reason)) == ("Hi", None)


@pytest.mark.parametrize("reason", [None, "", False, 0, {}, []])
def test_no_finish_reason_of_any_type_is_an_end(reason: Any) -> None:
    text, failure = read(decoder_of(), chunk({"content": "Hi"}, reason))
    assert (text, type(failure)) == ("Hi", IncompleteStreamError)


@pytest.mark.parametrize("done", [b"data:  [DONE]\n\n", b'data: "[DONE]"\n\n'])
def test_the_end_may_be_written_another_way(done: bytes) -> None:
    decoder = decoder_of()
    assert read(decoder, event("Hi", "stop") + done + event("never")) == ("Hi", None)
    assert decoder.done


BODY: dict[str, Any] = {
    "id": "c",
    "choices": [{"message": {"content": "Hi", "tool_calls": [{"id": "a"}, {"id": "b", "index": "x"}]}}],
    "usage": {"prompt_tokens": "3"},
}


@pytest.mark.parametrize("before", [b"", b": PING\n\n", b"\xef\xbb\xbf: PING\n: PING\n\n", b" \n"])
@pytest.mark.parametrize("size", [1, 10_000])
def test_a_json_body_in_place_of_a_stream_is_its_only_chunk(before: bytes, size: int) -> None:
    body = before + json.dumps(BODY, indent=1).encode()
    decoder = decoder_of()
    assert read(decoder, *(body[at : at + size] for at in range(0, len(body), size))) == ("Hi", None)
    completion = decoder.completion()
    assert completion.usage is not None
    assert completion.usage.prompt_tokens == 3
    assert [call.id for call in completion.choices[0].message.tool_calls or ()] == ["a", "b"]


def test_a_json_error_after_comments_is_that_error() -> None:
    _, failure = read(
        decoder_of(), b": PING\n\n" * 100_000 + b'{"error": {"message": "no", "code": "model_not_found"}}'
    )
    assert isinstance(failure, NotFoundError)


def test_comments_alone_take_no_room() -> None:
    decoder = decoder_of(1000)
    assert read(decoder, *[b": PING\n\n"] * 1000, event("Hi", "stop")) == ("Hi", None)


@pytest.mark.parametrize("before", [b"", b": PING\n\n", b"event: message\n", b"\xef\xbb\xbf", b"\r\n"])
def test_an_event_stream_in_place_of_a_completion_is_put_together(before: bytes) -> None:
    completion = decode_completion(before + WHOLE, ResponseMeta)
    assert completion.choices[0].message.content == "Hello, you"
    assert completion.choices[0].finish_reason == "stop"


def test_an_event_stream_in_place_of_a_completion_ends_in_the_same_errors() -> None:
    with pytest.raises(IncompleteStreamError) as caught:
        decode_completion(event("Hi"), ResponseMeta)
    assert (caught.value.text, caught.value.maybe_accepted) == ("Hi", True)
    with pytest.raises(StreamError, match="no"):
        decode_completion(event("Hi") + ENDINGS["an error event"][0], ResponseMeta)
