"""What the log tells of a call: an observer that is always there, and costs one look while its level is off.

Each entry is one line, whatever others wrote.
"""

from __future__ import annotations

import logging

from .._sansio.observer import CallInfo, CallObserver, NoObserver
from .._sansio.redact import one_line
from .._sansio.retry import Decision, Retry
from ..errors import RelayDanceError
from ..models.meta import AttemptRecord, ResponseMeta

log = logging.getLogger("relaydance_async")


def is_logging() -> bool:
    """Whether anything is to be told."""
    return log.isEnabledFor(logging.INFO)


class _Log:
    def call_began(self, call: CallInfo) -> CallObserver:
        return _Attempts(call) if log.isEnabledFor(logging.DEBUG) else _Ends(call)


class _Ends(NoObserver):
    """At INFO: how a call failed."""

    __slots__ = ("_call",)

    def __init__(self, call: CallInfo) -> None:
        self._call = call

    def ended(self, result: object, error: BaseException | None, maybe_accepted: bool) -> None:
        """A call is over. What its reader raised is no failure of it."""
        if isinstance(error, RelayDanceError) and error.path == self._call.path:
            log.info(
                "%s: failed: %s, status %s, code %s, request id %s, attempts %d",
                one_line(f"{error.method} {error.path}"),
                type(error).__name__,
                error.status_code,
                one_line(str(error.code)),
                one_line(str(error.request_id)),
                len(error.attempts),
            )


class _Attempts(_Ends):
    """At DEBUG: each attempt as well."""

    __slots__ = ("_answered",)

    def __init__(self, call: CallInfo) -> None:
        super().__init__(call)
        self._answered: tuple[int, ResponseMeta] | None = None

    def answered(self, attempt: int, meta: ResponseMeta) -> None:
        """An attempt succeeds, unless its failure is told."""
        self._answered = attempt, meta

    async def failed(self, record: AttemptRecord, error: RelayDanceError, decision: Decision, elapsed: float) -> None:
        """An attempt failed, and what follows."""
        self._answered = None
        follows = f"again in {decision.after:.2f} s" if isinstance(decision, Retry) else decision.why
        log.debug("%s: attempt %d: %s: %s", self._name(), record.number, type(error).__name__, one_line(follows))

    def ended(self, result: object, error: BaseException | None, maybe_accepted: bool) -> None:
        """A call is over."""
        if self._answered is not None:
            attempt, meta = self._answered
            log.debug(
                "%s: attempt %d: status %s, request id %s",
                self._name(),
                attempt,
                meta.status_code,
                one_line(str(meta.request_id)),
            )
        super().ended(result, error, maybe_accepted)

    def _name(self) -> str:
        return one_line(f"{self._call.method} {self._call.path}")


LOG = _Log()
