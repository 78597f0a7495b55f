"""One pause for all calls of a key after a 429."""

from __future__ import annotations

from collections.abc import Awaitable, Callable


class Gate:
    """Holds attempts back while the key cools down, so that the others wait instead of collecting a 429 each.

    Plain numbers, no waiters: one gate serves all event loops of a client.
    """

    def __init__(self, monotonic: Callable[[], float], sleep: Callable[[float], Awaitable[None]]) -> None:
        self._monotonic = monotonic
        self._sleep = sleep
        self._opens_at = 0.0

    def close_for(self, seconds: float) -> None:
        """Begin a cool-down, or lengthen the one under way."""
        self._opens_at = max(self._opens_at, self._monotonic() + seconds)

    def remaining(self) -> float:
        """Seconds until attempts may begin again; 0 when they may."""
        return max(0.0, self._opens_at - self._monotonic()) if self._opens_at else 0.0

    async def wait(self) -> None:
        """Return when attempts may begin. Cancellation leaves nothing behind."""
        while (left := self.remaining()) > 0:
            await self._sleep(left)
