"""Answers read by llhttp, the parser of Node and uvicorn, which httptools binds."""

from __future__ import annotations

import re

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from ._rules import FRAMED_TWICE, HEADERS, Head, Malformed, bounded_excess, check_start

_END_OF_CHUNKS = re.compile(rb"[^\n]\r\n\r\n\Z")
"""llhttp passes over line breaks after a message; they are surplus all the same."""

_STATUS_LINE = re.compile(rb"HTTP/1\.[01] [1-9][0-9]{2}(?: [\t\x20-\x7e\x80-\xff]*)?\r\n")
"""llhttp takes any byte in a reason, and a status below 100 (RFC 9112 section 4)."""

_BLANKS = re.compile(rb"[ \t]+(?=\r\n)")
"""At the end of a value, where they belong to none (RFC 9112 section 5): llhttp knows no "chunked" with some."""

_LENGTHS = re.compile(rb"(?<=\r\n)content-length:[ \t]*([^\r\n]*?)[ \t]*\r\n", re.IGNORECASE)


class _Message:
    """What llhttp calls. It doesn't know the parser, which knows it: a cycle would be left to the garbage collector."""

    __slots__ = (
        "_count",
        "content",
        "fields",
        "has_ended",
        "is_framed_twice",
        "on_body",
        "pieces",
        "repeated",
        "surplus",
    )

    def __init__(self) -> None:
        self.fields: dict[bytes, bytes] = {}
        self.repeated: list[tuple[bytes, bytes]] | None = None
        self.content: list[bytes] = []
        self.on_body = self.content.append  # called for each piece of a chunk: so without any code of Python's
        self.has_ended = False
        self.is_framed_twice = False  # by a trailer; what it has of a head is taken out when that is whole
        self.surplus = False
        self.pieces = 0  # of the content, when it ended
        self._count = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Of the head, and of trailers."""
        self._count += 1
        if self._count > HEADERS:
            raise Malformed(f"it has more than {HEADERS} header fields")
        name = name.lower()
        value = value.rstrip(b" \t")
        if name not in self.fields:
            self.fields[name] = value
        elif self.repeated is None:
            self.repeated = [(name, value)]
        else:
            self.repeated.append((name, value))

    def on_message_begin(self) -> None:
        """For a second time, if more than one answer came."""
        self.surplus = self.has_ended

    def on_message_complete(self) -> None:
        if not self.has_ended:
            self.has_ended = True
            self.pieces = len(self.content)
            self.is_framed_twice = b"transfer-encoding" in self.fields


class LlhttpParser:
    """See `Parser`."""

    __slots__ = ("_excess", "_message", "_parser", "_tail", "surplus")

    def __init__(self) -> None:
        self.surplus: bool = False
        self._message = _Message()
        self._parser = HttpResponseParser(self._message)
        self._excess = 0
        self._tail = b""

    def read_head(self, data: bytes) -> Head:
        """See `Parser`."""
        if _STATUS_LINE.match(data) is None:
            check_start(data)
            raise Malformed("it has no status line")
        refused = ""
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade:
            pass  # to another protocol; whoever asked for none objects
        except HttpParserError as error:
            refused = _why(error)
        if refused:
            return self._read_again(_with_one_length(data), refused)
        message = self._message
        if b"transfer-encoding" in message.fields and _BLANKS.search(data) is not None:
            return self._read_again(_BLANKS.sub(b"", data), "its coding can't be read")
        minor = 1 if data.startswith(b"HTTP/1.1") else 0
        head = Head(self._parser.get_status_code(), minor, message.fields, message.repeated)
        message.fields, message.repeated = {}, None
        return head

    def _read_again(self, data: bytes | None, why: str) -> Head:
        """A head that means the same and that llhttp understands."""
        if data is None:
            raise Malformed(why)
        self._message = _Message()
        self._parser = HttpResponseParser(self._message)
        return self.read_head(data)

    def read_chunks(self, data: bytes) -> tuple[bytes, bool]:
        """See `Parser`."""
        message = self._message
        content = message.content
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            if not message.has_ended:
                raise Malformed(_why(error)) from None
            self.surplus = True
        if message.has_ended:
            if message.is_framed_twice:
                raise Malformed(FRAMED_TWICE)
            del content[message.pieces :]  # of an answer that follows
        piece = content[0] if len(content) == 1 else b"".join(content)
        self._excess = bounded_excess(self._excess, len(data), len(piece), len(content))
        content.clear()
        tail = data[-5:] if len(data) > 4 else (self._tail + data)[-5:]
        if message.has_ended:
            self.surplus = self.surplus or message.surplus or _END_OF_CHUNKS.search(tail) is None
        self._tail = tail
        return piece, message.has_ended


def _with_one_length(head: bytes) -> bytes | None:
    """The head with its length told once and without blanks after it, or None.

    llhttp takes no equal ones, and releases before httptools 0.8 no blanks.
    """
    values = {value.strip(b" \t") for told in _LENGTHS.findall(head) for value in told.split(b",")}
    if len(values) != 1:
        return None
    plain = b"%bcontent-length: %b\r\n\r\n" % (_LENGTHS.sub(b"", head)[:-2], values.pop())
    return plain if plain != head else None


def _why(error: Exception) -> str:
    """In our words, if it was ours."""
    cause = error.__context__
    return str(cause if isinstance(cause, Malformed) else error) or "it can't be read"
