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
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from contextlib import AbstractContextManager, suppress
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

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

    Ctrl-C cancels the call, as a cancellation of its task does. So does whatever else a signal's handler raises, such
    as the time limit of a worker. `maybe_accepted(error)` then tells whether a billed request may have been accepted.
    """
    if not inspect.isawaitable(awaitable):
        raise TypeError(
            f"run() takes what can be awaited, such as client.models.list(), not {type(awaitable).__name__}"
        )
    call = _Call(awaitable)
    try:
        _refuse_in_loop()
        future = _loop_thread.start(call.run)
    except BaseException:
        if isinstance(awaitable, Coroutine):
            awaitable.close()  # nobody awaits it any more
        raise
    try:
        call.ended.wait()
    except BaseException as error:  # of a signal's handler
        future.cancel()
        call.ended.wait()
        call.tell(error)
        raise
    return call.unpacked()


class _Call(Generic[T]):
    """One call in the other thread. It raises nothing there: a BaseException would end the loop with all its calls."""

    def __init__(self, awaitable: Awaitable[T]) -> None:
        self._awaitable = awaitable
        self._outcome: list[tuple[Any, BaseException | None]] = []
        self.ended = threading.Event()

    async def run(self) -> None:
        try:
            self._outcome.append((await self._awaitable, None))
        except BaseException as error:
            self._outcome.append((None, error))
        finally:
            self.ended.set()

    def unpacked(self) -> T:
        """What it gave, or raised. It is kept no longer: an error's traceback leads to this frame."""
        result, error = self._outcome.pop()
        if error is None:
            return cast(T, result)
        try:
            raise error
        finally:
            del error

    def tell(self, interrupt: BaseException) -> None:
        """Let what interrupted it say what it may have cost."""
        result, error = self._outcome.pop()
        if error is None:  # it had just ended
            task_id = getattr(result, "task_id", None)
            mark_accepted(interrupt, True, note=f"{_NOTE}: task {task_id}" if task_id else _NOTE)
        elif (accepted := maybe_accepted(error)) is not None:
            mark_accepted(interrupt, accepted, note=_NOTE)


class _LoopThread:
    """The thread with the event loop, begun when it is first needed, and anew in a forked child."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._begun: tuple[BlockingPortal, AbstractContextManager[BlockingPortal]] | None = None
        self._gone: list[object] = []
        """As garbage they would wait for their threads."""
        self.thread: int | None = None

    def start(self, work: Callable[[], Awaitable[None]]) -> Future[None]:
        """Begin it there."""
        portal = self._portal()
        try:
            return portal.start_task_soon(work)
        except RuntimeError:  # a task that nobody awaited has ended the loop, by a SystemExit of its own
            self._forget(portal)
            return self._portal().start_task_soon(work)

    def _portal(self) -> BlockingPortal:
        from anyio.from_thread import start_blocking_portal

        with self._lock:
            if self._begun is None:
                manager = start_blocking_portal("asyncio")
                self._begun = manager.__enter__(), manager
                self.thread = self._begun[0].call(threading.get_ident)
                atexit.register(self._end)
            return self._begun[0]

    def _forget(self, portal: BlockingPortal) -> None:
        with self._lock:
            if self._begun is not None and self._begun[0] is portal:
                self._gone.append(self._begun)
                self._begun = None

    def _end(self) -> None:
        begun, self._begun = self._begun, None
        if begun is not None:
            portal, manager = begun
            with suppress(RuntimeError):  # it has ended before
                portal.call(portal.stop, True)
            manager.__exit__(None, None, None)

    def after_fork(self) -> None:
        """Begin anew in a child: it has none of its parent's threads, one of which may have held the lock."""
        self._lock = threading.Lock()
        self._gone.append(self._begun)
        self._begun = self.thread = None


_loop_thread = _LoopThread()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_loop_thread.after_fork)


def _refuse_in_loop() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    if not _is_in_notebook() or threading.get_ident() == _loop_thread.thread:
        raise RuntimeError("run() would hold up the event loop that this code runs in: use `await` here")


def _is_in_notebook() -> bool:
    ipython: Any = sys.modules.get("IPython")
    return ipython is not None and ipython.get_ipython() is not None
