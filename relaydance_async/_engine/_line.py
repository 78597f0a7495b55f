"""Those who wait for a connection, in a line for each origin.

    none is idle ──► fewer than 128 have just begun to be made ──► make one
                         │ no
                         ▼
                      wait ──► one becomes idle: it is the first one's
                           ├─► one was made, or could not be: the first makes one
                           └─► 100 ms have passed: the first 128 make one each

Thousands of calls at once would otherwise make thousands of connections in one turn of the loop, in which nothing else
gets a turn, and which a server's backlog (128 to 4096) has no room for: what is dropped there is tried again after a
second. A server that answers quickly needs far fewer. The bound is one of pace, not of connections: 1,280 in a second
are more than the handshakes of TLS that a core can do.

First come, first served: what becomes free is handed to the first, and no newcomer takes it before.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Generic, TypeVar

from .._timers import Timers

C = TypeVar("C")

DIALS = 128
"""Connections to one origin that may be begun at once,"""

BEAT = 0.1
"""and again after so many seconds, however long they take."""


class Dial:
    """It is the waiter's turn to make a connection."""


class TooLate(Exception):
    """Nothing became free in time."""


_DIAL = Dial()
_LATE = TooLate()


class Line(Generic[C]):
    """Of one origin.

    Args:
        timers: of the loop.

    Attributes:
        dials: how many connections are being made.
    """

    __slots__ = ("_beats", "_room", "_timers", "_waiters", "dials")

    def __init__(self, timers: Timers) -> None:
        self.dials: int = 0
        self._timers = timers
        self._room = DIALS
        self._beats = False
        self._waiters: deque[asyncio.Future[C | Dial | TooLate]] = deque()

    def ended(self) -> None:
        """One was made, or could not be."""
        self.dials -= 1
        self._permit(1)

    def hand(self, connection: C) -> bool:
        """It became idle: give it to the first who waits; whether somebody does."""
        return self._hand(connection)

    def dismiss(self) -> None:
        """Nothing becomes idle any more: everybody may make one."""
        self._permit(len(self._waiters))

    def _hand(self, free: C | Dial) -> bool:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(free)
                return True
        return False

    def _permit(self, count: int) -> None:
        while count and self._hand(_DIAL):
            count -= 1
            self.dials += 1
        self._room = min(DIALS, self._room + count)

    def _beat(self) -> None:
        self._permit(DIALS)
        self._beats = bool(self._waiters)
        if self._beats:
            self._set_beat()

    def _set_beat(self) -> None:
        self._timers.set(self._timers.loop.time() + BEAT, self._beat)

    def _join(self) -> asyncio.Future[C | Dial | TooLate]:
        waiter: asyncio.Future[C | Dial | TooLate] = self._timers.loop.create_future()
        self._waiters.append(waiter)
        if not self._beats:
            self._beats = True
            self._set_beat()
        return waiter

    async def wait(self, until: float, take_back: Callable[[C], None]) -> C | None:
        """One that became idle; None: it is the caller's turn to make one, until it has `ended`.

        Cancelling it hands what was meant for it to the next.

        Args:
            until: by the loop's clock.
            take_back: what is done with a connection that comes too late.

        Raises:
            TooLate: nothing was free until then.
        """
        if self._room and not self._waiters:
            self._room -= 1
            self.dials += 1
            return None
        waiter = self._join()
        timer = self._timers.set(until, partial(_expire, waiter))
        try:
            free = await waiter
        except BaseException:
            if waiter.done() and not waiter.cancelled():
                self._take_back(waiter.result(), take_back)
            raise
        finally:
            self._timers.drop(timer)
        if isinstance(free, TooLate):
            raise TooLate  # each gets its own, with its own traceback
        return None if isinstance(free, Dial) else free

    def _take_back(self, free: C | Dial | TooLate, take_back: Callable[[C], None]) -> None:
        if isinstance(free, Dial):
            self.ended()
        elif not isinstance(free, TooLate):
            take_back(free)


def _expire(waiter: asyncio.Future[Any]) -> None:
    if not waiter.done():
        waiter.set_result(_LATE)
