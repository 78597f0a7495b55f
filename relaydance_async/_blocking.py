"""A way in for code that isn't async: a script, a console, a function in a notebook.

One event loop in a thread of its own serves all of it, for as long as the process lives. So connections stay open
between calls, which a new `asyncio.run` for each call would close.
"""

from __future__ import annotations

import asyncio
import atexit
import inspect
import os
import sys
import threading
from collections.abc import Awaitable, Coroutine
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from .errors import mark_accepted, maybe_accepted

if TYPE_CHECKING:
    from anyio.from_thread import BlockingPortal

T = TypeVar("T")

_NOTE = "relaydance: a request that was under way may have been accepted and billed"


def run(awaitable: Awaitable[T]) -> T:
    """Wait for what a method of the client returns, in code that isn't async.

    ```python
    from relaydance_async import AsyncRelayDance, run

    client = AsyncRelayDance()
    models = run(client.models.list())
    ```

    All of it runs in one event loop, in a thread of its own. So a client keeps its connections from call to call. The
    same client used with `await` elsewhere has others there: connections belong to a loop.

    Args:
        awaitable: a coroutine, such as `client.video.generate(…)`.

    Returns:
        Its result. What it raises comes out as it is.

    Raises:
        RuntimeError: this code runs in an event loop, which it would hold up: use `await` there. (It is allowed in
            IPython and Jupyter.)
        TypeError: it can't be awaited.

    Ctrl-C cancels the call, as a cancellation of its task does; `maybe_accepted(error)` tells of the KeyboardInterrupt
    whether a billed request may have been accepted.
    """
    if not inspect.isawaitable(awaitable):
        raise TypeError(
            f"run() takes what can be awaited, such as client.models.list(), not {type(awaitable).__name__}"
        )
    try:
        _refuse_in_loop()
        portal = _loop_thread.portal()
    except BaseException:
        if isinstance(awaitable, Coroutine):
            awaitable.close()  # nobody awaits it any more
        raise
    call = _Call(awaitable)
    future = portal.start_task_soon(call.run)
    try:
        return future.result()
    except KeyboardInterrupt as error:
        future.cancel()
        call.ended.wait()
        if call.accepted is not None:
            mark_accepted(error, call.accepted, note=_NOTE)
        raise


class _Call(Generic[T]):
    """One call in the other thread; a cancelled future forgets how its task ended."""

    def __init__(self, awaitable: Awaitable[T]) -> None:
        self._awaitable = awaitable
        self.ended = threading.Event()
        self.accepted: bool | None = None

    async def run(self) -> T:
        try:
            return await self._awaitable
        except BaseException as error:
            self.accepted = maybe_accepted(error)
            raise
        finally:
            self.ended.set()


class _LoopThread:
    """The thread with the event loop, begun when it is first needed, and anew in a forked child."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._begun: tuple[BlockingPortal, AbstractContextManager[BlockingPortal]] | None = None
        self._of_parents: list[object] = []

    def portal(self) -> BlockingPortal:
        """The way into it."""
        from anyio.from_thread import start_blocking_portal

        with self._lock:
            if self._begun is None:
                manager = start_blocking_portal("asyncio")
                self._begun = manager.__enter__(), manager
                atexit.register(self._end)
            return self._begun[0]

    def _end(self) -> None:
        begun, self._begun = self._begun, None
        if begun is not None:
            portal, manager = begun
            portal.call(portal.stop, True)
            manager.__exit__(None, None, None)

    def after_fork(self) -> None:
        """Begin anew in a child: it has none of its parent's threads, one of which may have held the lock."""
        self._lock = threading.Lock()
        self._of_parents.append(self._begun)  # as garbage it would wait for its thread
        self._begun = None


_loop_thread = _LoopThread()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_loop_thread.after_fork)


def _refuse_in_loop() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    if not _is_in_notebook():
        raise RuntimeError("run() would hold up the event loop that this code runs in: use `await` here")


def _is_in_notebook() -> bool:
    ipython: Any = sys.modules.get("IPython")
    return ipython is not None and ipython.get_ipython() is not None
