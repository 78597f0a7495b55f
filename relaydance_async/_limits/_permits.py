"""How many attempts may be under way at once."""

from __future__ import annotations

from ._queue import Queue


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
        self._limit = float(maximum)
        self._waiters: Queue[None] = Queue()

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
        await self._waiters.wait(lambda _: self.release())

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
            self.in_use += 1
            self._waiters.let_go(None)
