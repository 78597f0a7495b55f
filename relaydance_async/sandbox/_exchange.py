"""One request and its answer, above ASGI and below the routes."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast
from urllib.parse import parse_qs

from starlette.types import Message, Receive, Scope, Send

from ._json import Json, parse

if TYPE_CHECKING:
    from ._accounts import Account
    from ._limits import Ticket

Event = bytes | float
"""A frame of a stream, or real seconds of silence."""


class ClientGoneError(Exception):
    """The caller went away."""


class BodyTooLargeError(Exception):
    """More bytes than the sandbox takes."""


@dataclass(slots=True)
class Answer:
    """What a route answers: a whole `body`, a long one in `pieces` of `length` bytes, or a stream of `events`."""

    status: int = 200
    body: bytes = b""
    content_type: str | None = "application/json"
    headers: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    pieces: Callable[[], Iterator[bytes]] | None = None
    length: int = 0
    events: Iterable[Event] | None = None
    code: str = ""
    accepted: bool = True
    task_id: str | None = None
    units: int = 0
    """The charge, in quota units."""


class Exchange:
    """One request: its parts, read as far as needed."""

    __slots__ = (
        "_json",
        "_receive",
        "account",
        "body",
        "body_bytes",
        "body_sha256",
        "exhausted",
        "headers",
        "key",
        "method",
        "model",
        "params",
        "path",
        "request_id",
        "scope",
        "send",
        "status",
        "ticket",
        "wants_stream",
    )

    def __init__(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        self.scope = scope
        self._receive = receive
        self.exhausted = False
        self.send = send
        self.request_id = request_id
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.params: dict[str, str] = {}
        self.body = b""
        self._json: Json | None = None
        self.body_bytes = 0
        self.body_sha256: str | None = None
        self.key = ""
        self.account: Account | None = None
        self.wants_stream = False
        self.model = ""
        self.status = 0
        """What was answered; 0 until the answer begins."""
        self.ticket: Ticket | None = None

    def header(self, name: bytes) -> str:
        return self.headers.get(name, b"").decode("latin-1")

    @property
    def query(self) -> dict[str, str]:
        return {name: values[-1] for name, values in parse_qs(self.scope["query_string"].decode("latin-1")).items()}

    async def receive(self) -> Message:
        """The next message, noting the end of the body: asking for more after it waits until the caller leaves."""
        message = await self._receive()
        if not message.get("more_body", False):
            self.exhausted = True
        return message

    async def read_body(self, limit: int) -> None:
        """Read the whole body into memory; one that is too large is read off and dropped before it is refused."""
        pieces: list[bytes] = []
        size = 0
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            piece = message.get("body", b"")
            size += len(piece)
            if piece and size <= limit:
                pieces.append(piece)
            if not message.get("more_body", False):
                break
        if size > limit:
            raise BodyTooLargeError
        self.body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self.body_bytes = size
        if size:
            self.body_sha256 = hashlib.sha256(self.body).hexdigest()

    async def drain(self) -> None:
        """Read the rest of the body and drop it, so that the caller can hear the answer."""
        while not self.exhausted:
            await self.receive()

    def json(self) -> Json:
        """The body as an object; ValueError when it is anything else."""
        if self._json is None:
            value: object = parse(self.body)
            if not isinstance(value, dict):
                raise ValueError("the body must be a JSON object")
            self._json = cast(Json, value)
        return self._json

    async def wait_gone(self) -> None:
        """Return when the caller has gone."""
        while (await self.receive())["type"] != "http.disconnect":
            pass

    async def start(self, status: int, headers: Iterable[tuple[str, str]]) -> None:
        self.status = status
        raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        message: Message = {"type": "http.response.start", "status": status, "headers": raw}
        await self.send(message)

    async def write(self, data: bytes, *, more: bool = True) -> None:
        await self.send({"type": "http.response.body", "body": data, "more_body": more})

    async def pause(self, seconds: float) -> None:
        """Wait real seconds; ClientGoneError as soon as the caller leaves."""
        if seconds <= 0:
            return
        try:
            await asyncio.wait_for(self.wait_gone(), seconds)
        except TimeoutError:
            return
        raise ClientGoneError
