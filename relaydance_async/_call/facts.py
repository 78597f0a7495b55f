"""What an attempt can tell, and the `ResponseMeta` that is made of it when somebody asks: mostly nobody does."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

from .._sansio.redact import Redactor, without_queries
from .._sansio.request import PreparedRequest
from .._sansio.target import Target, shown
from .._transports import TransportResponse
from ..models.meta import AttemptRecord, ResponseMeta
from .attempt import Attempt

_REQUEST_ID_HEADERS = ("x-oneapi-request-id", "x-litellm-call-id", "x-request-id", "cf-ray")
"""The gateway's own, those of other relays, and that of the CDN, which knows least of the request."""
_HIDDEN_HEADERS = frozenset({"set-cookie", "authorization", "proxy-authenticate"})


class Facts:
    """What is known of an attempt now. It holds neither body nor connection, so that a result may hold it.

    Args:
        request: what was asked.
        attempt: that asked.
        response: its answer, if one came.
        redactor: takes the key out.
        records: of the attempts before.
    """

    __slots__ = (
        "_elapsed",
        "_headers",
        "_method",
        "_queued",
        "_records",
        "_redactor",
        "_sent_at",
        "_status",
        "_target",
    )

    def __init__(
        self,
        request: PreparedRequest,
        attempt: Attempt,
        response: TransportResponse | None,
        redactor: Redactor,
        records: tuple[AttemptRecord, ...] = (),
    ) -> None:
        self._method: str = request.method
        self._target: Target = request.target
        self._status: int | None = None if response is None else response.status_code
        self._headers: Mapping[str, str] = {} if response is None else response.headers
        self._records = records
        self._sent_at: datetime | None = attempt.sent_at
        self._queued: float = attempt.queued_for
        self._elapsed: float | None = attempt.elapsed
        self._redactor = redactor

    def __call__(self) -> ResponseMeta:
        """The same as plain data, without the key."""
        headers = _plain_headers(self._headers, self._redactor)
        return ResponseMeta(
            method=self._method,
            path=shown(self._target),
            status_code=self._status,
            headers=MappingProxyType(headers),
            request_id=next((headers[name] for name in _REQUEST_ID_HEADERS if headers.get(name)), None),
            attempts=self._records,
            sent_at=self._sent_at,
            queued=self._queued,
            elapsed=self._elapsed,
        )


def _plain_headers(headers: Mapping[str, str], redactor: Redactor) -> dict[str, str]:
    plain = ((name.lower(), value) for name, value in headers.items())
    return {name: without_queries(redactor.text(value)) for name, value in plain if name not in _HIDDEN_HEADERS}
