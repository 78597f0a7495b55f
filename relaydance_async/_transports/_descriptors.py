"""Connections by their file descriptors: for when there is no loop to await their closing.

Descriptors are what every event loop and HTTP library gives away; their own objects for a connection differ.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from contextlib import suppress
from typing import Any


def fileno_of(sock: Any) -> int:
    """Of a socket, or of what a library shows of one; -1 when it is closed or there is none."""
    return sock.fileno() if sock is not None else -1


def break_off(loop: asyncio.AbstractEventLoop, filenos: Iterable[int]) -> None:
    """Abort the connections of a loop.

    A loop that was closed has dropped the callback in which asyncio closes an aborted socket, so it is called here;
    otherwise the socket would stay open until it is garbage, with a ResourceWarning. Loops without asyncio's own table
    of transports (uvloop, Windows) are left alone.
    """
    transports: Any = getattr(loop, "_transports", {})
    for transport in [transports[fileno] for fileno in filenos if fileno in transports]:
        with suppress(RuntimeError):  # the loop is closed; all but the callback is done by then
            transport.abort()
        if loop.is_closed():
            with suppress(RuntimeError):  # somebody still waits for it, in a loop that never goes on
                transport._call_connection_lost(None)


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
