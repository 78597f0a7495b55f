"""Renews the leases of a process: in a thread with a loop of its own, so that all loops share them."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import secrets
import threading
import time
from collections.abc import Awaitable, Callable

from .._sansio.key_wide import KeyWide
from .._sansio.limiter import Limiter
from .._sansio.sharing import EVERY, LEASE, KeyPart, Part
from .._threads import in_thread
from ._shared import Store

log = logging.getLogger("relaydance_async")

_LONGEST_PAUSE = 2.0
"""Seconds between two tries while the store fails."""


class Sharing:
    """Shares limits over a store. A `SharedLimits`.

    It needs no lock, which a fork could leave locked: a dict's steps are whole.

    Args:
        open_store: makes the store, in the thread.
        monotonic: the clients' clock, in seconds.
    """

    def __init__(self, open_store: Callable[[], Store], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._open_store = open_store
        self._monotonic = monotonic
        self._parts: dict[int, Part] = {}
        self._pid = 0
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._is_closed = False
        self._failures = 0
        self.round_trips: int = 0
        """How many there were."""

    def allowance(self, name: str, limiter: Limiter) -> Part:
        """See `SharedLimits`."""
        return Part(_hashed(name), secrets.token_hex(8), limiter, self._used)

    def allowance_of_key(self, name: str, wide: KeyWide) -> KeyPart:
        """See `SharedLimits`."""
        return KeyPart(_hashed(name), secrets.token_hex(8), wide, self._used)

    def _used(self, part: Part) -> None:
        if id(part) not in self._parts:
            self._parts[id(part)] = part
        if self._thread is None or self._pid != os.getpid():
            self._begin()

    def _begin(self) -> None:
        if self._is_closed:
            return
        if self._pid not in (0, os.getpid()):  # a fork: the leases are the parent's
            for part in list(self._parts.values()):
                part.who = secrets.token_hex(8)
        self._pid, self._stop = os.getpid(), threading.Event()
        thread = threading.Thread(target=self._work, args=(self._stop,), name="relaydance-limits", daemon=True)
        self._thread = thread
        try:
            thread.start()
        except RuntimeError as error:  # there is none to be had, or the interpreter ends
            self._failed(error)

    async def aclose(self) -> None:
        """Give the leases back and close the connection. Clients go on with what they learn by themselves."""
        self._is_closed = True
        thread = self._thread
        self._stop.set()
        if thread is not None and thread.is_alive() and self._pid == os.getpid():
            await in_thread(lambda: thread.join(2 * LEASE))

    def _work(self, stop: threading.Event) -> None:
        with asyncio.Runner() as runner:
            runner.run(self._renew_until(stop))

    async def _renew_until(self, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                await self._renew_over(self._open_store(), stop)
            except Exception as error:  # whatever it is, no call may fail of it
                self._failed(error)
                await asyncio.sleep(min(EVERY * 2 ** min(self._failures, 8), _LONGEST_PAUSE))

    async def _renew_over(self, store: Store, stop: threading.Event) -> None:
        """Until it fails: then another connection may do better, after a failover."""
        try:
            while not stop.is_set():
                await self._renew(store)
                await asyncio.sleep(EVERY)
            await _quietly(store.release([(part.name, part.who) for part in self._parts.values()]))
        finally:
            await _quietly(store.aclose())

    async def _renew(self, store: Store) -> None:
        now = self._monotonic()
        for key, part in list(self._parts.items()):
            if part.is_idle(now):
                self._parts.pop(key, None)
        parts = list(self._parts.values())
        if not parts:
            return
        self.round_trips += 1
        async with asyncio.timeout(LEASE / 2):
            grants = await store.exchange([part.report(now) for part in parts])
        for part, grant in zip(parts, grants, strict=True):
            part.granted(grant, now)
        if self._failures:
            self._failures = 0
            log.info("limits are shared with other processes again")

    def _failed(self, error: Exception) -> None:
        self._failures += 1
        if self._failures == 1:
            # Not what it says: that may hold an address with a password.
            log.warning(
                "limits can't be shared with other processes now (%s): each goes on with what it learns by itself",
                type(error).__name__,
            )


def _hashed(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:40]


async def _quietly(doing: Awaitable[None]) -> None:
    try:
        async with asyncio.timeout(LEASE / 2):
            await doing
    except Exception as error:
        log.debug("leaving the shared limits failed: %s", type(error).__name__)
