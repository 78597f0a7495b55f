"""What is known of a connection that broke, and what follows from it for the request.

Each transport tells what it knows as a `Broke`, made where its library is imported. One pure function makes the error
of it, so what a failure means for money is decided in one place.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from enum import Enum
from typing import Literal, TypeAlias


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


class Progress:
    """How far one attempt has got. The transport moves it."""

    __slots__ = ("reached",)

    def __init__(self) -> None:
        self.reached: Reached = Reached.NOT_SENT

    def sending(self) -> Awaitable[None] | None:
        """The first byte is about to leave: a transport calls this, and awaits what it returns, before that byte."""
        self.reached = Reached.PARTLY_SENT
        return None

    def sent(self) -> None:
        """The last byte may have left."""
        self.reached = Reached.SENT


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
