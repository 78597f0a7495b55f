"""A connection to a host of several addresses: "happy eyeballs" (RFC 8305).

Not asyncio's own: its race forgets the socket that was just connected when it is cancelled.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable, Coroutine
from functools import partial
from itertools import chain, zip_longest
from typing import Any, TypeAlias, TypeVar

P = TypeVar("P", bound=asyncio.BaseProtocol)
Dialled: TypeAlias = "tuple[asyncio.Transport, P]"

NEXT_ADDRESS_SECONDS = 0.25
"""How long an address may take before the next is tried beside it (RFC 8305 section 5 recommends 250 ms)."""


async def dial(factory: Callable[[], P], host: str, port: int, local_address: str | None) -> Dialled[P]:
    """A connection to the address that answers first. Cancelling it leaves no socket.

    Raises:
        OSError: the name is unknown, or none of its addresses answers.
    """
    loop = asyncio.get_running_loop()
    local = (local_address, 0) if local_address else None
    addresses = [host] if _is_address(host) else await _look_up(host, port)

    async def one(address: str) -> Dialled[P]:
        return await loop.create_connection(factory, address, port, local_addr=local)

    if len(addresses) == 1:
        return await one(addresses[0])
    return await _first([partial(one, address) for address in addresses])


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


async def _look_up(host: str, port: int) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    families: dict[int, list[str]] = {}
    for family, _, _, _, address in found:
        families.setdefault(family, []).append(str(address[0]))
    # The families take turns (section 4), so that a broken one costs little.
    return [address for address in chain(*zip_longest(*families.values())) if address is not None]


async def _first(dials: list[Callable[[], Coroutine[Any, Any, Dialled[P]]]]) -> Dialled[P]:
    running: set[asyncio.Task[Dialled[P]]] = set()
    error: OSError | None = None
    try:
        while dials or running:
            if dials:
                running.add(asyncio.create_task(dials.pop(0)()))
            patience = NEXT_ADDRESS_SECONDS if dials else None
            done, _ = await asyncio.wait(running, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                running.discard(task)
                try:
                    return task.result()
                except OSError as failure:
                    error = error or failure
    finally:
        for task in running:
            task.cancel()
            task.add_done_callback(_hang_up)
    assert error is not None
    raise error


def _hang_up(late: asyncio.Task[Dialled[P]]) -> None:
    if not late.cancelled() and late.exception() is None:
        late.result()[0].abort()
