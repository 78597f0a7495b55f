"""The outages of a gateway, as the event loops of a client share what they know of them."""

from __future__ import annotations

import logging
from collections.abc import Callable

from .._sansio.outage import Down, Failure, Healthy, OutageLimits, Probing, State

log = logging.getLogger("relaydance_async")


class KeyOutage:
    """Whether the gateway fails. One serves all event loops of a client, without a lock, like `KeyPace`.

    Args:
        chance: a random number from 0 to 1, for the waits between probes.
        limits: the numbers.
    """

    __slots__ = ("_chance", "_limits", "state")

    def __init__(self, chance: Callable[[], float], limits: OutageLimits | None = None) -> None:
        self._chance = chance
        self._limits = limits if limits is not None else OutageLimits()
        self.state: State = Healthy(self._limits.budget, is_unharmed=True)
        """As of the last event."""

    @property
    def why(self) -> str:
        """What the last failure was; "" when there is no outage."""
        state = self.state
        return "" if isinstance(state, Healthy) else state.why

    @property
    def since(self) -> float | None:
        """When the outage began, or None."""
        state = self.state
        return None if isinstance(state, Healthy) else state.since

    @property
    def is_unharmed(self) -> bool:
        """Whether every call passes, and one that succeeds changes nothing."""
        state = self.state
        return isinstance(state, Healthy) and state.is_unharmed

    def delay(self, now: float) -> float:
        """Seconds until the next call may pass; 0 when it may."""
        return self.state.delay(now)

    def passed(self, now: float) -> bool:
        """A call passes: whether it is the probe."""
        state = self.state
        if isinstance(state, Healthy):
            return False
        self.state = state.passed(now, self._limits)
        return True

    def succeeded(self, now: float, *, is_probe: bool) -> bool:
        """A call did: whether that ended an outage."""
        state = self.state
        if isinstance(state, Healthy):
            self.state = state.succeeded(self._limits)
        elif is_probe and isinstance(state, Probing):
            self.state = state.probe_succeeded(now, self._limits)
            log.warning("the gateway answers again after %.1f s", now - state.since)
            return True
        return False

    def failed(self, failure: Failure, now: float, passed_at: float, *, is_probe: bool) -> None:
        """A call that passed at `passed_at` did."""
        state, chance = self.state, self._chance()
        if isinstance(state, Healthy):
            self.state = state.failed(failure, now, passed_at, chance, self._limits)
            if isinstance(self.state, Down):
                log.warning(
                    "the gateway is failing (%s): calls wait, and one at a time asks whether it is back",
                    failure.why,
                )
        elif is_probe and isinstance(state, Probing):
            self.state = state.probe_failed(failure.why, now, chance, self._limits)

    def given_up(self, now: float) -> None:
        """The probe was cancelled, or said nothing: the next one may go."""
        state = self.state
        if isinstance(state, Probing):
            self.state = state.probe_given_up(now)
