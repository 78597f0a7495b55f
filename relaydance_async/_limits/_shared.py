"""Limits that processes share.

What is shared is one limit for each route and model, one of the whole key, and who may use how much of it. A process
holds its part as a lease: so many calls a second, or so many at once, for two seconds (`_sansio.sharing`). A thread of
its own renews all leases four times a second in one round trip; so the path of a request never asks anybody. A part
goes to those who want it: what one process leaves, others get with their next lease.

While a lease is held it counts instead of the process's own limiter. When it runs out (the store is slow, gone, empty),
the limiter goes on with that part, and learns as ever.

What keeps the limits is a `Store`. It does what `_sansio.sharing.exchange` does: `_memory` by calling it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from .._sansio.key_wide import KeyWide
from .._sansio.limiter import Limiter

if TYPE_CHECKING:  # most clients share nothing
    from .._sansio.sharing import Grant, KeyPart, Part, Report


class Store(Protocol):
    """Where limits are kept. One event loop uses it."""

    async def exchange(self, reports: Sequence[Report]) -> list[Grant]:
        """A grant for each report, in one round trip.

        Raises:
            Exception: whatever goes wrong; the leases that are held go on until they run out.
        """
        ...

    async def release(self, members: Sequence[tuple[str, str]]) -> None:
        """These (name, who) have left."""
        ...

    async def aclose(self) -> None:
        """Close the connection."""
        ...


class SharedLimits(Protocol):
    """What processes with the same key share."""

    def allowance(self, name: str, limiter: Limiter) -> Part:
        """What this process may send of that name.

        Args:
            name: of the gate: whose key (a hash), the route and the model. It holds no secret.
            limiter: of this process.
        """
        ...

    def allowance_of_key(self, name: str, wide: KeyWide) -> KeyPart:
        """The same of all gates together, while the key has a limit.

        Args:
            name: whose key (a hash). It holds no secret.
            wide: of this process.
        """
        ...

    async def aclose(self) -> None:
        """Give the leases back and close the connection."""
        ...
