"""The addresses of names: one look-up per name at a time, shared by all who ask, remembered for a few seconds.

    asked ──► remembered? ──► its addresses
                 │ no
                 ▼
              looked up by somebody? ──► wait for that one
                 │ no
                 ▼
              a thread is free? ──► look it up in a thread of its own
                 │ no                   │
                 ▼                      ▼
              wait in line          found: remember, tell all who wait
                                    failed: tell all who wait, remember nothing

A thousand calls at once are a thousand questions for one name. Each as a look-up of its own would fill every thread and
ask the name server a thousand times.

`getaddrinfo` blocks, and can't be cancelled. So it runs in a daemon thread: neither the loop's executor, where the
app's own work would wait behind it, nor one that the process waits for when it ends. Whoever asked can be cancelled at
any time; the look-up goes on for the others, and for those who come next. One that has taken long may be stuck (the
network has changed since), so who asks then begins a second one beside it. The first to end tells all.

What was found is forgotten as soon as a connection to it fails: a gateway that has moved is found at the next try.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections import deque
from collections.abc import Callable
from functools import partial
from itertools import chain, zip_longest
from typing import TypeAlias

from .._threads import Outcome, begin_in_thread
from ._dial_error import DialError

REMEMBER_SECONDS = 5.0
"""How long an answer is believed. `getaddrinfo` doesn't tell the time to live that the name server gave."""

PATIENCE_SECONDS = 10.0
"""After which a look-up may be stuck: glibc has then asked each of two name servers once."""

MOST_THREADS = 32
"""Look-ups at a time. Downloads may come from thousands of hosts."""

Addresses: TypeAlias = tuple[str, ...]
"""Literals, in the order in which they are to be tried."""


class Resolver:
    """Looks names up. It belongs to one event loop.

    Args:
        look_up: gives a name's addresses, or raises; it runs in a thread.
    """

    def __init__(self, look_up: Callable[[str], Addresses] | None = None) -> None:
        self._look_up = look_up or look_up_in_system
        self._known: dict[str, tuple[Addresses, float]] = {}
        self._running: dict[str, _LookUp] = {}
        self._line: deque[_LookUp] = deque()
        self._threads = 0

    async def resolve(self, host: str) -> Addresses:
        """The addresses of a name; a literal is its own.

        Cancelling it leaves the look-up to the others, and to itself: nobody waits for its thread.

        Raises:
            DialError: of the kind "dns".
        """
        if is_literal(host):
            return (host,)
        now = asyncio.get_running_loop().time()
        known = self._known.get(host)
        if known is not None and now < known[1]:
            return known[0]
        found = await self._join(host, now).wait()
        if isinstance(found, DialError):
            raise DialError(found.kind, found.text)  # each gets its own, with its own traceback
        return found

    def forget(self, host: str, addresses: Addresses) -> None:
        """They did not answer. What was found meanwhile is kept."""
        known = self._known.get(host)
        if known is not None and known[0] is addresses:
            del self._known[host]

    def _join(self, host: str, now: float) -> _LookUp:
        look_up = self._running.get(host)
        has_room = self._threads < MOST_THREADS
        if look_up is None:
            look_up = self._running[host] = _LookUp(host)
            if has_room:
                self._start(look_up)
            else:
                self._line.append(look_up)
        elif look_up.threads == 1 and now - look_up.began > PATIENCE_SECONDS and has_room:
            self._start(look_up)
        return look_up

    def _start_those_in_line(self) -> None:
        while self._line and self._threads < MOST_THREADS:
            look_up = self._line.popleft()
            if look_up.is_awaited:
                self._start(look_up)
            else:  # all who asked have gone
                del self._running[look_up.host]

    def _start(self, look_up: _LookUp) -> None:
        look_up.began = asyncio.get_running_loop().time()
        try:
            thread = begin_in_thread(partial(self._look_up, look_up.host), daemon=True)
        except RuntimeError as error:
            self._tell(look_up, DialError("dns", f"{look_up.host} can't be looked up: {error}"))
            return
        look_up.threads += 1
        self._threads += 1
        thread.add_done_callback(partial(self._end, look_up))

    def _end(self, look_up: _LookUp, thread: asyncio.Future[list[Outcome]]) -> None:
        self._threads -= 1
        look_up.threads -= 1
        addresses, error = thread.result().pop()
        if look_up.found is None:
            self._tell(look_up, _as_dial_error(look_up.host, error) if error is not None else addresses)
        self._start_those_in_line()

    def _tell(self, look_up: _LookUp, found: Addresses | DialError) -> None:
        del self._running[look_up.host]
        if not isinstance(found, DialError):
            self._remember(look_up.host, found)
        look_up.tell(found)

    def _remember(self, host: str, addresses: Addresses) -> None:
        now = asyncio.get_running_loop().time()
        for old in [old for old, (_, ends) in self._known.items() if ends <= now]:
            del self._known[old]
        self._known[host] = (addresses, now + REMEMBER_SECONDS)


class _LookUp:
    """One name that is looked up, and who waits for it."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.began = 0.0
        self.threads = 0
        self.found: Addresses | DialError | None = None
        self._waiters: set[asyncio.Future[Addresses | DialError]] = set()

    @property
    def is_awaited(self) -> bool:
        return bool(self._waiters)

    async def wait(self) -> Addresses | DialError:
        """What is found. Each waits for a future of its own, so that one who is cancelled ends it for no other."""
        if self.found is not None:  # there was no thread to be had
            return self.found
        waiter: asyncio.Future[Addresses | DialError] = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            return await waiter
        finally:
            self._waiters.discard(waiter)

    def tell(self, found: Addresses | DialError) -> None:
        self.found = found
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(found)


def is_literal(host: str) -> bool:
    """Whether it is an address already, with or without a zone."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def look_up_in_system(host: str) -> Addresses:
    """What the system's resolver says, in its order (RFC 6724) but with the families in turn (RFC 8305 section 4).

    Raises:
        OSError, UnicodeError, ValueError: it has no address.
    """
    families: dict[int, list[str]] = {}
    for family, _, _, _, address in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM):
        families.setdefault(family, []).append(str(address[0]))
    turns = chain(*zip_longest(*families.values()))
    return tuple(dict.fromkeys(address for address in turns if address is not None))


def _as_dial_error(host: str, error: BaseException) -> DialError:
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or type(error).__name__
    return DialError("dns", f"{host} can't be looked up: {said}")
