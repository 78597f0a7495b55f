"""Admission: one wait between a call and the network, whatever it is that the call waits for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeAlias

from .._sansio.outage import Failure


class Kind(StrEnum):  # hashed for each attempt: a text's hash is known, any other enum's is computed in Python
    """What shares the permits of the API, none of which can take all of them."""

    BILLED = "billed"
    """A request that is paid for and answered whole."""

    POLL = "poll"
    """A request that may be repeated: a poll of a task, a list."""

    STREAM = "stream"
    """A stream: it holds its permit until it is closed."""


class Barrier(Protocol):
    """What a call must pass besides a permit. Times are seconds on the monotonic clock."""

    def delay(self, now: float) -> float:
        """Seconds until the next call may pass; infinite: not before one that is under way has ended."""
        ...

    def passed(self, now: float) -> object:
        """A call passes; what comes back belongs to it."""
        ...


class Order:
    """Whose turn is first among calls of one priority."""

    METADATA = 0
    """What a download asks of the API."""
    POLL = 1
    ASKED = 2
    """Chats, images, submits, uploads: somebody waits for the answer, or pays for it."""


class Gates(Protocol):
    """What is known of a key's limits."""

    def gate(self, ticket: Ticket, /) -> Barrier:
        """What a call must pass."""
        ...


@dataclass(slots=True)  # a frozen one takes three times as long to make
class Ticket:
    """Who asks to be admitted. It is never changed.

    Attributes:
        kind: whose share of the permits it takes.
        route: the template of the path.
        model: that is asked for, or None.
        priority: the higher goes first among those that wait; equal ones share fairly between views, and in a view in
            the order they came.
        order: among those of one priority; see `Order`.
        view: of the client (`with_options`) whose call it is.
        deadline: on the monotonic clock, or None. Who can't be admitted before it is refused at once.
        began_at: when its call began, on the monotonic clock.
        gates: of the API key, or None: those of the client's first one.
    """

    kind: Kind
    route: str
    model: str | None = None
    priority: int = 0
    deadline: float | None = None
    began_at: float = 0.0
    order: int = 2
    view: int = 0
    gates: Gates | None = None


class Ended(StrEnum):  # hashed as `Kind` is
    """How an attempt ended, as far as a limiter learns from it."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    """By a rate limit: HTTP 429."""
    OVERLOADED = "overloaded"
    """The gateway says that it is overrun."""
    ANSWERED = "answered"
    """By the gateway, which is at work: an answer that says nothing about a limit."""
    UNREACHED = "unreached"
    """There was no connection."""
    OTHER = "other"
    """It says nothing: it was cancelled, for one."""


How: TypeAlias = Ended | Failure
"""How an attempt ended; a `Failure` is that of the gateway."""


class Lease(Protocol):
    """The right to make one attempt. It is given back exactly once, by `ended`."""

    @property
    def queued_for(self) -> float:
        """Seconds between asking and being admitted."""
        ...

    @property
    def why(self) -> str | None:
        """Why it could not be admitted at once, in a few words; None: it was."""
        ...

    @property
    def is_probe(self) -> bool:
        """Whether the gateway is failing, and this attempt is to show if it is back."""
        ...

    def probed(self) -> None:
        """The gateway is back. The lease goes on, as any other."""
        ...

    def ended(self, how: How, retry_after: float | None = None) -> None:
        """Give the permit back, and let the limiter learn. Safe to call twice: only the first counts.

        Args:
            how: the attempt ended.
            retry_after: seconds that a refusal asked for.
        """
        ...


class Admission(Protocol):
    """Lets attempts in."""

    @property
    def in_use(self) -> int:
        """How many leases are out."""
        ...

    @property
    def waiting(self) -> int:
        """How many wait for one."""
        ...

    def abandon(self) -> None:
        """The loop has ended without a word: what was under way in it is not any more."""
        ...

    def queued(self) -> dict[int, int]:
        """How many wait, by their priority."""
        ...

    def enter_now(self, ticket: Ticket) -> Lease | None:
        """Admit it at once, or not: then `enter` waits. An admission that is shared over a network never can."""
        ...

    async def enter(self, ticket: Ticket) -> Lease:
        """Wait until it may begin. Cancellation leaves nothing behind.

        Raises:
            APITimeoutError: its turn can't come before the ticket's deadline; it says when it would.
            ServerError: the gateway fails, and a ticket without a deadline has waited for a minute.
        """
        ...
