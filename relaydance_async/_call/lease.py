"""What an answer holds: its connection, and the lease of its attempt."""

from __future__ import annotations

from collections.abc import Callable

from .._limits import How, Lease
from .._runtime import Runtime, Runtimes
from .._transports import TransportResponse


class Holding:
    """A connection and a lease. Whoever has it gives both back, once: this is the one place where that happens."""

    __slots__ = ("_forgotten", "_lease", "_response", "_runtime", "_runtimes")

    def __init__(self, lease: Lease, response: TransportResponse, runtime: Runtime, runtimes: Runtimes) -> None:
        self._lease = lease
        self._response: TransportResponse | None = response
        self._runtime = runtime
        # The connections break when the client becomes garbage; a stream may outlive the caller's client.
        self._runtimes = runtimes
        self._forgotten: Callable[[], None] | None = None

    @property
    def is_held(self) -> bool:
        """Whether it has not been given back yet."""
        return self._response is not None

    def register(self, forgotten: Callable[[], None] | None) -> None:
        """It will be held for longer than its call: the end of the event loop closes it.

        Args:
            forgotten: called in the event loop if it becomes garbage without having been closed.
        """
        self._forgotten = forgotten
        if self._response is not None:
            self._runtime.streams.add(self._response)

    def ended(self, how: How, retry_after: float | None) -> bool:
        """Give both back if that takes no time; whether it did."""
        response = self._response
        if response is None or not response.is_over:
            return False
        self._response = None
        self._runtime.streams.discard(response)
        self._lease.ended(how, retry_after)
        return True

    async def aclose(self, how: How, retry_after: float | None = None) -> None:
        """Close the connection and give the lease back. Safe to call twice, and when cancelled meanwhile."""
        response, self._response = self._response, None
        if response is None:
            return
        self._runtime.streams.discard(response)
        try:
            await response.aclose()
        finally:
            self._lease.ended(how, retry_after)

    def __del__(self) -> None:
        if self._response is not None:  # a stream that nobody closed
            self._runtime.take_back(self._response, self._lease, self._forgotten)
