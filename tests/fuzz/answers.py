"""The engine's reading of answers, against two other readers: h11 and llhttp as they are.

Any bytes are one thing to the engine, whichever parser it uses and however they were split. Where it differs from the
others, the reason is in the lists below.
"""

from __future__ import annotations

import asyncio
import contextvars
import re
import zlib
from collections import Counter
from collections.abc import Coroutine, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import h11
from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from relaydance_async._engine._connection import Connection
from relaydance_async._engine._dial import Origin
from relaydance_async._engine._exchange import Exchange
from relaydance_async._engine._h11 import H11Parser
from relaydance_async._engine._llhttp import LlhttpParser
from relaydance_async._sansio.timeout import Timeout
from relaydance_async._transports import WireRequest
from tests.fuzz.shapes import Draw
from tests.transports.answers.smuggling import ATTACKS
from tests.transports.answers.vectors import VECTORS

METHODS = ("GET", "POST", "HEAD")
_NEVER = Timeout(float("inf"), float("inf"), float("inf"))
_MOST_SEED = 1500
SEEDS = [answer for answer in [*(row.sent for row in VECTORS.values()), *ATTACKS.values()] if len(answer) < _MOST_SEED]
WORDS = [
    *(b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"\n\n", b" ", b"\t", b"\0", b"\x0b", b"\x7f", b"\xff", b":", b",", b";"),
    *(b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 200 OK\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 204 No\r\n\r\n"),
    *(b"Content-Length: 2\r\n", b"Content-Length: 0\r\n", b"content-length:2\r\n", b"Content-Length: 2, 2\r\n"),
    *(b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip, chunked\r\n", b"Connection: close\r\n"),
    *(b"Connection: upgrade\r\nUpgrade: h2c\r\n", b"Keep-Alive: timeout=5\r\n", b" folded\r\n", b"X: y\r\n"),
    *(
        b"0\r\n\r\n",
        b"2\r\nok\r\n",
        b"2;a=b\r\n",
        b"ffffffffffffffff\r\n",
        b"0\r\nX: y\r\n\r\n",
        b"ok",
        b"0x",
        b"+",
        b"-",
    ),
]


class Verdict(NamedTuple):
    """What a reader makes of some bytes, with the end of the connection after them.

    Attributes:
        status: of the final answer; 0: it is refused.
        why: the reader's words for that.
    """

    status: int
    body: bytes
    why: str = ""

    @property
    def answer(self) -> tuple[int, bytes]:
        return self.status, self.body


class _Wire(asyncio.Transport):
    """Takes what is written, and knows when it was closed."""

    def __init__(self) -> None:
        super().__init__()
        self._closed = False

    def write(self, data: Any) -> None:
        pass

    def is_closing(self) -> bool:
        return self._closed

    def close(self) -> None:
        self._closed = True

    abort = close

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


class _Owner:
    """Notes whether a connection was given back."""

    def __init__(self) -> None:
        self.kept = False

    def inbox(self) -> memoryview:
        return _INBOX

    def put_back(self, connection: Connection, keep_alive: bytes | None) -> None:
        self.kept = True

    def gone(self, connection: Connection) -> None:
        self.kept = False


_LOOP = asyncio.new_event_loop()
_INBOX = memoryview(bytearray(1 << 16))
_ORIGIN = Origin("http", "gateway.test", 80)
_CONTEXT = contextvars.Context()


def _at_once(reading: Coroutine[Any, Any, bytes]) -> bytes:
    """What a coroutine gives that has nothing to wait for."""
    try:
        reading.send(None)
    except StopIteration as done:
        result: bytes = done.value
        return result
    raise AssertionError("it waits")


async def _body(exchange: Exchange) -> bytes:
    """Without its content coding undone, of which the others know nothing."""
    return b"".join([piece async for piece in exchange.raw()])


def _feed(connection: Connection, piece: bytes) -> None:
    """As the loop does it: at once, or the engine would see no more than one split."""
    if connection.is_open:
        connection.get_buffer(-1)[: len(piece)] = piece
        connection.buffer_updated(len(piece))


def read_by_engine(pieces: list[bytes], method: str, new_parser: Any) -> tuple[Verdict, bool]:
    """What the engine makes of it, and whether it would use the connection again."""
    owner = _Owner()
    connection = Connection(_ORIGIN, owner, new_parser, _LOOP, _CONTEXT)
    connection.connection_made(_Wire())
    request = WireRequest(method, "http://gateway.test/", {}, None, _NEVER)
    exchange = connection.start(request, b"")
    for piece in pieces:
        _feed(connection, piece)
    kept = owner.kept
    if connection.is_open:
        connection.eof_received()
    assert exchange.held <= sum(map(len, pieces))
    if exchange.is_whole:
        assert exchange.head is not None
        return Verdict(exchange.status_code, _at_once(_body(exchange))), kept
    failure = exchange.failure
    assert failure is not None, "it neither ended nor failed"
    assert not kept
    return Verdict(0, b"", str(getattr(failure, "message", failure))), kept


def read_by_h11(data: bytes, method: str) -> Verdict:
    """What h11 makes of it."""
    for words, seen in _UNKNOWN_TO_H11.items():
        if seen.search(data) is not None:
            return Verdict(0, b"", f"h11: {words}")
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 16)
    connection.send(h11.Request(method=method, target="/", headers=[("host", "a")]))
    connection.send(h11.EndOfMessage())
    status, body, ended = 0, b"", False
    try:
        connection.receive_data(data)
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                return Verdict(status, body)
            elif event is h11.NEED_DATA and not ended:
                connection.receive_data(b"")
                ended = True
            elif not isinstance(event, h11.InformationalResponse):
                return Verdict(0, b"", f"h11: {event!r}")
    except h11.RemoteProtocolError as error:
        return Verdict(0, b"", f"h11: {error}")


@dataclass
class _Heard:
    """What llhttp calls."""

    parser: Any = None
    status: int = 0
    body: bytes = b""
    framed: bool = False
    in_body: bool = False
    whole: Verdict | None = None

    def on_message_begin(self) -> None:
        self.framed = self.in_body = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.framed = self.framed or name.lower() in (b"content-length", b"transfer-encoding")

    def on_headers_complete(self) -> None:
        self.status = self.parser.get_status_code()
        self.in_body = True

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        self.in_body = False
        if self.whole is None and self.status >= 200:
            self.whole = Verdict(self.status, self.body)


def read_by_llhttp(data: bytes) -> Verdict:
    """What llhttp makes of it; it isn't told of the request."""
    for words, seen in _UNKNOWN_TO_LLHTTP.items():
        if seen.search(data) is not None:
            return Verdict(0, b"", f"llhttp: {words}")
    heard = _Heard()
    heard.parser = parser = HttpResponseParser(heard)
    try:
        parser.feed_data(data)
    except (HttpParserError, HttpParserUpgrade) as error:
        return heard.whole or Verdict(0, b"", f"llhttp: {error}")
    if heard.whole is None and heard.in_body and heard.status >= 200 and not heard.framed:
        return Verdict(heard.status, heard.body)
    return heard.whole or Verdict(0, b"", "llhttp: cut off")


STRICTER = (
    "its head is larger than",
    "it has more than",
    "interim answers came",
    "changed the protocol",
    "it has a Content-Length and a Transfer-Encoding",
    "it has a Transfer-Encoding other than chunked",
    "which HTTP/1.0 doesn't know",
    "its Content-Length is no length",
    "it has two lengths",
    "it is no HTTP/1.1",
    "it has no status line",
    "a line of its head doesn't end with CR LF, or has a control character",
    "its chunks are more framing than content",
    "its trailer says how it is framed",
)
"""The engine's words for what it refuses though h11 and llhttp take it; each is a row of the table of answers."""


H11_ALONE = {
    "a chunk size of more than 20 digits": "zeros before a size are digits of it (RFC 9112 section 7.1)",
}
"""Its words for what the engine and llhttp take, and why that is taken."""

LLHTTP_ALONE = {
    "Data after `Connection: close`": "an interim answer said close; that is about the final one",
    "Invalid character in Content-Length": "equal lengths in one field (RFC 9110 section 8.6)",
    "Duplicate Content-Length": "equal lengths in several fields (RFC 9110 section 8.6)",
    "a coding with blanks after it": "they belong to no value (RFC 9112 section 5)",
    "an interim answer that it doesn't know": "none has a body (RFC 9112 section 6.3)",
}
"""The same for llhttp."""

_UNKNOWN_TO_H11 = {"a chunk size of more than 20 digits": re.compile(rb"\n[0-9A-Fa-f]{21,}[;\r]")}
_UNKNOWN_TO_LLHTTP = {
    "a coding with blanks after it": re.compile(rb"chunked[ \t]+\r\n", re.IGNORECASE),
    "an interim answer that it doesn't know": re.compile(rb"HTTP/1\.[01] 1(?:0[4-9]|[1-9][0-9])[ \r]"),
}
"""What it may read in any way: it is not asked."""


SEEN: Counter[str] = Counter()
"""How many answers were compared, and how many of them each reason explains."""


def _is_explained(other: Verdict, reasons: Iterable[str]) -> bool:
    reason = next((words for words in reasons if words in other.why), None)
    if reason is not None:
        SEEN[reason] += 1
    return reason is not None


def answer(data: bytes) -> None:
    """Answers: one meaning for both parsers and any split, and none that the others don't know, but for a reason."""
    draw = Draw(data)
    method = draw.pick(METHODS)
    cuts = [draw.byte() + draw.byte() for _ in range(draw.byte() % 4)]
    sent = build_answer(draw)
    # Seldom byte by byte, which takes ten times as long; a fuzzer that could choose it would do little else.
    if zlib.crc32(data) % 64 == 0:
        cuts = list(range(300))
    whole, kept = read_by_engine([sent], method, LlhttpParser)
    for pieces, parser in _other_ways(sent, cuts):
        verdict, also_kept = read_by_engine(pieces, method, parser)
        assert verdict.answer == whole.answer, (sent, method, verdict, whole)
        # A surplus byte that comes later finds the connection given back already, and closes it then.
        assert kept == also_kept or not kept, (sent, method)
    _compare(sent, method, whole)


def _other_ways(sent: bytes, cuts: list[int]) -> Iterator[tuple[list[bytes], Any]]:
    yield [sent], H11Parser
    if cuts:
        pieces = list(_split(sent, cuts))
        yield pieces, LlhttpParser
        yield pieces, H11Parser


def _compare(sent: bytes, method: str, ours: Verdict) -> None:
    by_h11 = read_by_h11(sent, method)
    by_llhttp = read_by_llhttp(sent) if method != "HEAD" else ours
    SEEN["taken" if ours.status else "refused"] += 1
    if ours.status:
        assert by_h11.answer == ours.answer or _is_explained(by_h11, H11_ALONE), (sent, method, ours, by_h11)
        assert by_llhttp.answer == ours.answer or _is_explained(by_llhttp, LLHTTP_ALONE), (
            sent,
            method,
            ours,
            by_llhttp,
        )
    elif by_h11.status and by_llhttp.status and method != "HEAD":
        assert _is_explained(ours, STRICTER), (sent, method, ours, by_h11, by_llhttp)


def _split(data: bytes, cuts: list[int]) -> Iterator[bytes]:
    places = sorted({min(cut, len(data)) for cut in cuts})
    for start, end in zip([0, *places], [*places, len(data)], strict=True):
        if start < end:
            yield data[start:end]


def build_answer(draw: Draw) -> bytes:
    """One of the answers of the tests with a few edits, or the bytes as they are."""
    if draw.byte() >= 192:
        return draw.rest()
    sent = bytearray(SEEDS[(draw.byte() * 256 + draw.byte()) % len(SEEDS)])
    for _ in range(draw.byte() % 5):
        at = (draw.byte() * 256 + draw.byte()) % (len(sent) + 1)
        how = draw.byte() % 4
        if how == 0:
            sent[at:at] = draw.pick(WORDS)
        elif how == 1:
            del sent[at : at + 1 + draw.byte() % 8]
        elif how == 2:
            sent[at : at + 1] = draw.take(1)
        else:
            sent[at:at] = sent[: draw.byte()]
    return bytes(sent)
