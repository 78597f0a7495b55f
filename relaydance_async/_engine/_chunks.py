"""The chunked coding undone (RFC 9112 section 7.1), where there is no llhttp.

Not by h11: that forgives bare line feeds and folded lines in trailers, blanks after a size and control characters in
extensions, it can't be told not to, and it takes ten times as long.
"""

from __future__ import annotations

import re
from enum import IntEnum

from ._rules import FRAMED_TWICE, FRAMING_BYTES, HEADERS, Malformed, bounded_excess

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_QUOTED = rb'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*"'
_EXTENSION = rb";(?:%b|(?=[;=]))(?:=(?:%b)?(?:%b)?)?" % (_TOKEN, _TOKEN, _QUOTED)
_SIZE = re.compile(rb"([0-9A-Fa-f]+)(?:%b)*" % _EXTENSION)
"""Extensions are what llhttp takes for some: names may be empty, and the blanks that RFC 9112 section 7.1.1 calls bad
are not taken."""

_TRAILER = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*")
_FRAMING = re.compile(rb"(?:content-length|transfer-encoding):", re.IGNORECASE)
"""No trailer may have them (RFC 9110 section 6.5.1). llhttp takes no length there, and no empty coding."""

_LARGEST = 1 << 64
"""As llhttp counts."""


class _State(IntEnum):
    SIZE = 0
    CONTENT = 1
    AFTER_CONTENT = 2
    TRAILER = 3
    END = 4


_SIZE_LINE, _CONTENT, _AFTER_CONTENT, _TRAILERS, _END = _State


class Chunks:
    """Reads one chunked body, as it comes."""

    __slots__ = ("_excess", "_left", "_line", "_state", "_trailers", "surplus")

    def __init__(self) -> None:
        self.surplus: bool = False
        self._state = _SIZE_LINE
        self._left = 0
        self._line = b""
        self._trailers = 0
        self._excess = 0

    def read(self, data: bytes) -> tuple[bytes, bool]:
        """Its content, and whether its end has come.

        Raises:
            Malformed: it is not chunked.
        """
        content: list[bytes] = []
        came = len(data)
        if self._line:
            data, self._line = self._line + data, b""
        at = 0
        while self._state is not _END and at < len(data):
            if self._state is _CONTENT:
                piece = data[at : at + self._left]
                content.append(piece)
                at += len(piece)
                self._left -= len(piece)
                if not self._left:
                    self._state = _AFTER_CONTENT
                continue
            end = data.find(b"\r\n", at)
            if end < 0:
                self._keep(data[at:])
                break
            self._read_line(data[at:end])
            at = end + 2
        joined = content[0] if len(content) == 1 else b"".join(content)
        self._excess = bounded_excess(self._excess, came, len(joined), len(content))
        if self._state is not _END:
            return joined, False
        self.surplus = at < len(data)
        return joined, True

    def _keep(self, line: bytes) -> None:
        if len(line) > FRAMING_BYTES or (self._state is _AFTER_CONTENT and line != b"\r"):
            raise Malformed("a chunk doesn't end where it says")
        self._line = line

    def _read_line(self, line: bytes) -> None:
        if self._state is _SIZE_LINE:
            self._begin_chunk(line)
        elif self._state is _AFTER_CONTENT:
            if line:
                raise Malformed("a chunk doesn't end where it says")
            self._state = _SIZE_LINE
        elif not line:
            self._state = _END
        else:
            self._trailers += 1
            if self._trailers > HEADERS or _TRAILER.fullmatch(line) is None:
                raise Malformed("its trailer can't be read")
            if _FRAMING.match(line) is not None:
                raise Malformed(FRAMED_TWICE)

    def _begin_chunk(self, line: bytes) -> None:
        found = _SIZE.fullmatch(line)
        size = int(found[1], 16) if found is not None else _LARGEST
        if size >= _LARGEST:
            raise Malformed("a chunk has no size")
        self._left = size
        self._state = _CONTENT if size else _TRAILERS
