"""What is known of a connection that broke, and what follows from it for the request.

Each transport tells what it knows as a `Broke`, made where its library is imported. One pure function makes the error
of it, so what a failure means for money is decided in one place.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from enum import Enum
from typing import Literal, TypeAlias

from ..errors import APIConnectionError, APITimeoutError, InvalidInputError, RelayDanceError, ResponseDecodeError
from .timeout import Timeout

_TEXT_LIMIT = 300
"""Characters of another's text in a message of ours."""


class Reached(Enum):
    """How far a request got. What isn't known counts as the further one."""

    NOT_SENT = "not sent"
    """No byte of it can have left."""

    PARTLY_SENT = "partly sent"
    """Its last byte was never written, so it can't have been accepted."""

    SENT = "sent"
    """All of it may have left, and nothing has come back."""

    ANSWERING = "answering"
    """The head of an answer has come."""

    @property
    def maybe_accepted(self) -> bool:
        """Whether the other side may have had the whole request."""
        return self in (Reached.SENT, Reached.ANSWERING)


# Looking up a member of an enum takes as long as all else in these methods.
_NOT_SENT, _PARTLY_SENT, _SENT, _ANSWERING = Reached


class Progress:
    """How far one attempt has got. The transport moves it."""

    __slots__ = ("reached",)

    def __init__(self) -> None:
        self.reached: Reached = _NOT_SENT

    def sending(self) -> Awaitable[None] | None:
        """The first byte is about to leave: a transport calls this, and awaits what it returns, before that byte.

        What it raises, and a cancellation of what it returns, end the attempt with nothing sent.
        """
        self.reached = _PARTLY_SENT
        return None

    def sent(self) -> None:
        """The last byte may have left."""
        if self.reached is not _ANSWERING:  # an answer may come before the end of an upload
            self.reached = _SENT

    def unsent(self) -> None:
        """No byte has left after all: the connection took none."""
        self.reached = _NOT_SENT

    def refused(self) -> None:
        """The last byte was not written after all: the connection did not take it, and never will."""
        if self.reached is _SENT:
            self.reached = _PARTLY_SENT

    def answered(self) -> None:
        """The head of an answer has come."""
        self.reached = _ANSWERING


BreakKind: TypeAlias = Literal["connect", "timeout", "tls", "proxy", "closed", "coding", "body", "setup"]


@dataclass(frozen=True, slots=True)
class Broke:
    """A connection that could not be made, or broke.

    Attributes:
        reached: how far the request had got.
        kind: what broke: "connect" (no connection), "timeout" (of a phase), "tls" (distrust), "proxy" (it refused),
            "closed" (by the other side), "coding" (of the answer's content), "body" (of the request can't be read),
            "setup" (this can't be sent at all).
        text: one line for a person, without secrets.
        retryable: whether the same request may succeed later.
    """

    reached: Reached
    kind: BreakKind
    text: str
    retryable: bool = True


def build_connection_error(broke: Broke, *, peer: str) -> RelayDanceError:
    """The error for a connection that could not be made, or broke.

    Args:
        peer: who was asked, such as "the gateway".
    """
    text = as_line(broke.text)
    maybe_accepted = broke.reached.maybe_accepted
    match broke.kind:
        case "coding":
            message = f"the answer's content encoding is broken: {text}"
            return ResponseDecodeError(message, maybe_accepted=maybe_accepted)
        case "body":
            return InvalidInputError(text)  # a request without its end is never accepted
        case "timeout":
            return APITimeoutError(text, retryable=broke.retryable, maybe_accepted=maybe_accepted)
        case "proxy":
            message = f"the proxy refused the connection: {text}"
        case _ if broke.reached is Reached.NOT_SENT:
            message = f"no connection to {peer}: {text}"
        case _:
            message = f"the connection broke: {text}"
    return APIConnectionError(message, retryable=broke.retryable, maybe_accepted=maybe_accepted)


Phase: TypeAlias = Literal["connect", "pool", "read", "write"]


def describe_timeout(phase: Phase, timeout: Timeout) -> str:
    """What did not happen in time, and in how many seconds."""
    match phase:
        case "connect":
            return f"no connection within {timeout.connect:g} s"
        case "pool":
            return f"no free connection in the pool within {timeout.connect:g} s"
        case "read":
            return f"no answer within {timeout.read:g} s"
        case "write":
            return f"the request could not be sent within {timeout.write:g} s"


def is_passing_refusal(status: int) -> bool:
    """Whether a proxy that refused with this status may agree later. What a password lacks, no repetition brings."""
    return status >= 500 or status in (408, 429)


def as_line(text: str) -> str:
    """A text of somebody else's as one line of bounded length."""
    line = " ".join(text.split())
    return line if len(line) <= _TEXT_LIMIT else f"{line[:_TEXT_LIMIT]}…"
