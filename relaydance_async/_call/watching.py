"""Those who watch a call, told together. What one of them raises is logged: it must not cost the call."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from .._sansio.observer import CallInfo, CallObserver, Observer
from .._sansio.request import PreparedRequest
from .._sansio.retry import Decision
from .._sansio.target import ApiTarget, shown
from ..errors import RelayDanceError
from ..models.meta import AttemptRecord, ResponseMeta

log = logging.getLogger("relaydance_async")


class Watchers:
    """The observers of one call."""

    __slots__ = ("_observers", "_open")

    def __init__(self, observers: Sequence[CallObserver]) -> None:
        self._observers = observers
        self._open = False

    def queued(self, attempt: int) -> None:
        """See `CallObserver`, here and below."""
        for observer in self._observers:
            try:
                observer.queued(attempt)
            except Exception:
                _tell()

    def admitted(self, attempt: int, queued_for: float, headers: dict[str, str]) -> None:
        for observer in self._observers:
            try:
                observer.admitted(attempt, queued_for, headers)
            except Exception:
                _tell()

    async def sending(self, attempt: int) -> None:
        for observer in self._observers:
            await observer.sending(attempt)  # what this raises keeps the request from leaving

    def answered(self, attempt: int, meta: ResponseMeta) -> None:
        for observer in self._observers:
            try:
                observer.answered(attempt, meta)
            except Exception:
                _tell()

    async def failed(self, record: AttemptRecord, error: RelayDanceError, decision: Decision, elapsed: float) -> None:
        for observer in self._observers:
            try:
                await observer.failed(record, error, decision, elapsed)
            except Exception:
                _tell()

    def keep_open(self) -> None:
        """The call goes on after it has returned: its answer is still being read, and will say when it ends."""
        self._open = True

    def forgotten(self) -> None:
        """Nobody closed the answer that was kept open; it is garbage now."""
        self.ended(None, None, True)

    def returned(self, result: object) -> None:
        """The call has given its result."""
        if not self._open:
            self.ended(result, None, True)

    def ended(self, result: object, error: BaseException | None, maybe_accepted: bool) -> None:
        for observer in self._observers:
            try:
                observer.ended(result, error, maybe_accepted)
            except Exception:
                _tell()


def watch(observers: Sequence[Observer], request: PreparedRequest) -> Watchers | None:
    """Tell the observers that a call begins; None when nobody watches it."""
    path = shown(request.target)
    info = CallInfo(
        method=request.method,
        path=path,
        route=request.target.route if isinstance(request.target, ApiTarget) else "",
        model=request.model,
        billed=request.safety.billed,
        task_id=request.task_id,
    )
    found: list[CallObserver] = []
    for observer in observers:
        try:
            if (of_call := observer.call_began(info)) is not None:
                found.append(of_call)
        except Exception:
            _tell()
    return Watchers(found) if found else None


def _tell() -> None:
    log.exception("on_retry, or another observer, raised; the call goes on")
