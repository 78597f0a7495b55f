"""Server-sent events: bytes in, events out, however the bytes were split.

The rules are the WHATWG HTML standard's, section 9.2.6 "Interpreting an event stream": lines end in CR LF, LF or CR; a
byte order mark at the start is dropped; a blank line dispatches what has come, unless no `data` came; comments are
dropped; an event cut off by the end of the stream is never dispatched.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..errors import StreamError

MAX_EVENT_BYTES = 16 * 1024 * 1024
"""The longest event that is taken in, so that a stream without line ends can't fill the memory."""

_LINE_END = re.compile(rb"\r\n|\n|\r")
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One event: its data, with lines joined by LF, and its type (None is the standard's "message")."""

    data: bytes
    event: str | None = None


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
        for line in self._lines(chunk):
            self._take(line, events)
        return events

    def _lines(self, chunk: bytes) -> list[bytes]:
        if self._bom is not None:
            chunk = self._without_bom(self._bom + chunk)
        if self._after_cr and chunk:
            self._after_cr = False
            chunk = chunk.removeprefix(b"\n")
        if not chunk:
            return []
        self._after_cr = chunk.endswith(b"\r")
        lines = _LINE_END.split(chunk) if b"\r" in chunk else chunk.split(b"\n")
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

    def _take(self, line: bytes, events: list[ServerSentEvent]) -> None:
        if not line:
            if self._data is not None:
                events.append(ServerSentEvent(bytes(self._data), self._event))
            self._data = self._event = None
            return
        self._check(line)
        if line.startswith(b"data:") or line == b"data":
            self._add_data(line[6:] if line[5:6] == b" " else line[5:])
        elif line.startswith(b"event:") or line == b"event":
            self._event = line[6:].removeprefix(b" ").decode("utf-8", "replace") or None

    def _add_data(self, value: bytes) -> None:
        if self._data is None:
            self._data = value
            return
        if isinstance(self._data, bytes):
            # Pieces in a list would take many times their size.
            self._data = bytearray(self._data)
        self._data += b"\n" + value
        self._check(self._data)

    def _check(self, held: bytes | bytearray) -> None:
        if len(held) > self._max:
            raise StreamError(f"an event of the stream is larger than {self._max} bytes")
