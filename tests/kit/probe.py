"""A look at what a client holds. Whatever counts permits, connections or streams looks through here."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections.abc import Callable

from relaydance_async import AsyncRelayDance
from relaydance_async._runtime import Held
from tests.kit.inside import runtimes_of

__all__ = ["NOTHING", "Held", "held", "look_at", "loops_of", "watch"]

NOTHING = Held(permits=0, queued=0, connections=0, streams=0, tasks=0)


def look_at(client: AsyncRelayDance) -> Held:
    """What the client holds in the running loop; nothing before its first call there and after `aclose`."""
    return client._held()


async def held(client: AsyncRelayDance) -> Held:
    """What the client holds in the running loop."""
    return look_at(client)


async def watch(client: AsyncRelayDance) -> Callable[[], Held]:
    """Looks at what the client holds in this loop, also when the client, or the loop, has been closed meanwhile.

    Two of them are equal if they look at the same: at one loop's share of one client, or of a view of it.
    """
    return (await runtimes_of(client).current()).held


def loops_of(client: AsyncRelayDance) -> int:
    """In how many event loops the client has something."""
    return len(runtimes_of(client)._by_loop)
