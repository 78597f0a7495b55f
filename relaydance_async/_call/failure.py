"""The error that a failed attempt ends in: built once, of all that is known."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from .._sansio.redact import Redactor, without_queries
from .._sansio.request import PreparedRequest, RetrySafety
from .._sansio.retry import Decision, GiveUp, Retry, is_ambiguous
from ..errors import RelayDanceError
from ..models.meta import AttemptRecord, ResponseMeta
from .history import History


def settled(cause: RelayDanceError, meta: ResponseMeta, redactor: Redactor) -> RelayDanceError:
    """What an attempt ended in, without the key, and with what the head of its answer says about money.

    After a 2xx head nothing is "not accepted", whatever then went wrong. The cause stays as it is.
    """
    accepted = meta.status_code is not None and 200 <= meta.status_code < 300
    facts = {name: _redacted(value, redactor) for name, value in vars(cause).items() if name != "task_id"}
    facts["message"] = without_queries(facts["message"])
    facts["maybe_accepted"] = cause.maybe_accepted or accepted
    return cause._finished(**facts)  # pyright: ignore[reportPrivateUsage]


def build_failure(
    cause: RelayDanceError,
    *,
    meta: ResponseMeta,
    request: PreparedRequest,
    history: History,
    decision: Decision,
) -> RelayDanceError:
    """The finished error of a call. The cause stays as it is.

    Args:
        cause: what the attempt ended in, settled.
        meta: of the attempt.
        request: what was asked.
        history: with this attempt.
        decision: what follows.
    """
    return cause._finished(  # pyright: ignore[reportPrivateUsage]
        meta=replace(meta, attempts=history.records, sent_at=history.sent_at),
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


def _redacted(value: Any, redactor: Redactor) -> Any:
    """A part of an error, without the key."""
    if isinstance(value, str):
        return redactor.text(value)
    if isinstance(value, bytes):
        return redactor.body(value)
    if isinstance(value, BaseModel):
        written = value.model_dump_json()
        shown = redactor.text(written)
        return value if shown == written else type(value).model_validate_json(shown)
    return value
