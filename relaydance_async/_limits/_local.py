"""Admission to the API, for one event loop of one process."""

from __future__ import annotations

import logging
import random
from collections.abc import Awaitable, Callable

from .._sansio.limiter import Verdict
from .._sansio.outage import Failure, Healthy
from .._sansio.retry import PATIENCE
from ..errors import ServerError
from ._admission import Barrier, Ended, How, Kind, Ticket
from ._book import Book
from ._entrance import Entrance
from ._gate import Gate
from ._key_outage import KeyOutage
from ._place import Place
from ._shares import Share, Shares

log = logging.getLogger("relaydance_async")

_ACCEPTED, _OVERLOADED = (
    Ended.ACCEPTED,
    Ended.OVERLOADED,
)  # looking up a member of an enum takes as long as all else here
_VERDICTS: dict[How, Verdict] = {
    Ended.ACCEPTED: Verdict.ACCEPTED,
    Ended.ANSWERED: Verdict.ACCEPTED,  # whatever it was, no limit refused it
    Ended.REFUSED: Verdict.REFUSED,
}
_FAILURES = {Ended.OVERLOADED: Failure("it says that it is overloaded"), Ended.UNREACHED: Failure("no connection")}


class LocalAdmission(Entrance):
    """Lets attempts in by what is known of the key's limits, the outages of the gateway, and permits.

    The permits belong to this event loop; `_shares` says how the kinds divide them. What is known belongs to the key:
    all loops of a client share it.

    Args:
        maximum: attempts under way at once, of all kinds.
        book: what is known of the key's limits.
        monotonic: the clock, in seconds.
        sleep: for a number of seconds.
        outage: of the gateway.
    """

    def __init__(
        self,
        maximum: int,
        book: Book,
        monotonic: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        outage: KeyOutage | None = None,
    ) -> None:
        self._outage = outage if outage is not None else KeyOutage(random.random)
        super().__init__(Shares.divided(maximum), self._gate, monotonic, sleep)
        self._book = book
        self._warned = False

    def _gate(self, ticket: Ticket) -> Barrier:
        gates = ticket.gates
        return (self._book if gates is None else gates).gate(ticket)

    def probed(self, place: Place) -> None:
        """See `Entrance`."""
        self._is_back(place, self._monotonic())

    def _is_back(self, place: Place, now: float) -> None:
        if self._outage.succeeded(now, is_probe=place.is_probe):
            self._book.restart(now)
            self._stir()
        place.is_probe = False

    def _closed_for(self, now: float) -> float:
        outage = self._outage
        return 0.0 if type(outage.state) is Healthy else outage.delay(now)

    def _why(self, place: Place) -> str:
        why = self._outage.why
        gate = place.barrier
        if why or not isinstance(gate, Gate):
            return f"the gateway is failing: {why}"
        return f"{gate.name}: {gate.why}"

    def _let_in(self, place: Place, now: float) -> None:
        super()._let_in(place, now)
        outage = self._outage
        place.is_probe = type(outage.state) is not Healthy and outage.passed(now)

    def _look_around(self, now: float) -> None:
        since = self._outage.since
        if since is None:
            return
        for lane in list(self._turns.lanes):
            for place in lane.all():
                if place.deadline is None and now - max(place.began_at, since) >= PATIENCE:
                    self._refuse(place, self._too_long())

    def _too_long(self) -> Exception:
        why = self._outage.why or "it is back now"
        return ServerError(
            f"the gateway is failing ({why}); the call waited for it for {PATIENCE:g} s, and was not sent",
            retryable=True,
        )

    def _learn(self, place: Place, how: How, retry_after: float | None) -> None:
        now = self._monotonic()
        is_news = self._learn_limits(place, how, retry_after, now)
        if (is_news or place.is_probe) and not (how is _ACCEPTED and self._outage.is_unharmed):
            self._learn_outage(place, how, now)

    def _learn_outage(self, place: Place, how: How, now: float) -> None:
        failure = how if isinstance(how, Failure) else _FAILURES.get(how)
        if failure is not None:
            if how is not Ended.UNREACHED or place.is_probe:
                self._outage.failed(failure, now, place.admitted_at, is_probe=place.is_probe)
        elif how is Ended.OTHER:
            if place.is_probe:
                self._outage.given_up(now)
        else:
            self._is_back(place, now)
            return
        if place.is_probe:
            place.is_probe = False
            self._stir()

    def _learn_limits(self, place: Place, how: How, retry_after: float | None, now: float) -> bool:
        """Whether it says anything new: a hundred calls that one overload refuses are one failure of the gateway."""
        shares, overload, is_news = self._shares, self._book.overload, True
        if how is _OVERLOADED:
            is_news = overload.overloaded(now, place.admitted_at, shares.in_use)
        if shares.limit < shares.maximum or how is _OVERLOADED:
            before = shares.limit
            shares.set_limit(overload.limit(now))
            if shares.limit < before:
                log.info("the gateway is overloaded: at most %d calls at once from now on", shares.limit)
        gate = place.barrier
        if isinstance(gate, Gate):
            gate.ended(place.passed, now, _VERDICTS.get(how, Verdict.NOTHING), retry_after)  # type: ignore[arg-type]
        return is_news

    def _must_wait(self, share: Share) -> None:
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
