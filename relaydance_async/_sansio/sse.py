"""Server-sent events: bytes in, events out, however the bytes were split.

The rules are the WHATWG HTML standard's, section 9.2.6 "Interpreting an event stream": lines end in CR LF, LF or CR; a
byte order mark at the start is dropped; a blank line dispatches what has come, unless no `data` came; comments are
dropped; an event cut off by the end of the stream is never dispatched.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ..errors import StreamError

MAX_EVENT_BYTES = 16 * 1024 * 1024
"""The longest event that is taken in, so that a stream without line ends can't fill the memory."""

_LINE_END = re.compile(rb"\r\n|\n|\r")
_BOM = b"\xef\xbb\xbf"
_CR, _LF = b"\r\n"  # as numbers, which `in` finds faster


class ServerSentEvent(NamedTuple):
    """One event: its data, with lines joined by LF, and its type (None is the standard's "message")."""

    data: bytes
    event: str | None = None


_make = ServerSentEvent._make  # calling the class takes longer, which counts at each chunk


class SSEParser:
    """Takes the bytes of a stream as they come and gives the events that they complete."""

    def __init__(self, *, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max = max_event_bytes
        self._bom: bytes | None = b""  # what may be the start of a byte order mark; None once that is settled
        self._after_cr = False  # an LF that comes now belongs to the CR before it
        self._pending = bytearray()  # an unfinished line
        self._data: bytes | bytearray | None = None  # of the unfinished event; its first line as it is
        self._event: str | None = None

    def feed(self, chunk: bytes) -> list[ServerSentEvent]:
        """The events that the chunk completes.

        Raises:
            StreamError: when an event grows beyond the limit.
        """
        events: list[ServerSentEvent] = []
        if _CR in chunk or not self._between_events():
            self._feed_lines(chunk, events)
            return events
        # Nearly every event of a chat is one line of data: those needn't be taken apart line by line.
        *blocks, rest = chunk.split(b"\n\n")
        for block in blocks:
            if block.startswith(b"data: ") and _LF not in block and len(block) <= self._max:
                events.append(_make((block[6:], None)))
            else:
                self._feed_lines(block + b"\n\n", events)
        if rest:
            self._feed_lines(rest, events)
        return events

    def _between_events(self) -> bool:
        return not (self._pending or self._data is not None or self._event or self._after_cr) and self._bom is None

    def _feed_lines(self, chunk: bytes, events: list[ServerSentEvent]) -> None:
        for line in self._lines(chunk):
            if not line:
                self._dispatch(events)
                continue
            self._check(line)
            if line.startswith(b"data:"):
                self._add_data(line[6:] if line.startswith(b" ", 5) else line[5:])
            elif line == b"data":
                self._add_data(b"")
            elif line.startswith(b"event:") or line == b"event":
                self._event = line[6:].removeprefix(b" ").decode("utf-8", "replace") or None

    def _dispatch(self, events: list[ServerSentEvent]) -> None:
        if self._data is not None:
            events.append(ServerSentEvent(bytes(self._data), self._event))
        self._data = self._event = None

    def _add_data(self, value: bytes) -> None:
        if self._data is None:
            self._data = value
            return
        if isinstance(self._data, bytes):
            # Pieces in a list would take many times their size.
            self._data = bytearray(self._data)
        self._data += b"\n" + value
        self._check(self._data)

    def _lines(self, chunk: bytes) -> list[bytes]:
        if self._bom is not None:
            chunk = self._without_bom(self._bom + chunk)
        if self._after_cr and chunk:
            self._after_cr = False
            chunk = chunk.removeprefix(b"\n")
        if not chunk:
            return []
        self._after_cr = chunk.endswith(b"\r")
        lines = _LINE_END.split(chunk) if _CR in chunk else chunk.split(b"\n")
        if len(lines) > 1 and self._pending:
            lines[0] = bytes(self._pending + lines[0])
            self._pending = bytearray()
        if lines[-1]:
            self._pending += lines[-1]
            self._check(self._pending)
        lines.pop()
        return lines

    def _without_bom(self, start: bytes) -> bytes:
        if len(start) < len(_BOM) and _BOM.startswith(start):
            self._bom = start
            return b""
        self._bom = None
        return start.removeprefix(_BOM)

    def _check(self, held: bytes | bytearray) -> None:
        if len(held) > self._max:
            raise StreamError(f"an event of the stream is larger than {self._max} bytes")
