"""The pace of one key, as the event loops of a client share it."""

from __future__ import annotations

from .._sansio.pace import Closed, Open, PaceLimits, Starting, State, Steady

_NO_ANSWER = 1.0
"""Seconds; the pause after a 429 that doesn't say how long. The API documents no number."""


class KeyPace:
    """The state that the pace of a key is in.

    One serves all event loops of a client, also in several threads. It needs no lock, which a fork could leave locked:
    each step reads the state once and puts the next one in its place. When two threads step at the same moment, one
    step is lost: one call is not counted, or one 429 not heard, and the next 429 says the same again.

    Args:
        state: to begin with; that of a new client, if None.
        limits: the numbers of the pace.
    """

    __slots__ = ("_limits", "state")

    def __init__(self, state: State | None = None, limits: PaceLimits | None = None) -> None:
        self._limits = limits if limits is not None else PaceLimits()
        self.state: State = state if state is not None else Starting(self._limits.start)
        """As of the last event."""

    @property
    def rate(self) -> float | None:
        """Calls a second; 0 in a pause, None when no limit is known."""
        return self.state.rate

    @property
    def learned(self) -> float | None:
        """The key's limit as it is about known, in calls a second; None while it is not."""
        state = self.state
        return state.rate if isinstance(state, Steady) else None

    def pause(self, now: float) -> float:
        """Seconds until the cool-down after a 429 is over; 0 when there is none."""
        state = self.state
        return state.delay(now) if isinstance(state, Closed) else 0.0

    def delay(self, now: float) -> float:
        """Seconds until the next call may pass; 0 when it may."""
        state = self.state = self.state.tick(now, self._limits)
        return state.delay(now)

    def admit(self, now: float) -> float:
        """Let one call pass, if one may: then 0, else the seconds until one may."""
        before = state = self.state
        if type(state) is not Open:  # which holds nobody back
            state = state.tick(now, self._limits)
            if delay := state.delay(now):
                self.state = state
                return delay
        after = state.admitted(now, self._limits)
        if after is not before:
            self.state = after
        return 0.0

    def refused(self, now: float, retry_after: float | None, admitted_at: float) -> None:
        """A call got a 429.

        Args:
            now: the time.
            retry_after: seconds that the 429 asked for, if it said.
            admitted_at: when that call passed.
        """
        pause = retry_after if retry_after is not None else _NO_ANSWER
        self.state = self.state.refused(now, pause, admitted_at, self._limits)
