"""How many attempts may be under way at once."""

from __future__ import annotations

from collections import OrderedDict

import anyio


class Permits:
    """A first-come, first-served semaphore whose limit adapts.

    The limit halves when the gateway says that it is overrun, and grows by about one for each limit's worth of
    successes (additive increase, multiplicative decrease: TCP's congestion avoidance, RFC 5681), between 1 and
    `maximum`.

    It belongs to one event loop.
    """

    def __init__(self, maximum: int) -> None:
        self.maximum: int = maximum
        self.in_use: int = 0
        self.turn: anyio.Lock = anyio.Lock()
        """Whose turn it is at the gate."""
        self._limit = float(maximum)
        # Ordered, and any entry can be removed at once when its waiter is cancelled.
        self._waiters: OrderedDict[anyio.Event, None] = OrderedDict()

    @property
    def limit(self) -> int:
        """How many permits there are now."""
        return int(self._limit)

    @property
    def waiting(self) -> int:
        """How many wait for one."""
        return len(self._waiters)

    async def acquire(self) -> None:
        """Take a permit, in turn. Cancellation leaves the place in the queue, or gives the permit to the next."""
        if self.in_use < int(self._limit) and not self._waiters:
            self.in_use += 1
            return
        turn = anyio.Event()
        self._waiters[turn] = None
        try:
            await turn.wait()
        except BaseException:
            if turn.is_set():
                self.release()
            else:
                del self._waiters[turn]
            raise

    def release(self) -> None:
        """Give a permit back."""
        self.in_use -= 1
        self._admit()

    def grow(self) -> None:
        """An attempt succeeded."""
        if self._limit < self.maximum:
            self._limit = min(float(self.maximum), self._limit + 1 / self._limit)
            self._admit()

    def shrink(self) -> None:
        """The gateway is overrun."""
        self._limit = max(1.0, self._limit / 2)

    def _admit(self) -> None:
        while self._waiters and self.in_use < int(self._limit):
            turn, _ = self._waiters.popitem(last=False)
            self.in_use += 1
            turn.set()
