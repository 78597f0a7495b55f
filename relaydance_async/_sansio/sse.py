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
        self._pending: list[bytes] = []  # an unfinished line, in pieces: joined once, when it ends
        self._pending_size = 0
        self._data: list[bytes] = []
        self._data_size = 0
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
            lines[0] = b"".join((*self._pending, lines[0]))
            self._pending, self._pending_size = [], 0
        self._hold(lines.pop())
        return lines

    def _without_bom(self, start: bytes) -> bytes:
        if len(start) < len(_BOM) and _BOM.startswith(start):
            self._bom = start
            return b""
        self._bom = None
        return start.removeprefix(_BOM)

    def _hold(self, piece: bytes) -> None:
        if not piece:
            return
        self._pending.append(piece)
        self._pending_size += len(piece)
        self._check(self._pending_size)

    def _take(self, line: bytes, events: list[ServerSentEvent]) -> None:
        if not line:
            if self._data:
                events.append(ServerSentEvent(b"\n".join(self._data), self._event))
            self._data, self._data_size, self._event = [], 0, None
        elif line.startswith(b"data:") or line == b"data":
            value = line[6:] if line[5:6] == b" " else line[5:]
            self._data.append(value)
            self._data_size += len(value) + 1
            self._check(self._data_size)
        elif line.startswith(b"event:") or line == b"event":
            self._event = line[6:].removeprefix(b" ").decode("utf-8", "replace") or None

    def _check(self, size: int) -> None:
        if size > self._max:
            raise StreamError(f"an event of the stream is larger than {self._max} bytes")
