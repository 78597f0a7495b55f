"""Streams of any kind, however their bytes are split."""

from __future__ import annotations

import json
from typing import Any

import pytest

from relaydance_async import BadRequestError, IncompleteStreamError, StreamError
from relaydance_async._sansio.cast import decode_event
from relaydance_async._sansio.event_stream import EventDecoder, PieceDecoder

STREAM = (
    b'\xef\xbb\xbf: PING\n\nevent: a\r\ndata: {"n": 1}\r\n\r\ndata:\n\ndata: {"n":\ndata: 2}\n\n'
    b'data: [DONE]\n\ndata: {"n": 3}\n\n'
)


def decoder(kind: Any = None, limit: int = 10_000) -> EventDecoder[Any]:
    return EventDecoder(lambda data: decode_event(kind, data), status=200, limit=limit)


def feed(decoder: EventDecoder[Any], data: bytes, size: int) -> list[Any]:
    found: list[Any] = []
    for start in range(0, len(data), size):
        found += decoder.feed(data[start : start + size])
        if decoder.done:
            break
    decoder.close()
    return found


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_events_are_decoded_however_they_come(size: int) -> None:
    assert feed(decoder(), STREAM, size) == [{"n": 1}, {"n": 2}]
    assert feed(decoder(str), STREAM, size) == ['{"n": 1}', '{"n":\n2}']


@pytest.mark.parametrize(
    "event",
    [
        b'data: {"error": {"message": "it broke", "code": "c"}}\n\n',
        b'event: error\ndata: {"type": "error", "message": "it broke", "code": "c"}\n\n',
        b'data: {"type": "error", "error": {"message": "it broke", "code": "c"}}\n\n',
    ],
)
def test_an_error_event_ends_it(event: bytes) -> None:
    stream = decoder()
    found: list[Any] = []
    with pytest.raises(StreamError, match="it broke") as caught:
        found.extend(stream.feed(b'data: {"n": 1}\n\n' + event))
    assert found == [{"n": 1}]
    assert caught.value.code == "c"
    assert caught.value.maybe_accepted


def test_an_event_of_another_shape_ends_it() -> None:
    with pytest.raises(StreamError, match=r"another shape: b'\{") as caught:
        list(decoder(dict[str, int]).feed(b'data: {"n": "x"}\n\n'))
    assert caught.value.__context__ is None
    with pytest.raises(StreamError, match="another shape"):
        list(decoder().feed(b"data: not JSON\n\n"))


def test_more_than_the_limit_ends_it() -> None:
    stream = decoder(limit=100)
    for _ in range(12):
        assert list(stream.feed(b": PING\n\n")) == []
    with pytest.raises(StreamError, match="larger than max_response_bytes=100"):
        list(stream.feed(b": PING\n\n"))


def test_what_is_no_stream_is_told() -> None:
    stream = decoder()
    assert list(stream.feed(json.dumps({"error": {"message": "no", "code": "invalid_request"}}).encode())) == []
    with pytest.raises(BadRequestError, match="no"):
        stream.close()
    with pytest.raises(IncompleteStreamError, match="before it began"):
        decoder().close()


def test_pieces_are_given_as_they_come() -> None:
    stream = PieceDecoder()
    assert list(stream.feed(b"data: [DONE]\n\n")) == [b"data: [DONE]\n\n"]
    assert not stream.done
    stream.close()
