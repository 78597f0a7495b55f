"""What can be watched of a call: one protocol, called where the phase of an attempt moves.

    call_began -> asks
      per attempt:  queued -> held -> admitted -> sending -> answered        (or failed, from admitted on)
                    its answer:  streamed -> completed, or progressed
    ended

An attempt that succeeds, that the call's deadline or a cancellation cuts short, or that never got its turn, has no
other end than its call's. Only `sending` and `failed` may wait: the event loop stands still in all others.

A wait for a video task is no call, but many. Whoever is a `WaitsObserver` too is told of it as a whole.

Hooks, logs, tracing and a journal are observers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from ..errors import RelayDanceError
from ..models.meta import AttemptRecord, ResponseMeta
from .retry import Decision

if TYPE_CHECKING:
    from ..models.video import VideoTask


@dataclass(frozen=True, slots=True)
class CallInfo:
    """A call, as observers are told of it.

    Attributes:
        method: of the request.
        path: the target as it may be shown: no query, no signature.
        route: the template of the path; "" for another host's, as in a `Ticket`. Headers that are added go there too.
        model: that is asked for, or None.
        billed: whether it is paid for when accepted.
        task_id: the video task that it is about, or None.
        id: of this call, random: what all that is told of it has in common.
        url: the absolute URL, as it may be shown.
        streams: whether its answer is read piece by piece after the call has returned.
    """

    method: str
    path: str
    route: str
    model: str | None
    billed: bool
    task_id: str | None
    id: str = ""
    url: str = ""
    streams: bool = False


class CallObserver(Protocol):
    """Watches one call. Whoever wants only some of these moments derives from `NoObserver`."""

    def asks(self, body: Callable[[], bytes]) -> None:
        """What is asked: JSON, which is made when it is called for. Not told of an upload, or a request without it."""
        ...

    def queued(self, attempt: int) -> None:
        """An attempt (numbered from 1) waits for its turn."""
        ...

    def held(self, attempt: int, why: str) -> None:
        """It could not go at once, for this reason. It is admitted now; or the call ends."""
        ...

    def admitted(self, attempt: int, queued_for: float, headers: dict[str, str]) -> None:
        """It was its turn, after that many seconds. Headers may be added; the key is not among them."""
        ...

    async def sending(self, attempt: int) -> None:
        """There is a connection, and the first byte of the request leaves as soon as this returns.

        What it raises ends the attempt with nothing sent.
        """
        ...

    def answered(self, attempt: int, meta: ResponseMeta) -> None:
        """The head of an answer came: its status, its headers and the gateway's id of the request."""
        ...

    def streamed(self, chunk: object) -> None:
        """The next chunk of a streamed chat completion has come."""
        ...

    def completed(self, result: object) -> None:
        """A streamed answer has come to its end; this is the whole of it. One that is left before has no such end."""
        ...

    def progressed(self, done: int, total: int | None) -> None:
        """So many bytes of a download have come, those of earlier attempts included; total: None if nobody said."""
        ...

    async def failed(self, record: AttemptRecord, error: RelayDanceError, decision: Decision, elapsed: float) -> None:
        """The attempt failed; `decision` says what follows. Awaited before the wait for the next one.

        Args:
            record: of the attempt, as the error lists it.
            error: finished, with all attempts so far.
            decision: a `Retry` after so many seconds, or a `GiveUp`.
            elapsed: seconds since the call began.
        """
        ...

    def ended(self, result: object, error: BaseException | None, maybe_accepted: bool) -> None:
        """The call is over: with a result, an error, or a cancellation. A stream's call ends with the stream.

        Args:
            result: what the call gave, or None.
            error: what it raised, or None. A scope that swallows a cancellation can't keep it from here.
            maybe_accepted: whether the request was, or may have been, accepted. Of one that isn't billed it says
                nothing.
        """
        ...


class Observer(Protocol):
    """Watches the calls of a client."""

    def call_began(self, call: CallInfo) -> CallObserver | None:
        """A call begins; None: not to be watched."""
        ...


class WaitObserver(Protocol):
    """Watches one wait for a video task."""

    def polled(self, task: VideoTask | None, error: RelayDanceError | None, pause: float | None) -> None:
        """A poll has ended.

        Args:
            task: what it found, or None.
            error: why it found nothing.
            pause: seconds until the next poll; None: the wait is over.
        """
        ...

    def ended(self, task: VideoTask | None, error: BaseException | None) -> None:
        """The wait is over: the task as it was last seen, and why that was not waited for any longer, or None."""
        ...


@runtime_checkable
class WaitsObserver(Protocol):
    """Watches the waits of a client. `wait_began` and `ended` are called in the same context of `contextvars`."""

    def wait_began(self, task_id: str) -> WaitObserver | None:
        """A wait for a task begins; None: not to be watched."""
        ...


class NoObserver:
    """Watches nothing: the base of those who watch some moments only."""

    __slots__ = ()

    def asks(self, body: Callable[[], bytes]) -> None:
        """See `CallObserver`, here and below."""

    def queued(self, attempt: int) -> None:
        """See `CallObserver`."""

    def held(self, attempt: int, why: str) -> None:
        """See `CallObserver`."""

    def admitted(self, attempt: int, queued_for: float, headers: dict[str, str]) -> None:
        """See `CallObserver`."""

    async def sending(self, attempt: int) -> None:
        """See `CallObserver`."""

    def answered(self, attempt: int, meta: ResponseMeta) -> None:
        """See `CallObserver`."""

    def streamed(self, chunk: object) -> None:
        """See `CallObserver`."""

    def completed(self, result: object) -> None:
        """See `CallObserver`."""

    def progressed(self, done: int, total: int | None) -> None:
        """See `CallObserver`."""

    async def failed(self, record: AttemptRecord, error: RelayDanceError, decision: Decision, elapsed: float) -> None:
        """See `CallObserver`."""

    def ended(self, result: object, error: BaseException | None, maybe_accepted: bool) -> None:
        """See `CallObserver`."""
