"""What is accepted as an answer: RFC 9112, with nothing of what it lets a client forgive.

Whoever forgives reads an answer differently from the proxy in front of it, and that is how one answer becomes two
(RFC 9112 section 11). Each bound says who else has it.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

HEAD_BYTES = 64 * 1024
"""Of a head, its status line included: http.client has it for one line, Node 16 KiB for all."""

HEADERS = 128
"""Fields of a head or a trailer: http.client has 100, aiohttp 128."""

INTERIM_ANSWERS = 5
"""Of status 1xx before the final one, as Go's net/http."""

FRAMING_BYTES = 16 * 1024
"""Of a chunked body that are not its content, beyond what honest chunks take, as Go's net/http/internal."""

_LENGTH_DIGITS = 18
"""More are beyond 2**63, which nobody has."""

_CHUNK_ALLOWANCE = 16
"""Bytes that an honest chunk takes besides its content, twice the size of which is allowed too, as Go has it."""

FRAMED_TWICE = "its trailer says how it is framed"

END_OF_HEAD = b"\r\n\r\n"


class Malformed(Exception):
    """This is no answer."""


class Head(NamedTuple):
    """The head of an answer.

    Attributes:
        minor: the digit after "HTTP/1.".
        fields: by name in lower case. Of a name that came more than once this has the first.
        repeated: the others, in the order in which they came.
    """

    status: int
    minor: int
    fields: dict[bytes, bytes]
    repeated: list[tuple[bytes, bytes]] | None

    def pairs(self) -> list[tuple[bytes, bytes]]:
        """All fields."""
        return [*self.fields.items(), *(self.repeated or ())]

    def is_repeated(self, name: bytes) -> bool:
        """Whether it came more than once."""
        return self.repeated is not None and any(known == name for known, _ in self.repeated)


class Framing(IntEnum):
    """How the end of a body is told."""

    NONE = 0
    LENGTH = 1
    CHUNKED = 2
    CLOSE = 3


_NONE, _LENGTH, _CHUNKED, _CLOSE = Framing


def framing_of(head: Head, method: str) -> tuple[Framing, int]:
    """How the body ends, and its length if that is told (RFC 9112 section 6.3).

    Raises:
        Malformed: two readings are possible.
    """
    fields = head.fields
    coding = fields.get(b"transfer-encoding")
    told = fields.get(b"content-length")
    if coding is not None:
        if told is not None:
            raise Malformed("it has a Content-Length and a Transfer-Encoding")
        if coding.lower() != b"chunked" or head.is_repeated(b"transfer-encoding"):
            raise Malformed("it has a Transfer-Encoding other than chunked")
        if head.minor == 0:
            raise Malformed("it has a Transfer-Encoding, which HTTP/1.0 doesn't know")
    length = 0
    if told is not None:
        length = _length(told)
        if head.repeated is not None:
            for name, value in head.repeated:
                if name == b"content-length" and _length(value) != length:
                    raise Malformed("it has two lengths")
    if method == "HEAD" or head.status in (204, 304):
        return _NONE, 0
    if coding is not None:
        return _CHUNKED, 0
    if told is not None:
        return (_LENGTH, length) if length else (_NONE, 0)
    return _CLOSE, 0


def _length(told: bytes) -> int:
    if not (told.isdigit() and len(told) <= _LENGTH_DIGITS):
        return _listed_length(told)
    return int(told)


def _listed_length(told: bytes) -> int:
    # Equal ones in one field are one (RFC 9110 section 8.6).
    values = {value.strip(b" \t") for value in told.split(b",")}
    value = values.pop()
    if values or not (value.isdigit() and len(value) <= _LENGTH_DIGITS):
        raise Malformed("its Content-Length is no length")
    return int(value)


def keeps_open(head: Head) -> bool:
    """Whether the connection may be used again (RFC 9112 section 9.3). An HTTP/1.0 server is not asked to."""
    if head.minor == 0:
        return False
    told = head.fields.get(b"connection")
    if told is None:
        return True
    if head.repeated is not None:
        told = b",".join([told, *(value for name, value in head.repeated if name == b"connection")])
    return b"close" not in [token.strip() for token in told.lower().split(b",")]


def bounded_excess(before: int, came: int, content: int, chunks: int) -> int:
    """How many bytes of a chunked body, all in all, were neither content nor what honest chunks take.

    Args:
        before: what this returned for what came before.
        came: bytes, of which `content` were content, in so many chunks.

    Raises:
        Malformed: too many.
    """
    excess = max(0, before + came - 3 * content - _CHUNK_ALLOWANCE * chunks)
    if excess > FRAMING_BYTES:
        raise Malformed("its chunks are more framing than content")
    return excess


def check_start(data: bytes | bytearray) -> None:
    """That this may be the beginning of a head, of which there is more to come.

    Raises:
        Malformed: it is none, or too long.
    """
    start = bytes(data[:9])
    if not _VERSIONS[0].startswith(start) and not _VERSIONS[1].startswith(start):
        raise Malformed("it is no HTTP/1.1")
    if len(data) > HEAD_BYTES:
        raise too_large()


def too_large() -> Malformed:
    """Its head is."""
    return Malformed(f"its head is larger than {HEAD_BYTES} bytes")


_VERSIONS = (b"HTTP/1.1 ", b"HTTP/1.0 ")
