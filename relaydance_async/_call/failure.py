"""The error that a failed attempt ends in: built once, of all that is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

from .._config import Secret
from .._sansio.redact import redact, redact_bytes, without_queries
from .._sansio.request import PreparedRequest, RetrySafety
from .._sansio.retry import Decision, GiveUp, Retry, is_ambiguous
from .._sansio.target import shown
from .._transports import TransportResponse
from ..errors import RelayDanceError
from ..models.meta import AttemptRecord, ResponseMeta
from .attempt import Attempt
from .history import History

_REQUEST_ID_HEADERS = ("x-oneapi-request-id", "x-request-id", "cf-ray")
_HIDDEN_HEADERS = frozenset({"set-cookie", "authorization", "proxy-authenticate"})


def build_meta(request: PreparedRequest, attempt: Attempt, response: TransportResponse | None) -> ResponseMeta:
    """The circumstances of an attempt, without the attempts before."""
    headers = _plain_headers(response.headers) if response is not None else {}
    return ResponseMeta(
        method=request.method,
        path=shown(request.target),
        status_code=response.status_code if response is not None else None,
        headers=MappingProxyType(headers),
        request_id=next((headers[name] for name in _REQUEST_ID_HEADERS if headers.get(name)), None),
        sent_at=attempt.sent_at,
    )


def build_failure(
    cause: RelayDanceError,
    *,
    meta: ResponseMeta,
    request: PreparedRequest,
    history: History,
    decision: Decision,
    key: Secret,
) -> RelayDanceError:
    """The finished error of a call. The cause stays as it is.

    Args:
        cause: what the attempt ended in, as whoever noticed it says.
        meta: of the attempt.
        request: what was asked.
        history: with this attempt.
        decision: what follows.
        key: that must not be in it.
    """
    return cause._finished(  # pyright: ignore[reportPrivateUsage]
        **_redacted(cause, key),
        meta=replace(meta, attempts=history.records, sent_at=history.sent_at, **_redacted_headers(meta, key)),
        task_id=cause.task_id or request.task_id,
        maybe_accepted=history.maybe_accepted,
        # A program that sends it again must not pay twice.
        retryable=cause.retryable and not history.maybe_accepted,
        not_retried_because=decision.why if isinstance(decision, GiveUp) else None,
    )


def with_attempt(
    history: History,
    record: AttemptRecord | None,
    sent_at: datetime | None,
    cause: RelayDanceError,
    safety: RetrySafety,
    decision: Decision,
) -> History:
    """The history with one more failed attempt, if it was one."""
    if record is None:
        return history
    if isinstance(decision, Retry):
        record = replace(record, wait=decision.after)
    maybe_accepted = history.maybe_accepted or is_ambiguous(cause, safety)
    return History((*history.records, record), maybe_accepted, sent_at or history.sent_at)


def _redacted(cause: RelayDanceError, key: Secret) -> dict[str, Any]:
    """What the answer has brought into the error, without the key."""
    secret = key.reveal()
    facts: dict[str, Any] = {}
    for name, value in vars(cause).items():
        if isinstance(value, str) and name != "task_id":
            facts[name] = redact(value, secret)
        elif isinstance(value, bytes):
            facts[name] = redact_bytes(value, secret)
    facts["message"] = without_queries(facts["message"])
    return facts


def _redacted_headers(meta: ResponseMeta, key: Secret) -> dict[str, Any]:
    secret = key.reveal()
    headers = {name: redact(value, secret) for name, value in meta.headers.items()}
    if headers == meta.headers:
        return {}
    return {"headers": headers, "request_id": meta.request_id and redact(meta.request_id, secret)}


def _plain_headers(headers: Mapping[str, str]) -> dict[str, str]:
    plain = ((name.lower(), value) for name, value in headers.items())
    return {name: value for name, value in plain if name not in _HIDDEN_HEADERS}
