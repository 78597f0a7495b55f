"""Admission to the API, for one event loop of one process."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from ._admission import Ended, Kind
from ._entrance import Entrance, Place
from ._key_pace import KeyPace
from ._shares import Share, Shares

log = logging.getLogger("relaydance_async")

_ACCEPTED = Ended.ACCEPTED  # looking up a member of an enum takes as long as all else here


class LocalAdmission(Entrance):
    """Lets attempts in by the pace of the key and by permits, whose number adapts.

    The permits belong to this event loop; `_shares` says how the kinds divide them. The pace belongs to the key: all
    loops of a client share it.

    Args:
        maximum: attempts under way at once, of all kinds.
        pace: of the key.
        monotonic: the clock, in seconds.
        sleep: for a number of seconds.
    """

    def __init__(
        self,
        maximum: int,
        pace: KeyPace,
        monotonic: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        super().__init__(Shares[Place].divided(maximum), pace, monotonic, sleep)
        self._key_pace = pace
        self._warned = False

    def _learn(self, place: Place, how: Ended, retry_after: float | None) -> None:
        if how is _ACCEPTED:
            if self._shares.limit < self._shares.maximum:
                self._shares.grow()
            self._key_pace.accepted(self._monotonic(), place.admitted_at)
        elif how is Ended.REFUSED:
            self._key_pace.refused(self._monotonic(), retry_after, place.admitted_at)
        elif how is Ended.OVERLOADED:
            self._shares.shrink()

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
