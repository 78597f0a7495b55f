"""The pace of one key, as the event loops of a client share it."""

from __future__ import annotations

import logging

from .._sansio.pace import Closed, Open, PaceLimits, Starting, State, Steady, Trying

log = logging.getLogger("relaydance_async")

_NO_ANSWER = 1.0
"""Seconds; the pause after a 429 that doesn't say how long. The API documents no number."""
_QUIET = 60.0
"""Seconds without a pause after which the next one is told of again."""


class KeyPace:
    """The state that the pace of a key is in.

    One serves all event loops of a client, also in several threads. It needs no lock, which a fork could leave locked:
    each step reads the state once and puts the next one in its place. When two threads step at the same moment, one
    step is lost: one call is not counted, or one 429 not heard, and the next 429 says the same again.

    Args:
        state: to begin with; that of a new client, if None.
        limits: the numbers of the pace.
    """

    __slots__ = ("_limits", "_quiet_until", "_told", "state")

    def __init__(self, state: State | None = None, limits: PaceLimits | None = None) -> None:
        self._limits = limits if limits is not None else PaceLimits()
        self.state: State = state if state is not None else Starting(self._limits.start)
        """As of the last event."""
        self._told = 0.0
        self._quiet_until = 0.0

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

    def restart(self) -> None:
        """The gateway was down: not all calls should reach it at once. What is known of a limit stays."""
        if isinstance(self.state, Open):
            self.state = Starting(self._limits.start)

    def accepted(self, now: float, admitted_at: float) -> None:
        """A call that passed at `admitted_at` was accepted."""
        state = self.state
        if type(state) is Trying and admitted_at > state.refused_at:
            self.state = state.accepted(now, self._limits)

    def refused(self, now: float, retry_after: float | None, admitted_at: float) -> None:
        """A call got a 429.

        Args:
            now: the time.
            retry_after: seconds that the 429 asked for, if it said.
            admitted_at: when that call passed.
        """
        asked = retry_after if retry_after is not None else _NO_ANSWER
        before, self.state = self.state, self.state.refused(now, asked, admitted_at, self._limits)
        if isinstance(self.state, Closed) and self.state is not before:
            self._say(self.state, now, asked, begins=not isinstance(before, Closed))

    def _say(self, closed: Closed, now: float, asked: float, *, begins: bool) -> None:
        """Tell of a pause when it begins; warn once of all that follow one another, and again of a longer one."""
        seconds = closed.until - now
        if now < self._quiet_until and seconds <= self._told:
            self._quiet_until = max(self._quiet_until, closed.until + _QUIET)
            if begins:
                log.info("a call got a 429: no call with this key is sent for %.1f s", seconds)
            return
        self._told = seconds
        self._quiet_until = closed.until + _QUIET
        cut = f" The 429 asked for {asked:g} s, longer than one answer may stop all calls: then one call tries."
        log.warning(
            "a call got a 429 (too many requests): no call with this key is sent for %.1f s.%s",
            self._told,
            cut if closed.is_cut else "",
        )
