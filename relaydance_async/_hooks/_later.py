"""What asynchronous hooks have yet to do. No call waits for them: its money and its answer don't depend on them."""

from __future__ import annotations

import asyncio
import inspect
import logging
import sys
from collections import Counter, deque
from collections.abc import Awaitable
from contextlib import suppress
from typing import Any

import anyio

from .._callbacks import ends_task
from .._errand import AsyncioErrand, TrioErrand, start_errand

log = logging.getLogger("relaydance_async")

MOST = 10_000
"""Events that may wait for the asynchronous hooks of a client. Those beyond are dropped."""

DRAIN_SECONDS = 5.0
"""How long the closing of a client waits for its hooks."""


class Backlog:
    """What is waiting, of all hooks of a client."""

    def __init__(self) -> None:
        self._waiting: Counter[object] = Counter()
        """Events by their loop: a forked child has none of its parent's."""
        self._errands: dict[AsyncioErrand[None] | TrioErrand[None], object] = {}
        self._is_full = False

    def has_room(self, loop: object) -> bool:
        """Whether one more may wait."""
        was_full, self._is_full = self._is_full, self._waiting[loop] >= MOST
        if self._is_full and not was_full:
            log.warning("the hooks are too slow: %d events wait for them, and further ones are dropped", MOST)
        return not self._is_full

    def changed(self, loop: object, by: int) -> None:
        """So many more wait."""
        self._waiting[loop] += by
        if not self._waiting[loop]:
            del self._waiting[loop]

    def start(self, mailbox: Mailbox, loop: object) -> None:
        """Have a mailbox emptied."""
        errand = start_errand(mailbox.empty)
        self._errands[errand] = loop
        errand.on_end(lambda: self._errands.pop(errand, None))

    async def drain(self) -> None:
        """Wait until the hooks have done what waits in this loop; what takes too long is ended."""
        loop = running_loop()
        mine = [errand for errand, of in self._errands.items() if of is loop]
        try:
            with anyio.move_on_after(DRAIN_SECONDS):
                for errand in mine:
                    await errand.ended()
        finally:
            for errand in mine:
                errand.stop()


class Mailbox:
    """The awaitables of one hook, of one call or wait: one after the other."""

    __slots__ = ("_backlog", "_loop", "_posts")

    def __init__(self, backlog: Backlog) -> None:
        self._backlog = backlog
        self._loop: object = None
        self._posts: deque[Awaitable[Any]] = deque()

    def post(self, awaitable: Awaitable[Any]) -> None:
        """Have it awaited, after those before it. When there are too many, or no loop runs any more, it is dropped."""
        try:
            self._loop = running_loop()
            has_room = self._backlog.has_room(self._loop)
        except RuntimeError:
            has_room = False
        if not has_room:
            _drop(awaitable)
            return
        self._posts.append(awaitable)
        self._backlog.changed(self._loop, 1)
        if len(self._posts) == 1:
            self._backlog.start(self, self._loop)

    async def empty(self) -> None:
        """Await all. The first stays in its place until it is done: it says that this is at work."""
        try:
            while self._posts:
                await _done(self._posts[0])
                del self._posts[0]
                self._backlog.changed(self._loop, -1)
        finally:
            self._backlog.changed(self._loop, -len(self._posts))
            for post in self._posts:
                _drop(post)
            self._posts.clear()


async def _done(awaitable: Awaitable[Any]) -> None:
    try:
        await awaitable
    except BaseException as error:
        if ends_task(error):
            raise
        log_hook()


def _drop(awaitable: Awaitable[Any]) -> None:
    if inspect.iscoroutine(awaitable):
        awaitable.close()


def log_hook() -> None:
    """A hook raised."""
    log.exception("a hook raised; the call goes on")


def running_loop() -> object:
    """The running event loop, or trio's token.

    Raises:
        RuntimeError: none runs.
    """
    with suppress(RuntimeError):
        return asyncio.get_running_loop()
    if "trio" not in sys.modules:
        raise RuntimeError("no running event loop")
    import trio.lowlevel

    return trio.lowlevel.current_trio_token()
