"""What an answer holds: its connection, and the lease of its attempt."""

from __future__ import annotations

from collections.abc import Callable

from .._limits import Ended, Lease
from .._runtime import Runtime, Runtimes
from .._transports import TransportResponse


class Holding:
    """A connection and a lease. Whoever has it gives both back, once: this is the one place where that happens."""

    __slots__ = ("_lease", "_on_lost", "_response", "_runtime", "_runtimes")

    def __init__(self, lease: Lease, response: TransportResponse, runtime: Runtime, runtimes: Runtimes) -> None:
        self._lease = lease
        self._response: TransportResponse | None = response
        self._runtime = runtime
        # The connections break when the client becomes garbage; a stream may outlive the caller's client.
        self._runtimes = runtimes
        self._on_lost: Callable[[], None] | None = None

    @property
    def is_held(self) -> bool:
        """Whether it has not been given back yet."""
        return self._response is not None

    def register(self, on_lost: Callable[[], None]) -> None:
        """It will be held for longer than its call: the end of the event loop closes it.

        Args:
            on_lost: called in that loop when it has become garbage without being closed.
        """
        self._on_lost = on_lost
        if self._response is not None:
            self._runtime.streams.add(self._response)

    async def aclose(self, how: Ended, retry_after: float | None = None) -> None:
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
            self._runtime.take_back(self._response, self._lease, self._on_lost)
