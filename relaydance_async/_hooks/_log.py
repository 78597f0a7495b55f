"""What the log tells of a call. Each entry is one line, whatever others wrote; a level that is off costs one look.

At DEBUG an observer of each call tells of its attempts. The end of a failed one, at INFO, is told without an observer:
many programs log at INFO, and a call that succeeds costs them nothing.
"""

from __future__ import annotations

import logging
from functools import partial

from .._sansio.observer import CallInfo, CallObserver, NoObserver
from .._sansio.redact import one_line
from .._sansio.retry import Decision, Retry
from ..errors import RelayDanceError
from ..models.meta import AttemptRecord, ResponseMeta

log = logging.getLogger("relaydance_async")


is_logging_attempts = partial(log.isEnabledFor, logging.DEBUG)
"""Whether `LOG` is to be told of calls."""


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


class _Log:
    def call_began(self, call: CallInfo) -> CallObserver:
        return _Attempts(call)


class _Attempts(NoObserver):
    __slots__ = ("_answered", "_call")

    def __init__(self, call: CallInfo) -> None:
        self._call = one_line(f"{call.method} {call.path}")
        self._answered: tuple[int, ResponseMeta] | None = None

    def answered(self, attempt: int, meta: ResponseMeta) -> None:
        """It succeeds, unless its failure is told."""
        self._answered = attempt, meta

    async def failed(self, record: AttemptRecord, error: RelayDanceError, decision: Decision, elapsed: float) -> None:
        """It failed, and what follows."""
        self._answered = None
        follows = f"again in {decision.after:.2f} s" if isinstance(decision, Retry) else decision.why
        log.debug("%s: attempt %d: %s: %s", self._call, record.number, type(error).__name__, one_line(follows))

    def ended(self, result: object, error: BaseException | None, maybe_accepted: bool) -> None:
        """The call is over, and so is its last attempt."""
        if self._answered is not None:
            attempt, meta = self._answered
            request_id = one_line(str(meta.request_id))
            log.debug("%s: attempt %d: status %s, request id %s", self._call, attempt, meta.status_code, request_id)


LOG = _Log()
"""The observer of all calls, at DEBUG."""
