"""Answers read by h11, which httpx brings."""

from __future__ import annotations

import re

import h11

from ._chunks import Chunks
from ._rules import HEAD_BYTES, HEADERS, Head, Malformed, check_start

_FORGIVEN = re.compile(rb"[^\r]\n|\r[^\n]|\r\n[ \t]|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
"""What h11 reads and RFC 9112 doesn't know: bare CR and LF, folded lines, control characters."""

_REQUEST = h11.Request(method="GET", target="/", headers=[("host", "-")])
"""It reads no answer before it has been told of a request. Whether there is a body is not its business here."""


class H11Parser:
    """See `Parser`."""

    __slots__ = ("_chunks", "surplus")

    def __init__(self) -> None:
        self.surplus: bool = False
        self._chunks: Chunks | None = None

    def read_head(self, data: bytes) -> Head:
        """See `Parser`."""
        check_start(data)  # h11 takes any version
        if _FORGIVEN.search(data) is not None:
            raise Malformed("a line of its head doesn't end with CR LF, or has a control character")
        connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_BYTES)
        connection.send(_REQUEST)
        try:
            connection.receive_data(data)
            event = connection.next_event()
        except h11.RemoteProtocolError as error:
            raise Malformed(str(error)) from None
        if not isinstance(event, h11.Response | h11.InformationalResponse):
            raise Malformed("it can't be read")
        return _as_head(event)

    def read_chunks(self, data: bytes) -> tuple[bytes, bool]:
        """See `Parser`."""
        if self._chunks is None:
            self._chunks = Chunks()
        content, ended = self._chunks.read(data)
        self.surplus = self._chunks.surplus
        return content, ended


def _as_head(event: h11.Response | h11.InformationalResponse) -> Head:
    if len(event.headers) > HEADERS:
        raise Malformed(f"it has more than {HEADERS} header fields")
    fields: dict[bytes, bytes] = {}
    repeated: list[tuple[bytes, bytes]] = []
    for name, value in event.headers:
        if name in fields:
            repeated.append((name, value))
        else:
            fields[name] = value
    return Head(event.status_code, 1 if event.http_version == b"1.1" else 0, fields, repeated or None)
