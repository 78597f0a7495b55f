"""What is known about one call beside its result: every error carries it, and every result."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """One failed attempt of a call.

    Attributes:
        number: counted from 1.
        started_at: when its first byte was sent, or, when none was, when it was its turn (UTC).
        elapsed: seconds that it took, once it was its turn.
        error: the class name of the error it ended in.
        status_code: the HTTP status, or None when no answer came.
        code: the error code of the answer, if any.
        wait: seconds waited after it, or None when it was the last.
        queued: seconds that it waited for its turn before.
    """

    number: int
    started_at: datetime
    elapsed: float
    error: str
    status_code: int | None = None
    code: str | None = None
    wait: float | None = None
    queued: float = 0.0


@dataclass(frozen=True, slots=True)
class ResponseMeta:
    """The circumstances of a call: plain, frozen data without secrets.

    Attributes:
        method: of the request.
        path: below the base URL, without the query. Of a request to another host, its URL without the query, which may
            hold a signature.
        status_code: of the answer, or None when none came.
        headers: of the answer, names in lower case, without cookies.
        request_id: the gateway's id of the request (`X-Oneapi-Request-Id`, `X-Request-Id` or `CF-Ray`).
        attempts: what happened in each failed attempt; none for a call that never got its turn.
        sent_at: when the first byte of the last attempt was sent (UTC), or None when none was.
        replayed: whether it was not sent this time: a journal had the answer under the call's idempotency key.
        queued: seconds that its last attempt waited for its turn.
        elapsed: seconds that this attempt took from then on, until its answer was read (of a stream: until it began);
            None when it never got its turn.
    """

    method: str | None = None
    path: str | None = None
    status_code: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    request_id: str | None = None
    attempts: tuple[AttemptRecord, ...] = ()
    sent_at: datetime | None = None
    replayed: bool = False
    queued: float = 0.0
    elapsed: float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.headers, MappingProxyType):
            object.__setattr__(self, "headers", MappingProxyType(dict(self.headers)))

    def __hash__(self) -> int:
        return hash((self.method, self.path, self.status_code, self.request_id, self.sent_at))

    def __reduce__(self) -> tuple[Any, ...]:
        # A mapping proxy can't be pickled; a dict can.
        headers = dict(self.headers)
        values = (self.method, self.path, self.status_code, headers, self.request_id, self.attempts, self.sent_at)
        return ResponseMeta, (*values, self.replayed, self.queued, self.elapsed)


@dataclass(frozen=True, slots=True)
class ErrorResponse:
    """The answer that an error was made from, under the names that httpx and openai have for it.

    Attributes:
        meta: status, headers, request id.
        content: the body's bytes, as far as the error keeps them.
    """

    meta: ResponseMeta
    content: bytes

    @property
    def status_code(self) -> int | None:
        """The HTTP status, as it came."""
        return self.meta.status_code

    @property
    def headers(self) -> Mapping[str, str]:
        """Names in lower case, without cookies."""
        return self.meta.headers

    @property
    def text(self) -> str:
        """The body as text."""
        return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        """The body as JSON.

        Raises:
            ValueError: it is none.
        """
        return json.loads(self.content)
