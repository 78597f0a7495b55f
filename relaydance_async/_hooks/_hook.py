"""A caller's hook as an observer: each moment becomes an event."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass

from .._callbacks import ends_program
from .._sansio.observer import CallInfo, CallObserver, NoObserver, WaitObserver
from .._sansio.retry import Decision, Retry
from .._sansio.usage import tokens_of
from ..errors import RelayDanceError
from ..models.meta import AttemptRecord, ResponseMeta
from ..models.video import VideoTask
from ._events import (
    Admitted,
    AttemptEnded,
    CallBegan,
    CallEnded,
    Downloaded,
    FirstToken,
    HookEvent,
    Outcome,
    Polled,
    Retrying,
    Sending,
    StreamEnded,
)
from ._facts import is_cancellation, says_something
from ._later import Backlog, Mailbox, log_hook
from ._protocol import Hook

_STEP = 1024 * 1024
"""Bytes between two events of a download."""


@dataclass(frozen=True, slots=True)
class Hooked:
    """Tells one hook of calls and waits.

    Args:
        hook: the caller's.
        backlog: what asynchronous hooks have yet to do.
        monotonic: the clock, in seconds.
    """

    hook: Hook
    backlog: Backlog
    monotonic: Callable[[], float]

    def call_began(self, call: CallInfo) -> CallObserver:
        """See `Observer`."""
        return _OfCall(self, call)

    def wait_began(self, task_id: str) -> WaitObserver:
        """See `WaitsObserver`."""
        return _OfWait(self, task_id)


class _Teller:
    """Calls the hook, in the order of events."""

    __slots__ = ("_began", "_hooked", "_mailbox")

    def __init__(self, hooked: Hooked) -> None:
        self._hooked = hooked
        self._began = hooked.monotonic()
        self._mailbox: Mailbox | None = None

    def _elapsed(self) -> float:
        return self._hooked.monotonic() - self._began

    def _tell(self, event: HookEvent) -> None:
        try:
            answer = self._hooked.hook(event)
        except BaseException as error:  # of the hook's own making: no cancellation arrives here
            if ends_program(error):
                raise
            log_hook()
            return
        if answer is not None and inspect.isawaitable(answer):
            if self._mailbox is None:
                self._mailbox = Mailbox(self._hooked.backlog)
            self._mailbox.post(answer)


class _OfCall(_Teller, NoObserver):
    __slots__ = (
        "_attempt",
        "_attempts",
        "_call",
        "_chunks",
        "_is_complete",
        "_meta",
        "_next",
        "_spoke",
        "_tokens",
        "_why",
    )

    def __init__(self, hooked: Hooked, call: CallInfo) -> None:
        super().__init__(hooked)
        self._call = call
        self._attempt: tuple[int, float] | None = None
        """The one under way, and when it was its turn."""
        self._attempts = 0
        self._meta: ResponseMeta | None = None
        self._why: str | None = None
        self._chunks = 0
        self._spoke = self._is_complete = False
        self._tokens: tuple[int | None, int | None] = (None, None)
        self._next = 0
        self._tell(CallBegan(call, 0.0))

    def held(self, attempt: int, why: str) -> None:
        self._why = why

    def admitted(self, attempt: int, queued_for: float, headers: dict[str, str]) -> None:
        why, self._why = self._why, None
        elapsed = self._elapsed()
        self._attempt, self._meta = (attempt, elapsed), None
        self._attempts += 1
        self._tell(Admitted(self._call, elapsed, attempt, queued_for, why))

    async def sending(self, attempt: int) -> None:
        self._tell(Sending(self._call, self._elapsed(), attempt))

    def answered(self, attempt: int, meta: ResponseMeta) -> None:
        self._meta = meta

    def streamed(self, chunk: object) -> None:
        self._chunks += 1
        if not self._spoke and says_something(chunk):
            self._spoke = True
            self._tell(FirstToken(self._call, self._elapsed()))

    def completed(self, result: object) -> None:
        self._is_complete = True
        self._tokens = tokens_of(result)

    def progressed(self, done: int, total: int | None) -> None:
        if done >= self._next or done == total:
            self._next = done + _STEP
            self._tell(Downloaded(self._call, self._elapsed(), done, total))

    async def failed(self, record: AttemptRecord, error: RelayDanceError, decision: Decision, elapsed: float) -> None:
        self._end_attempt(error)
        if isinstance(decision, Retry):
            self._tell(Retrying(self._call, elapsed, record.number, error, decision.after))

    def ended(self, result: object, error: BaseException | None, maybe_accepted: bool) -> None:
        if self._call.streams and self._attempt is not None and self._meta is not None and result is None:
            self._tell(StreamEnded(self._call, self._elapsed(), self._chunks, self._is_complete))
        self._end_attempt(error if isinstance(error, RelayDanceError) else None)
        is_cancelled = error is not None and is_cancellation(error)
        meta = self._meta or getattr(result, "meta", None)
        tokens = tokens_of(result) if result is not None else self._tokens
        self._tell(
            CallEnded(
                self._call,
                self._elapsed(),
                self._outcome(error, is_cancelled=is_cancelled, is_left=result is None),
                None if is_cancelled else error,
                self._attempts,
                meta.status_code if meta is not None else None,
                meta.request_id if meta is not None else None,
                maybe_accepted,
                getattr(meta, "replayed", False),
                *tokens,
            )
        )

    def _outcome(self, error: BaseException | None, *, is_cancelled: bool, is_left: bool) -> Outcome:
        if error is not None:
            return "cancelled" if is_cancelled else "failed"
        return "left" if self._call.streams and is_left and not self._is_complete else "returned"

    def _end_attempt(self, error: RelayDanceError | None) -> None:
        if self._attempt is None:
            return
        (number, since), self._attempt = self._attempt, None
        elapsed, meta = self._elapsed(), self._meta
        status, request_id = (None, None) if meta is None else (meta.status_code, meta.request_id)
        self._tell(AttemptEnded(self._call, elapsed, number, elapsed - since, status, request_id, error))


class _OfWait(_Teller):
    __slots__ = ("_task_id",)

    def __init__(self, hooked: Hooked, task_id: str) -> None:
        super().__init__(hooked)
        self._task_id = task_id

    def polled(self, task: VideoTask | None, error: RelayDanceError | None, pause: float | None) -> None:
        status, progress = (None, None) if task is None else (task.status, task.progress)
        self._tell(Polled(self._task_id, self._elapsed(), status, progress, error, pause))

    def ended(self, task: VideoTask | None, error: BaseException | None) -> None:
        """The last poll has said it; a cancellation is told by the call that it ends."""
