"""Those who watch a call, told together. What one of them raises is logged: it must not cost the call."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Generic, TypeVar

from .._callbacks import ends_program, ends_task
from .._config import Endpoint
from .._hooks import LOG, is_logging_attempts
from .._sansio.observer import CallInfo, CallObserver, NoObserver, Observer, WaitObserver, WaitsObserver
from .._sansio.request import LargeJson, PreparedRequest
from .._sansio.retry import Decision
from .._sansio.target import ApiTarget, shown
from ..errors import RelayDanceError
from ..models.meta import AttemptRecord, ResponseMeta

if TYPE_CHECKING:
    from ..models.video import VideoTask

log = logging.getLogger("relaydance_async")

T = TypeVar("T")
O = TypeVar("O")  # noqa: E741  (an observer of something)


class _Told(Generic[O]):
    """Observers of one thing."""

    __slots__ = ("_observers",)

    def __init__(self, observers: Sequence[O]) -> None:
        self._observers = observers

    def _tell(self, tell: Callable[[O], None]) -> None:
        for observer in self._observers:
            try:
                tell(observer)
            except BaseException as error:
                _log(error)


class Watchers(_Told[CallObserver]):
    """The observers of one call."""

    __slots__ = ("_moments", "_open")

    def __init__(self, observers: Sequence[CallObserver]) -> None:
        super().__init__(observers)
        self._moments = frozenset[str]().union(*map(_moments_of, observers))
        self._open = False

    def wants(self, moment: str) -> bool:
        """Whether one of them does something then: what is only built to be told costs nothing else."""
        return moment in self._moments

    def asks(self, request: PreparedRequest) -> None:
        """See `CallObserver`, here and below."""
        body = request.body
        if isinstance(body, bytes) and body:
            self._tell(lambda observer: observer.asks(lambda: body))
        elif isinstance(body, LargeJson):
            self._tell(lambda observer: observer.asks(body.peek))

    def queued(self, attempt: int) -> None:
        if "queued" in self._moments:
            self._tell(lambda observer: observer.queued(attempt))

    def held(self, attempt: int, why: str) -> None:
        self._tell(lambda observer: observer.held(attempt, why))

    def admitted(self, attempt: int, queued_for: float, headers: dict[str, str]) -> None:
        self._tell(lambda observer: observer.admitted(attempt, queued_for, headers))

    async def sending(self, attempt: int) -> None:
        for observer in self._observers:
            await observer.sending(attempt)  # what this raises keeps the request from leaving

    def answered(self, attempt: int, meta: ResponseMeta) -> None:
        self._tell(lambda observer: observer.answered(attempt, meta))

    def streamed(self, chunk: object) -> None:
        if "streamed" in self._moments:
            self._tell(lambda observer: observer.streamed(chunk))

    def completed(self, result: object) -> None:
        self._tell(lambda observer: observer.completed(result))

    def progressed(self, done: int, total: int | None) -> None:
        if "progressed" in self._moments:
            self._tell(lambda observer: observer.progressed(done, total))

    async def failed(self, record: AttemptRecord, error: RelayDanceError, decision: Decision, elapsed: float) -> None:
        for observer in self._observers:
            try:
                await observer.failed(record, error, decision, elapsed)
            except BaseException as raised:
                if ends_task(raised):
                    raise
                _log(raised)

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
        self._tell(lambda observer: observer.ended(result, error, maybe_accepted))


class WaitWatchers(_Told[WaitObserver]):
    """The observers of one wait."""

    __slots__ = ("_task",)

    def __init__(self, observers: Sequence[WaitObserver]) -> None:
        super().__init__(observers)
        self._task: VideoTask | None = None

    def polled(self, task: VideoTask | None, error: RelayDanceError | None, pause: float | None) -> None:
        """See `WaitObserver`, here and below."""
        self._task = task or self._task
        self._tell(lambda observer: observer.polled(task, error, pause))

    def ended(self, error: BaseException | None) -> None:
        self._tell(lambda observer: observer.ended(self._task, error))


def watch(
    observers: Sequence[Observer], request: PreparedRequest, endpoint: Endpoint, *, streams: bool
) -> Watchers | None:
    """Tell the observers, and the log, that a call begins; None when nobody watches it."""
    info = _info(request, endpoint, streams)
    if is_logging_attempts():
        observers = (*observers, LOG)
    found = _begun([observer.call_began for observer in observers], info)
    if not found:
        return None
    watchers = Watchers(found)
    if watchers.wants("asks"):
        watchers.asks(request)
    return watchers


@contextmanager
def watch_wait(observers: Sequence[Observer], task_id: str) -> Generator[WaitWatchers, None, None]:
    """Tell the observers that a wait begins, and of its end."""
    waits = [observer.wait_began for observer in observers if isinstance(observer, WaitsObserver)]
    watchers = WaitWatchers(_begun(waits, task_id))
    try:
        yield watchers
    except BaseException as error:
        watchers.ended(error)
        raise
    watchers.ended(None)


def _info(request: PreparedRequest, endpoint: Endpoint, streams: bool) -> CallInfo:
    target = request.target
    path = shown(target)
    route = target.route if isinstance(target, ApiTarget) else ""
    return CallInfo(
        method=request.method,
        path=path,
        route=route,
        model=request.model,
        billed=request.safety.billed,
        task_id=request.task_id,
        id=f"{random.getrandbits(64):016x}",  # not a secret
        url=endpoint.url(ApiTarget(route, path)) if route else path,
        streams=streams,
    )


def _moments_of(observer: CallObserver) -> frozenset[str]:
    """At which moments an observer does something."""
    of_kind = _moments_of_kind(type(observer))
    return of_kind.union(_MOMENTS.intersection(vars(observer))) if hasattr(observer, "__dict__") else of_kind


@cache
def _moments_of_kind(kind: type[CallObserver]) -> frozenset[str]:
    return frozenset(name for name in _MOMENTS if getattr(kind, name, None) is not getattr(NoObserver, name))


_MOMENTS = frozenset(name for name in vars(NoObserver) if not name.startswith("_"))


def _begun(begin: Iterable[Callable[[T], O | None]], what: T) -> list[O]:
    """Those who watch it."""
    found: list[O] = []
    for of in begin:
        try:
            if (observer := of(what)) is not None:
                found.append(observer)
        except BaseException as error:
            _log(error)
    return found


def _log(raised: BaseException) -> None:
    if ends_program(raised):
        raise raised
    log.exception("a hook, or another observer, raised; the call goes on")
