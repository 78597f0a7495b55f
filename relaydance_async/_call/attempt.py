"""One attempt of a call, and how far it has come."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import datetime, timedelta
from enum import Enum

from .._config import Clock
from .._sansio.breakage import Progress, Reached
from ..errors import RelayDanceError
from ..models.meta import AttemptRecord, ResponseMeta
from .watching import Watchers


class Phase(Enum):
    """Where an attempt is. It only moves down this list."""

    QUEUED = "queued"
    """It waits for its turn; nothing has happened that could be called an attempt."""

    ADMITTED = "admitted"
    """It is its turn: a connection is being looked for."""

    SENDING = "sending"
    """There is one, and the first byte leaves."""

    ANSWERED = "answered"
    """The head of an answer has come."""

    ENDED = "ended"


# Looking up a member of an enum takes as long as all else in these methods.
_QUEUED, _ADMITTED, _SENDING, _ANSWERED, _ENDED = Phase
_NOT_SENT, _PARTLY_SENT, _ANSWERING = Reached.NOT_SENT, Reached.PARTLY_SENT, Reached.ANSWERING


class Attempt(Progress):
    """One attempt. Its phase moves in these methods and nowhere else, and each move tells those who watch.

    It knows nothing of its call, which knows it: such a cycle would leave every call to the garbage collector, which at
    thousands in flight costs more than all else.
    """

    __slots__ = ("_clock", "_watchers", "admitted_at", "number", "phase", "queued_for", "sent_at")

    def __init__(self, number: int, clock: Clock, watchers: Watchers | None) -> None:
        self.reached: Reached = _NOT_SENT
        self.number: int = number
        self.phase: Phase = _QUEUED
        self.queued_for: float = 0.0
        self.admitted_at: float | None = None
        """When it was its turn, on the monotonic clock."""
        self.sent_at: datetime | None = None
        """When its first byte left (UTC)."""
        self._clock = clock
        self._watchers = watchers
        if watchers is not None:
            watchers.queued(number)

    def admitted(self, queued_for: float, headers: dict[str, str]) -> None:
        """It is its turn, after that many seconds."""
        self.phase = _ADMITTED
        self.queued_for = queued_for
        self.admitted_at = self._clock.monotonic()
        if self._watchers is not None:
            self._watchers.admitted(self.number, queued_for, headers)

    def sending(self) -> Awaitable[None] | None:
        """See `Progress`."""
        if self._watchers is not None and self._watchers.wants("sending"):
            return self._announced(self._watchers)
        self.phase = _SENDING
        self.sent_at = self._clock.now()
        self.reached = _PARTLY_SENT
        return None

    async def _announced(self, watchers: Watchers) -> None:
        await watchers.sending(self.number)
        self.phase = _SENDING
        self.sent_at = self._clock.now()
        self.reached = _PARTLY_SENT

    def unsent(self) -> None:
        """See `Progress`."""
        super().unsent()
        self.sent_at = None

    def received(self, meta: ResponseMeta | None) -> None:
        """The head of an answer has come. It is needed only if somebody watches."""
        self.phase = _ANSWERED
        self.reached = _ANSWERING
        if self._watchers is not None and meta is not None:
            self._watchers.answered(self.number, meta)

    def ended(self) -> None:
        """It is over."""
        self.phase = _ENDED

    @property
    def elapsed(self) -> float | None:
        """Seconds since it was its turn; None before."""
        return None if self.admitted_at is None else self._clock.monotonic() - self.admitted_at

    def record(self, error: RelayDanceError, status: int | None) -> AttemptRecord | None:
        """The attempt as its error lists it; None of one that never got its turn, for it was none."""
        if (elapsed := self.elapsed) is None:
            return None
        return AttemptRecord(
            number=self.number,
            started_at=self.sent_at or self._clock.now() - timedelta(seconds=elapsed),
            elapsed=elapsed,
            error=type(error).__name__,
            status_code=status,
            code=error.code,
            queued=self.queued_for,
        )
