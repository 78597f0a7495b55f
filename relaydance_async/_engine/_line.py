"""Those who wait for a connection, in a line for each origin.

    none is idle ──► fewer than 128 are being made ──► make one
                         │ no
                         ▼
                      wait ──► one becomes idle: it is the first one's
                           └─► one was made, or could not be: the first makes one in its place

Thousands of calls at once would otherwise make thousands of connections in one turn of the loop, which nothing else
gets a turn in, and which a server's backlog (128 to 4096) has no room for: what is dropped there is tried again after a
second. A server that answers quickly needs far fewer. The bound is one of dials, not of connections: at 100 ms each,
1,280 are made in a second, and as many handshakes of TLS fill a core.

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
"""To one origin at a time."""


class Dial:
    """It is the waiter's turn to make a connection."""


class TooLate(Exception):
    """Nothing became free in time."""


_DIAL = Dial()
_LATE = TooLate()


class Line(Generic[C]):
    """Of one origin.

    Attributes:
        dials: how many connections are being made.
    """

    __slots__ = ("_waiters", "dials")

    def __init__(self) -> None:
        self.dials: int = 0
        self._waiters: deque[asyncio.Future[C | Dial | TooLate]] = deque()

    def ended(self) -> None:
        """One was made, or could not be."""
        if not self._hand(_DIAL):
            self.dials -= 1

    def hand(self, connection: C) -> bool:
        """It became idle: give it to the first who waits; whether somebody does."""
        return self._hand(connection)

    def _hand(self, free: C | Dial) -> bool:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(free)
                return True
        return False

    def dismiss(self) -> None:
        """Nothing becomes idle any more: everybody may make one."""
        while self._hand(_DIAL):
            self.dials += 1

    async def wait(self, timers: Timers, until: float, take_back: Callable[[C], None]) -> C | None:
        """One that became idle; None: it is the caller's turn to make one, until it has `ended`.

        Cancelling it hands what was meant for it to the next.

        Args:
            until: by the loop's clock.
            take_back: what is done with a connection that comes too late.

        Raises:
            TooLate: nothing was free until then.
        """
        if self.dials < DIALS:
            self.dials += 1
            return None
        waiter: asyncio.Future[C | Dial | TooLate] = timers.loop.create_future()
        self._waiters.append(waiter)
        timer = timers.set(until, partial(_expire, waiter))
        try:
            free = await waiter
        except BaseException:
            if waiter.done() and not waiter.cancelled():
                came = waiter.result()
                if isinstance(came, Dial):
                    self.ended()
                elif not isinstance(came, TooLate):
                    take_back(came)
            raise
        finally:
            timers.drop(timer)
        if isinstance(free, TooLate):
            raise TooLate  # each gets its own, with its own traceback
        return None if isinstance(free, Dial) else free


def _expire(waiter: asyncio.Future[Any]) -> None:
    if not waiter.done():
        waiter.set_result(_LATE)
