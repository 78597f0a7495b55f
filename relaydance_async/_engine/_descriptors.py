"""Connections by their file descriptors: what only the kernel knows of them, and what a fork does to them."""

from __future__ import annotations

import asyncio
import gc
import os
import select
import socket
import warnings
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Protocol


def fileno_of(transport: asyncio.BaseTransport | None) -> int:
    """Of a transport's socket; -1 when it is closed or there is none."""
    sock = ask(transport, "socket") if transport is not None else None
    return sock.fileno() if sock is not None else -1


def ask(transport: asyncio.BaseTransport, name: str) -> Any:
    """What a transport tells of itself by `get_extra_info`; None when it is closed."""
    try:
        return transport.get_extra_info(name)
    except AttributeError:  # asyncio's over TLS has let go of what would know, once it was closed twice (from 3.13 on)
        return None


class Poll(Protocol):
    """Asks the kernel of one descriptor."""

    def poll(self, timeout: int, /) -> list[Any]:
        """Not empty when it has bytes, or its end, that the event loop has not read yet."""
        ...


def poll_of(transport: asyncio.BaseTransport) -> Poll | None:
    """What asks for a connection, as long as that is open; None for one that is closed already."""
    fileno = fileno_of(transport)
    return new_poll(fileno) if fileno >= 0 else None


if hasattr(select, "poll"):
    _ENDED_OR_READABLE = select.POLLIN | getattr(select, "POLLRDHUP", 0)

    def new_poll(fileno: int) -> Poll:
        """What asks for that descriptor: once made, it takes a third of the time that a new one would."""
        poll = select.poll()
        poll.register(fileno, _ENDED_OR_READABLE)
        return poll

else:  # Windows

    class _Select:
        __slots__ = ("_fileno",)

        def __init__(self, fileno: int) -> None:
            self._fileno = fileno

        def poll(self, timeout: int, /) -> list[Any]:
            return select.select([self._fileno], [], [], timeout)[0]

    def new_poll(fileno: int) -> Poll:
        """What asks for that descriptor."""
        return _Select(fileno)


_LAST_WORDS = 64 * 1024


def last_words(transport: asyncio.BaseTransport | None) -> bytes:
    """What has arrived at a connection that is lost, and would be dropped with it. Over TLS it can't be read."""
    fileno = fileno_of(transport)
    if transport is None or fileno < 0 or os.name != "posix" or ask(transport, "ssl_object") is not None:
        return b""
    with suppress(OSError), socket.socket(fileno=os.dup(fileno)) as copy:
        return copy.recv(_LAST_WORDS, socket.MSG_DONTWAIT)
    return b""


def break_off(loop: asyncio.AbstractEventLoop, transports: list[asyncio.Transport | None]) -> None:
    """Abort connections of a loop, which may be closed. The list is empty afterwards.

    A loop that was closed has dropped the callback in which asyncio closes an aborted socket, and there is no other
    public way. So the connection is ended below it, at once. What is left is a number that leads nowhere, and an object
    that knows itself: the garbage collector is told to run, so that neither stays, nor is warned of.
    """
    for transport in transports:
        if transport is not None:
            with suppress(RuntimeError):  # the loop is closed
                transport.abort()
    if transports and loop.is_closed():
        if os.name == "posix":
            _disconnect(fileno for fileno in map(fileno_of, transports) if fileno >= 0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            transport = None
            transports.clear()
            gc.collect()


def leave_to_parent(filenos: Iterable[int]) -> None:
    """Take a forked child's hands off connections of its parent.

    As long as a child holds a copy, the parent's closing does not end the connection; and a child that cleans up
    behind one takes it out of the epoll instance that both share. The number stays in use, by /dev/null: whoever in
    the child believes it to be a connection may still close it, and nothing else.
    """
    _disconnect(filenos)


def _disconnect(filenos: Iterable[int]) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for fileno in filenos:
        os.dup2(null, fileno, inheritable=False)
    os.close(null)
