"""Connections by their file descriptors: for when there is no loop to await their closing.

Descriptors are what every event loop and HTTP library gives away; their own objects for a connection differ.
"""

from __future__ import annotations

import asyncio
import os
import select
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from ._private_names import finish_closing, transport_of


def fileno_of(sock: Any) -> int:
    """Of a socket, or of what a library shows of one; -1 when it is closed or there is none."""
    return sock.fileno() if sock is not None else -1


def has_arrivals(fileno: int) -> bool:
    """Whether a connection has bytes, or its end, for us that the event loop has not read yet; True of a closed one."""
    if _CAN_POLL:
        return _poll(fileno, select.POLLIN)
    return fileno < 0 or bool(select.select([fileno], [], [], 0)[0])


def has_ended(fileno: int) -> bool:
    """Whether the other side has closed a connection, as far as the kernel knows. Only Linux tells."""
    return _CAN_POLL and _poll(fileno, getattr(select, "POLLRDHUP", 0))


_CAN_POLL = hasattr(select, "poll")  # not on Windows


def _poll(fileno: int, events: int) -> bool:
    if fileno < 0:
        return True
    poll = select.poll()
    poll.register(fileno, events)
    return bool(poll.poll(0))


def break_off(loop: asyncio.AbstractEventLoop, filenos: Iterable[int]) -> None:
    """Abort the connections of a loop.

    A loop that was closed has dropped the callback in which asyncio closes an aborted socket, so it is called here;
    otherwise the socket would stay open until it is garbage, with a ResourceWarning. Loops without asyncio's own table
    of transports (uvloop, Windows) are left alone.
    """
    for transport in [transport_of(loop, fileno) for fileno in filenos]:
        if transport is None:
            continue
        with suppress(RuntimeError):  # the loop is closed; all but the callback is done by then
            transport.abort()
        if loop.is_closed():
            finish_closing(transport)


def leave_to_parent(filenos: Iterable[int]) -> None:
    """Take a forked child's hands off connections of its parent.

    As long as a child holds a copy, the parent's closing does not end the connection; and a child that cleans up
    behind one takes it out of the epoll instance that both share. The number stays in use, by /dev/null: whoever in
    the child believes it to be a connection may still close it, and nothing else.
    """
    null = os.open(os.devnull, os.O_RDWR)
    for fileno in filenos:
        os.dup2(null, fileno, inheritable=False)
    os.close(null)
