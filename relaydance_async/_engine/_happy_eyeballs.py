"""A TCP connection to whichever of several addresses answers first: "happy eyeballs" (RFC 8305).

The first address is tried alone. When it fails, or has not answered within 250 ms, the next one is tried beside it, and
so on to the last. The first connection wins, and the others are broken off.

Not asyncio's own: its race forgets the socket that was just connected when it is cancelled. Here each address is a dial
of its own, whose end is seen to whatever comes: a connection that is made too late is closed by its task's callback.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from ._dial_error import as_dial_error
from ._wire import Wire

NEXT_ADDRESS_SECONDS = 0.25
"""How long an address may take before the next is tried beside it (RFC 8305 section 5 recommends 250 ms)."""

KEEPALIVE_IDLE_SECONDS = 60
KEEPALIVE_INTERVAL_SECONDS = 5
KEEPALIVE_PROBES = 5
"""TCP keep-alive. A chat may be silent for minutes, and NATs forget such a connection; a peer that is gone is noticed
25 s after the first probe."""


async def connect(addresses: Sequence[str], port: int) -> Wire:
    """A connection to the address that answers first. Cancelling it leaves no socket.

    Raises:
        DialError: none of them does. It tells of the first one that refused, or else of the first.
    """
    left = iter(addresses)
    errors: list[OSError] = []
    if len(addresses) == 1:
        try:
            return await _to(next(left), port)
        except OSError as error:
            raise as_dial_error(error) from None
    won = await _race(left, port, errors)
    if won is not None:
        return won
    # Where there is no IPv6, its failure says nothing.
    refused = (error for error in errors if isinstance(error, ConnectionRefusedError))
    raise as_dial_error(next(refused, errors[0])) from None


async def _race(left: Iterator[str], port: int, errors: list[OSError]) -> Wire | None:
    running: set[asyncio.Task[Wire]] = set()
    following = next(left, None)
    try:
        while following is not None or running:
            if following is not None:
                running.add(asyncio.create_task(_to(following, port)))
                following = next(left, None)
            patience = None if following is None else NEXT_ADDRESS_SECONDS
            done, _ = await asyncio.wait(running, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                running.discard(task)
                if (error := task.exception()) is None:
                    return task.result()
                if not isinstance(error, OSError):
                    raise error
                errors.append(error)
    finally:
        for task in running:
            task.cancel()
            task.add_done_callback(_hang_up)
    return None


def _hang_up(late: asyncio.Task[Wire]) -> None:
    if not late.cancelled() and late.exception() is None:
        late.result().abort()


async def _to(address: str, port: int) -> Wire:
    loop = asyncio.get_running_loop()
    # With a literal there is nothing to look up.
    _, wire = await loop.create_connection(Wire, address, port)
    with suppress(OSError):  # it is lost already, or the system knows no such option
        _set_options(wire.transport.get_extra_info("socket"))
    return wire


def _set_options(sock: Any) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", KEEPALIVE_IDLE_SECONDS),
        ("TCP_KEEPALIVE", KEEPALIVE_IDLE_SECONDS),  # what macOS calls it
        ("TCP_KEEPINTVL", KEEPALIVE_INTERVAL_SECONDS),
        ("TCP_KEEPCNT", KEEPALIVE_PROBES),
    ):
        if (option := getattr(socket, name, None)) is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
