"""What hooks are told: frozen, plain values, which can be pickled. None holds the key, a prompt or an answer.

An error in an event holds what the gateway said, which may quote what it was asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from .._sansio.observer import CallInfo
from ..errors import RelayDanceError

Outcome: TypeAlias = Literal["returned", "failed", "cancelled", "left"]
"""How a call ended. "left": its stream was closed, or forgotten, before its end."""


@dataclass(frozen=True, slots=True)
class CallEvent:
    """What all events of a call have.

    Attributes:
        call: the call. Its `id` is the same in all its events.
        elapsed: seconds since the call began.
    """

    call: CallInfo
    elapsed: float


@dataclass(frozen=True, slots=True)
class CallBegan(CallEvent):
    """A call begins. Its first attempt asks for its turn next."""


@dataclass(frozen=True, slots=True)
class Admitted(CallEvent):
    """It is an attempt's turn: a connection is looked for.

    Attributes:
        attempt: its number, from 1.
        queued: seconds that it waited.
        why: what it had to wait for, in a few words; None: it did not wait.
    """

    attempt: int
    queued: float
    why: str | None = None


@dataclass(frozen=True, slots=True)
class Sending(CallEvent):
    """There is a connection, and the first byte of the request leaves.

    Attributes:
        attempt: its number, from 1.
    """

    attempt: int


@dataclass(frozen=True, slots=True)
class AttemptEnded(CallEvent):
    """An attempt is over. That of a stream ends with the stream.

    Attributes:
        attempt: its number, from 1.
        seconds: that it took, once it was its turn.
        status_code: of its answer; None: there was none.
        request_id: the gateway's id of the request, or None.
        error: what it ended in; None: it succeeded, or the call was cancelled.
    """

    attempt: int
    seconds: float
    status_code: int | None = None
    request_id: str | None = None
    error: RelayDanceError | None = None


@dataclass(frozen=True, slots=True)
class Retrying(CallEvent):
    """A failed attempt will be repeated.

    Attributes:
        attempt: the number of the failed one.
        error: what that ended in.
        wait: seconds until the next.
    """

    attempt: int
    error: RelayDanceError
    wait: float


@dataclass(frozen=True, slots=True)
class FirstToken(CallEvent):
    """The first chunk of a stream that says something: text, reasoning, or a tool call."""


@dataclass(frozen=True, slots=True)
class StreamEnded(CallEvent):
    """A streamed answer is over.

    Attributes:
        chunks: that came.
        is_complete: whether it came to its end.
    """

    chunks: int
    is_complete: bool


@dataclass(frozen=True, slots=True)
class Downloaded(CallEvent):
    """A download has come this far. Told for each MiB, and at the end.

    Attributes:
        done: bytes that have come, those of earlier attempts included.
        total: all bytes; None: the server did not say.
    """

    done: int
    total: int | None


@dataclass(frozen=True, slots=True)
class CallEnded(CallEvent):
    """A call is over; that of a stream ends with the stream.

    Attributes:
        outcome: "returned", "failed", "cancelled" or "left".
        error: what it raised; None unless it has failed.
        attempts: how many there were. None was sent when there was an answer in the journal (`replayed`).
        status_code: of the last answer, or None.
        request_id: the gateway's id of the last request, or None.
        maybe_accepted: whether the request was, or may have been, accepted. If it isn't billed it says nothing.
        replayed: whether the answer came from the journal.
        input_tokens: of the request, as the gateway counted them, or None.
        output_tokens: of the answer, likewise.
    """

    outcome: Outcome
    error: BaseException | None = None
    attempts: int = 0
    status_code: int | None = None
    request_id: str | None = None
    maybe_accepted: bool = False
    replayed: bool = False
    input_tokens: int | None = None
    output_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Polled:
    """A wait for a video task has asked for it. The poll is a call too, with events of its own.

    Attributes:
        task_id: of the task.
        elapsed: seconds since the wait began.
        status: of the task, as the gateway showed it; None: the poll failed.
        progress: 0 to 100, or None.
        error: why the poll failed, or None. The wait goes on unless `pause` is None.
        pause: seconds until the next poll; None: the wait is over.
    """

    task_id: str
    elapsed: float
    status: str | None = None
    progress: float | None = None
    error: RelayDanceError | None = None
    pause: float | None = None


HookEvent: TypeAlias = (
    CallBegan
    | Admitted
    | Sending
    | AttemptEnded
    | Retrying
    | FirstToken
    | StreamEnded
    | Downloaded
    | CallEnded
    | Polled
)
"""All that a hook may be told."""
