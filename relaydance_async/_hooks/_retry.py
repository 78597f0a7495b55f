"""`on_retry`: the observer that tells a caller's function of each failure that is followed by a retry."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from .._callbacks import call_back
from .._sansio.observer import CallInfo, CallObserver, NoObserver, Observer
from .._sansio.retry import Decision, Retry
from ..errors import ConfigurationError, RelayDanceError
from ..models.meta import AttemptRecord

log = logging.getLogger("relaydance_async")


@dataclass(frozen=True, slots=True)
class RetryEvent:
    """A failed attempt that will be repeated.

    Attributes:
        attempt: the number of the failed attempt, from 1.
        error: what it ended in.
        wait: seconds until the next attempt.
        elapsed: seconds since the call began.
        method: of the request.
        path: of the request, without a query; of another host's, its URL without the query.
    """

    attempt: int
    error: RelayDanceError
    wait: float
    elapsed: float
    method: str
    path: str


RetryHook: TypeAlias = Callable[[RetryEvent], Awaitable[None] | None]


def as_observer(hook: RetryHook | None) -> Observer | None:
    """The observer that calls the function, if there is one.

    Raises:
        ConfigurationError: it can't be called.
    """
    if hook is not None and not callable(hook):
        raise ConfigurationError(f"on_retry must be a function, not {type(hook).__name__}")
    return None if hook is None else _OnRetry(hook)


@dataclass(frozen=True, slots=True)
class _OnRetry:
    hook: RetryHook

    def call_began(self, call: CallInfo) -> CallObserver:
        return _OfCall(self.hook, call)


@dataclass(frozen=True, slots=True)
class _OfCall(NoObserver):
    hook: RetryHook
    call: CallInfo

    async def failed(self, record: AttemptRecord, error: RelayDanceError, decision: Decision, elapsed: float) -> None:
        if isinstance(decision, Retry):
            path = self.call.path
            event = RetryEvent(record.number, error, decision.after, elapsed, self.call.method, path)
            await call_back(self.hook, event, _log)


def _log() -> None:
    log.exception("on_retry raised; the call goes on")
