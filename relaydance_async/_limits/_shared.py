"""Limits that processes share: what is learned, and the allowance, in leases.

An adapter (one file, one server) is a `SharedLimits`. The request path asks it nothing: for each gate it hands out a
`Ceiling`, which lets pass what the process holds as a lease, and says how long until it may hold more. How leases are
fetched is the adapter's affair: in a task of its own, before the last one is used up. Whatever goes wrong there ends in
a ceiling that holds nobody back: then the process goes on with what it learned by itself.
"""

from __future__ import annotations

from typing import Protocol

from .._sansio.ceiling import Ceiling
from .._sansio.limiter import Limiter


class SharedLimits(Protocol):
    """What processes with the same key share."""

    def allowance(self, name: str, limiter: Limiter) -> Ceiling:
        """What this process may send of that name.

        Args:
            name: of the gate: the route and the model. It holds no secret.
            limiter: of this process. `limiter.learned(now)` is what it knows, `limiter.tell(learned, now)` puts in what
                others know.
        """
        ...

    async def aclose(self) -> None:
        """Give the leases back and close the connection."""
        ...
