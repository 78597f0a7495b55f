"""Admission to the API, for one event loop of one process."""

from __future__ import annotations

import logging
import random
from collections.abc import Awaitable, Callable

from .._sansio.outage import Failure
from .._sansio.retry import PATIENCE
from ..errors import ServerError
from ._admission import Ended, How, Kind
from ._entrance import Entrance, Phase, Place
from ._key_outage import KeyOutage
from ._key_pace import KeyPace
from ._shares import Share, Shares

log = logging.getLogger("relaydance_async")

_ACCEPTED = Ended.ACCEPTED  # looking up a member of an enum takes as long as all else here


_OVERLOADED = Failure("it says that it is overloaded")
_FAILURES = {Ended.OVERLOADED: _OVERLOADED, Ended.UNREACHED: Failure("no connection")}


class _Gate:
    """The pace of the key, and the outages of the gateway, as one `Pace`."""

    __slots__ = ("_outage", "_pace")

    def __init__(self, pace: KeyPace, outage: KeyOutage) -> None:
        self._pace = pace
        self._outage = outage

    def pause(self, now: float) -> float:
        return self._pace.pause(now)

    def delay(self, now: float) -> float:
        return max(self._outage.delay(now), self._pace.delay(now))

    def admit(self, now: float) -> float:
        return self._outage.delay(now) or self._pace.admit(now)


class LocalAdmission(Entrance):
    """Lets attempts in by the pace of the key, the outages of the gateway, and permits, whose number adapts.

    The permits belong to this event loop; `_shares` says how the kinds divide them. The pace belongs to the key: all
    loops of a client share it.

    Args:
        maximum: attempts under way at once, of all kinds.
        pace: of the key.
        monotonic: the clock, in seconds.
        sleep: for a number of seconds.
        outage: of the gateway.
    """

    def __init__(
        self,
        maximum: int,
        pace: KeyPace,
        monotonic: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        outage: KeyOutage | None = None,
    ) -> None:
        self._outage = outage if outage is not None else KeyOutage(random.random)
        super().__init__(Shares[Place].divided(maximum), _Gate(pace, self._outage), monotonic, sleep)
        self._key_pace = pace
        self._warned = False

    def probed(self, place: Place) -> None:
        """See `Entrance`."""
        if self._outage.succeeded(self._monotonic(), is_probe=place.is_probe):
            self._key_pace.restart()
            self._stir()
        place.is_probe = False

    def _let_in(self, place: Place, now: float) -> None:
        place.is_probe = self._outage.passed(now)

    def _look_around(self, now: float) -> None:
        since = self._outage.since
        if since is None:
            return
        for share in self._shares.all:
            for place in share.line.all():
                if place.ticket.deadline is None and now - max(place.ticket.began_at, since) >= PATIENCE:
                    self._take_out(place, Phase.HELD)
                    place.wake()

    def _held(self) -> Exception:
        why = self._outage.why or "it is back now"
        return ServerError(
            f"the gateway is failing ({why}); the call waited for it for {PATIENCE:g} s, and was not sent",
            retryable=True,
        )

    def _learn(self, place: Place, how: How, retry_after: float | None) -> None:
        self._learn_limits(place, how, retry_after)
        self._learn_outage(place, how)

    def _learn_outage(self, place: Place, how: How) -> None:
        failure = how if isinstance(how, Failure) else _FAILURES.get(how)
        now = self._monotonic()
        if failure is not None:
            if how is not Ended.UNREACHED or place.is_probe:
                self._outage.failed(failure, now, place.admitted_at, is_probe=place.is_probe)
        elif how is Ended.OTHER:
            if place.is_probe:
                self._outage.given_up(now)
        else:
            self.probed(place)
            return
        if place.is_probe:
            place.is_probe = False
            self._stir()

    def _learn_limits(self, place: Place, how: How, retry_after: float | None) -> None:
        if how is _ACCEPTED:
            if self._shares.limit < self._shares.maximum:
                self._shares.grow()
            self._key_pace.accepted(self._monotonic(), place.admitted_at)
        elif how is Ended.REFUSED:
            self._key_pace.refused(self._monotonic(), retry_after, place.admitted_at)
        elif how is Ended.OVERLOADED:
            before = self._shares.limit
            self._shares.shrink()
            if self._shares.limit < before:
                log.info("the gateway is overloaded: at most %d calls at once from now on", self._shares.limit)

    def _must_wait(self, share: Share[Place]) -> None:
        streams = self._shares.of[Kind.STREAM]
        if self.waiting == 1:
            self._warned = False  # nobody waited before this one
        most = streams.most if share is streams else self._shares.limit
        if streams.in_use >= most and not self._warned:
            self._warned = True
            log.warning(
                "a call has to wait: %d streams are open, of %d at most. "
                "A stream keeps its permit until it is closed: use `async with`, or call `aclose()`",
                streams.in_use,
                most,
            )
