"""What the log tells of a call. Each entry is one line, whatever others wrote; a level that is off costs one look."""

from __future__ import annotations

import logging

from .._sansio.redact import one_line
from .._sansio.request import PreparedRequest
from .._sansio.retry import Decision, Retry
from .._sansio.target import shown
from ..errors import RelayDanceError
from ..models.meta import ResponseMeta
from .attempt import Attempt

log = logging.getLogger("relaydance_async")


def tells_attempts() -> bool:
    """Whether to call `tell_answered`: asked first, so that no `ResponseMeta` is built for nobody."""
    return log.isEnabledFor(logging.DEBUG)


def tell_answered(attempt: Attempt, meta: ResponseMeta) -> None:
    """An attempt succeeded. Of a stream: it has begun."""
    log.debug(
        "%s: attempt %d: status %s, request id %s",
        one_line(f"{meta.method} {meta.path}"),
        attempt.number,
        meta.status_code,
        one_line(str(meta.request_id)),
    )


def tell_failed(request: PreparedRequest, attempt: Attempt, cause: RelayDanceError, decision: Decision) -> None:
    """An attempt failed, and what follows."""
    if log.isEnabledFor(logging.DEBUG):
        follows = f"again in {decision.after:.2f} s" if isinstance(decision, Retry) else decision.why
        log.debug(
            "%s: attempt %d: %s: %s",
            one_line(f"{request.method} {shown(request.target)}"),
            attempt.number,
            type(cause).__name__,
            one_line(follows),
        )


def tell_end(error: RelayDanceError) -> None:
    """A call failed."""
    if log.isEnabledFor(logging.INFO):
        log.info(
            "%s: failed: %s, status %s, code %s, request id %s, attempts %d",
            one_line(f"{error.method} {error.path}"),
            type(error).__name__,
            error.status_code,
            one_line(str(error.code)),
            one_line(str(error.request_id)),
            len(error.attempts),
        )
