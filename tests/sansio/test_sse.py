"""Server-sent events, by the rules of the WHATWG HTML standard, section 9.2.6."""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaydance_async import StreamError
from relaydance_async._sansio.sse import MAX_EVENT_BYTES, ServerSentEvent, SSEParser

Event = tuple[bytes, str | None]


def events_of(*pieces: bytes) -> list[Event]:
    parser = SSEParser()
    return [(event.data, event.event) for piece in pieces for event in parser.feed(piece)]


def data_of(*pieces: bytes) -> list[bytes]:
    return [data for data, _ in events_of(*pieces)]


RULES: dict[str, tuple[bytes, list[Event]]] = {
    "a blank line ends an event": (b"data: a\n\ndata: b\n\n", [(b"a", None), (b"b", None)]),
    "lines may end in CR LF": (b"data: a\r\n\r\ndata: b\r\n\r\n", [(b"a", None), (b"b", None)]),
    "lines may end in CR": (b"data: a\r\rdata: b\r\r", [(b"a", None), (b"b", None)]),
    "line ends may be mixed": (b"data: a\r\n\ndata: b\n\r\ndata: c\r\n\r", [(b"a", None), (b"b", None), (b"c", None)]),
    "a CR LF is one line end": (b"data: a\r\ndata: b\n\n", [(b"a\nb", None)]),
    "one space after the colon is dropped": (b"data:a\n\ndata:  a\n\n", [(b"a", None), (b" a", None)]),
    "data lines are joined": (b"data: a\ndata\ndata: b\n\n", [(b"a\n\nb", None)]),
    "empty data is an event": (b"data:\n\n", [(b"", None)]),
    "a bare field name has an empty value": (b"data\n\n", [(b"", None)]),
    "no data is no event": (b"event: x\n\n: only a comment\n\n\n\n", []),
    "a comment is dropped": (b": PING\n\ndata: a\n: PING\ndata: b\n\n", [(b"a\nb", None)]),
    "a field may have a type": (b"event: error\ndata: a\n\n", [(b"a", "error")]),
    "the last type counts": (b"event: a\nevent: b\ndata: x\n\n", [(b"x", "b")]),
    "an empty type is no type": (b"event: a\nevent:\ndata: x\n\n", [(b"x", None)]),
    "a bare type is an empty one": (b"event: a\nevent\ndata: x\n\n", [(b"x", None)]),
    "a type ends with its event": (b"event: a\ndata: x\n\ndata: y\n\n", [(b"x", "a"), (b"y", None)]),
    "a type ends with an event that has no data": (b"event: a\n\ndata: y\n\n", [(b"y", None)]),
    "id, retry and unknown fields are dropped": (b"id: 1\nretry: 5\nfoo: b\nDATA: x\ndata: a\n\n", [(b"a", None)]),
    "a field name is the whole of it": (b"database: x\ndata : y\n data: z\ndata: a\n\n", [(b"a", None)]),
    "a byte order mark is dropped": (b"\xef\xbb\xbfdata: a\n\n", [(b"a", None)]),
    "a second one is not": (b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\ndata: b\n\n", [(b"b", None)]),
    "half of one is not": (b"\xef\xbbdata: a\n\ndata: b\n\n", [(b"b", None)]),
    "a stream cut off within an event never gives it": (b"data: a\n\ndata: b\n", [(b"a", None)]),
    "a stream cut off within a line never gives it": (b"data: a\n\ndata: b", [(b"a", None)]),
    "a colon in the data stays": (b'data: {"a": 1}\n\n', [(b'{"a": 1}', None)]),
    "bytes that are no text stay": (b"data: \xff\xfe\nevent: \xff\n\n", [(b"\xff\xfe", "\ufffd")]),
    "nothing is nothing": (b"", []),
}


@pytest.mark.parametrize("case", RULES)
def test_the_rules_of_the_standard(case: str) -> None:
    stream, events = RULES[case]
    assert events_of(stream) == events


@pytest.mark.parametrize("case", RULES)
def test_the_rules_hold_byte_by_byte(case: str) -> None:
    stream, events = RULES[case]
    assert events_of(*(bytes([byte]) for byte in stream)) == events


def test_an_event_comes_out_with_the_byte_that_ends_it() -> None:
    parser = SSEParser()
    assert parser.feed(b"data: a\r\n") == []
    assert parser.feed(b"\r") == [ServerSentEvent(b"a")]  # no waiting for an LF that may never come
    assert parser.feed(b"\n") == []
    assert parser.feed(b"data: b\n\n") == [ServerSentEvent(b"b")]


FIELDS = (b"data: a", b"data:", b"data", b"event: x", b"event", b": PING", b"id: 1")
ENDS = (b"\r", b"\n", b"\r\n", b"\n\n", b"\r\r", b"\r\n\r\n")
PIECES = st.sampled_from([*FIELDS, *ENDS, b"\xef\xbb\xbf", b"\xef", b"\xe4\xbd\xa0", b" ", b":"])


def split(stream: bytes, cuts: Iterable[int]) -> list[bytes]:
    places = sorted({min(cut, len(stream)) for cut in cuts})
    return [stream[start:end] for start, end in zip([0, *places], [*places, len(stream)], strict=True)]


@given(st.lists(PIECES | st.binary(max_size=4), max_size=30).map(b"".join), st.lists(st.integers(0, 200), max_size=20))
def test_any_split_of_the_bytes_gives_the_same_events(stream: bytes, cuts: list[int]) -> None:
    assert events_of(*split(stream, cuts)) == events_of(stream)


def by_the_book(stream: bytes) -> list[Event]:
    """The standard's algorithm as it is written, over the whole stream."""
    stream = stream.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    events: list[Event] = []
    data, kind = b"", ""
    for line in stream.split(b"\n")[:-1]:
        if not line:
            if data:
                events.append((data.removesuffix(b"\n"), kind or None))
            data, kind = b"", ""
            continue
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            data += value + b"\n"
        elif name == b"event":
            kind = value.decode("utf-8", "replace")
    return events


@given(st.lists(PIECES | st.binary(max_size=4), max_size=30).map(b"".join))
def test_the_events_are_those_of_the_standards_own_algorithm(stream: bytes) -> None:
    assert events_of(stream) == by_the_book(stream)


TOO_LONG: dict[str, list[bytes]] = {
    "one line": [b"data: " + b"x" * 101 + b"\n"],
    "a line without an end": [b"x" * 60] * 2,
    "a comment without an end": [b": " + b"x" * 60, b"x" * 60],
    "many lines": [b"data: " + b"x" * 10 + b"\n"] * 10,
    "many empty lines": [b"data:\n"] * 102,
    "many bare lines": [b"data\n"] * 102,
}


@pytest.mark.parametrize("case", TOO_LONG)
def test_an_event_without_end_is_an_error_and_not_a_full_memory(case: str) -> None:
    parser = SSEParser(max_event_bytes=100)
    *first, last = TOO_LONG[case]
    assert [event for piece in first for event in parser.feed(piece)] == []
    with pytest.raises(StreamError, match="an event of the stream is larger than 100 bytes"):
        parser.feed(last)


def feed_all(parser: SSEParser, piece: bytes, times: int) -> None:
    for _ in range(times):
        parser.feed(piece)


@pytest.mark.parametrize("size", [1, 7, 60, 200])
@pytest.mark.parametrize("line", [b"x" * 101, b": " + b"x" * 99, b"event: " + b"x" * 94, b"data:" + b"x" * 96])
def test_a_line_above_the_limit_is_an_error_however_it_is_split(line: bytes, size: int) -> None:
    with pytest.raises(StreamError, match="larger than 100 bytes"):
        list(map(SSEParser(max_event_bytes=100).feed, split(line + b"\n", range(0, 102, size))))


HOLDS: dict[str, tuple[bytes, int, int]] = {
    "one line": (b"data: " + b"x" * 64_000, 50_000_000, MAX_EVENT_BYTES),
    "many lines": (b"data:ab\n" * 8_000, 1_600_000, 400_000),
    "many empty lines": (b"data:\n" * 8_000, 3_000_000, 400_000),
}


@pytest.mark.parametrize("case", HOLDS)
def test_an_event_that_never_ends_stops_at_the_limit_in_little_more_memory(case: str) -> None:
    piece, size, limit = HOLDS[case]
    tracemalloc.start()
    try:
        with pytest.raises(StreamError, match=f"larger than {limit} bytes"):
            feed_all(SSEParser(max_event_bytes=limit), piece, size // len(piece))
        assert tracemalloc.get_traced_memory()[1] < 4 * limit + 40 * len(piece)
    finally:
        tracemalloc.stop()


def test_a_line_that_comes_in_crumbs_takes_little_more_memory_than_its_bytes() -> None:
    parser = SSEParser()
    tracemalloc.start()
    try:
        feed_all(parser, b"ab", 50_000)
        assert tracemalloc.get_traced_memory()[0] < 200_000
    finally:
        tracemalloc.stop()


def test_any_number_of_events_within_the_limit_is_fine() -> None:
    parser = SSEParser(max_event_bytes=100)
    assert len(parser.feed((b"data: " + b"x" * 90 + b"\n: PING\n\n") * 1000)) == 1000


def test_comments_without_end_take_no_memory() -> None:
    parser = SSEParser(max_event_bytes=100)
    for _ in range(1000):
        parser.feed(b": PING\n")
    held = sum(sys.getsizeof(value) for value in vars(parser).values())
    for _ in range(10_000):
        parser.feed(b": PING\nid: 7\n")
    assert sum(sys.getsizeof(value) for value in vars(parser).values()) == held
