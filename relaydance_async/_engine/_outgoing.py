"""What the engine is given to send, and the bytes of its head."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

from .._sansio.breakage import Broke, Progress
from .._sansio.request import BodyStream
from .._sansio.timeout import Timeout
from ._dial import Origin

K = TypeVar("K")
V = TypeVar("V")

SMALL_BODY = 64 * 1024
"""Bytes of a body that goes out in one piece with the head: the kernel takes so much at once."""

_REMEMBERED = 256
"""Hosts, and sets of header fields. A client that lives long meets thousands of hosts of clips."""

_FIELDS = re.compile(r"(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+: [^\x00-\x08\x0a-\x1f\x7f]*\r\n)*")
_LINE = re.compile(r"[A-Z]+ [!-~]+ HTTP/1\.1\r\n")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_TELL_NO_BODY = ("POST", "PUT", "PATCH")
"""Methods that say that they have none (RFC 9110 section 8.6)."""


class Outgoing(Protocol):
    """One request."""

    @property
    def method(self) -> str: ...
    @property
    def url(self) -> str: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def body(self) -> bytes | BodyStream | None: ...
    @property
    def timeout(self) -> Timeout: ...
    @property
    def peer(self) -> str: ...
    @property
    def progress(self) -> Progress: ...
    @property
    def body_broke(self) -> Broke | None: ...

    def begin(self) -> Awaitable[None] | None:
        """There is a connection, and the first byte is about to leave: awaited before that, unless it is None."""
        ...

    def sent_at_once(self) -> None:
        """The first write begins. A body that doesn't tell its end counts as written with it."""
        ...

    def unsent(self) -> None:
        """The connection took no byte of it."""
        ...

    def refused(self) -> None:
        """The last byte was not written, and never will be."""
        ...

    async def close_body(self) -> None:
        """Let go of what a body holds. Safe to call at any time."""
        ...


class Unsendable(Exception):
    """This can't be sent, however often."""


class Heads:
    """Makes the heads of requests, and remembers of the last ones what they have in common: the key is among it."""

    def __init__(self) -> None:
        self._origins: dict[str, tuple[Origin, str]] = {}
        self._fields: dict[tuple[Sequence[str], ...], str] = {}

    def __reduce__(self) -> Any:
        raise TypeError("the heads of requests are not pickled: an API key is in them")

    def forget(self) -> None:
        """What was remembered."""
        self._origins.clear()
        self._fields.clear()

    def split(self, url: str) -> tuple[Origin, str, str]:
        """Whom a URL asks, its name for the Host field, and what for.

        Raises:
            Unsendable: it is no URL of HTTP.
        """
        slash = url.find("/", 8)
        base = url if slash < 0 else url[:slash]
        known = self._origins.get(base)
        if known is None or slash < 0:
            return self._split_new(url)
        target = url[slash:]
        if "#" in target:
            target = target.partition("#")[0]
        return *known, target

    def _split_new(self, url: str) -> tuple[Origin, str, str]:
        try:
            parts = urlsplit(url)
            port = parts.port or _DEFAULT_PORTS[parts.scheme]
            host = _ascii_host(parts.hostname or "")
        except (ValueError, KeyError):
            raise Unsendable("the URL can't be used") from None
        if not host:
            raise Unsendable("the URL can't be used")
        origin = Origin(parts.scheme, host, port)
        shown = f"[{host}]" if ":" in host else host
        name = shown if port == _DEFAULT_PORTS[parts.scheme] else f"{shown}:{port}"
        if "@" not in parts.netloc:
            _bound(self._origins)[f"{parts.scheme}://{parts.netloc}"] = origin, name
        target = parts.path or "/"
        return origin, name, f"{target}?{parts.query}" if parts.query else target

    def build(self, request: Outgoing, target: str, host: str, more: tuple[tuple[str, str], ...]) -> bytes:
        """The head, its empty line included.

        Args:
            target: as the request line has it.
            host: for the Host field.
            more: fields besides those of the request.

        Raises:
            Unsendable: it has something that doesn't belong into a head.
        """
        body = request.body
        line = f"{request.method} {target} HTTP/1.1\r\n"
        if _LINE.fullmatch(line) is None:
            raise Unsendable("the URL can't be used")
        headers = request.headers
        key = (host, *headers, *headers.values(), *more)  # quicker to look up than pairs of names and values
        fields = self._fields.get(key)
        if fields is None:
            fields = _bound(self._fields)[key] = _join((("host", host), *headers.items(), *more))
        if isinstance(body, bytes) and (body or request.method in _TELL_NO_BODY):
            length = f"content-length: {len(body)}\r\n\r\n"
        else:
            length = _length_of(request)
        if "\ncontent-length:" in fields:
            length = "\r\n"
        try:
            return f"{line}{fields}{length}".encode("latin-1")
        except UnicodeEncodeError:
            raise Unsendable("a header field has characters that HTTP doesn't know") from None


def _bound(known: dict[K, V]) -> dict[K, V]:
    if len(known) >= _REMEMBERED:
        known.clear()
    return known


def _ascii_host(host: str) -> str:
    return host if host.isascii() else host.encode("idna").decode()


def _join(fields: tuple[tuple[str, str], ...]) -> str:
    joined = "".join([f"{name.lower()}: {value}\r\n" for name, value in fields])
    # A value with a whole field in it looks like two.
    if joined.count("\n") != len(fields) or _FIELDS.fullmatch(joined) is None:
        raise Unsendable("a header field has a line break or a control character")
    return joined


def _length_of(request: Outgoing) -> str:
    body = request.body
    if isinstance(body, BodyStream):
        return "transfer-encoding: chunked\r\n\r\n" if body.length is None else f"content-length: {body.length}\r\n\r\n"
    return "content-length: 0\r\n\r\n" if request.method in _TELL_NO_BODY else "\r\n"
