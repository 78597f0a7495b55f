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
from contextlib import suppress
from typing import Any, Generic, TypeVar, cast

from .errors import mark_accepted, maybe_accepted

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
        _loop_thread.start(call)
        call.wait()
    except BaseException as error:  # of a signal's handler
        call.abandon(error)
        raise
    return call.unpacked()


class _Call(Generic[T]):
    """One call in the other thread. It raises nothing there: a BaseException would end the loop with all its calls.

    An interrupt may come at any moment here, also before the loop knows of the call. So it is begun and cancelled in
    the loop, one after the other.
    """

    def __init__(self, awaitable: Awaitable[T]) -> None:
        self._awaitable = awaitable
        self._outcome: list[tuple[Any, BaseException | None]] = []
        self._task: asyncio.Task[None] | None = None
        self.loop: asyncio.AbstractEventLoop | None = None
        """Where it is begun, or about to be."""
        self._has_ended = False
        self._gate = threading.Lock()
        """Open once it has ended. (An interrupt within an `Event` can leave that locked for ever.)"""
        self._gate.acquire()

    def wait(self) -> None:
        """Until it has ended. It can be waited for again."""
        if not self._has_ended:
            self._gate.acquire()

    def begin(self) -> None:
        """Begin it. In the loop."""
        if not self._has_ended:
            self._task = asyncio.ensure_future(self._run())
            self._task.add_done_callback(self._end)

    def _cancel(self) -> None:
        if self._task is None:
            self._end()
        else:
            self._task.cancel()

    async def _run(self) -> None:
        try:
            self._outcome.append((await self._awaitable, None))
        except BaseException as error:
            self._outcome.append((None, error))

    def _end(self, task: object = None) -> None:
        if not self._outcome:  # it was cancelled before its first step
            self._close()
            self._outcome.append((None, asyncio.CancelledError()))
        self._has_ended = True
        self._gate.release()

    def _close(self) -> None:
        awaitable: object = self._awaitable
        if isinstance(awaitable, Coroutine):
            awaitable.close()  # nobody awaits it any more

    def abandon(self, interrupt: BaseException) -> None:
        """Cancel it, wait for its end, and let what interrupted it say what it may have cost."""
        if self.loop is None:
            self._close()
            return
        with suppress(RuntimeError):  # the loop has ended, and with it the call
            self.loop.call_soon_threadsafe(self._cancel)
        self.wait()
        self._tell(interrupt)

    def unpacked(self) -> T:
        """What it gave, or raised. It is kept no longer: an error's traceback leads to this frame."""
        result, error = self._outcome.pop()
        if error is None:
            return cast(T, result)
        try:
            raise error
        finally:
            del error

    def _tell(self, interrupt: BaseException) -> None:
        result, error = self._outcome.pop()
        if error is None:  # it had just ended
            task_id = getattr(result, "task_id", None)
            mark_accepted(interrupt, True, note=f"{_NOTE}: task {task_id}" if task_id else _NOTE)
        elif (accepted := maybe_accepted(error)) is not None:
            mark_accepted(interrupt, accepted, note=_notes_of(error) or _NOTE)


def _notes_of(error: BaseException) -> str:
    """What a cancellation says, such as how to go on with a clip that is paid for."""
    return "\n".join(getattr(error, "__notes__", ()))


class _LoopThread:
    """The thread with the event loop, begun when it is first needed, and anew in a forked child.

    Nothing waits for its beginning: a Ctrl-C in there would leave a loop that nobody ends. (anyio's portal waits.)
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._begun: tuple[asyncio.AbstractEventLoop, threading.Thread] | None = None
        self._gone: list[object] = []
        """A child's loops of its parent: as garbage they would warn."""

    @property
    def thread(self) -> int | None:
        """Its identity."""
        return None if self._begun is None else self._begun[1].ident

    def start(self, call: _Call[Any]) -> None:
        """Begin it there."""
        with self._lock:
            if self._begun is None:
                self._begun = self._begin()
            call.loop = self._begun[0]
            call.loop.call_soon_threadsafe(call.begin)

    def _begin(self) -> tuple[asyncio.AbstractEventLoop, threading.Thread]:
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=self._serve, args=(loop,), name="relaydance-loop", daemon=True)
        thread.start()
        atexit.register(self._end)
        return loop, thread

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            with suppress(SystemExit, KeyboardInterrupt):  # of a task that nobody awaited
                loop.run_forever()
        finally:
            with self._lock:  # from now on there come no more calls
                if self._begun is not None and self._begun[0] is loop:
                    self._begun = None
            _end_all(loop)

    def _end(self) -> None:
        if (begun := self._begun) is not None:
            loop, thread = begun
            with suppress(RuntimeError):  # it has ended before
                loop.call_soon_threadsafe(loop.stop)
            thread.join()

    def after_fork(self) -> None:
        """Begin anew in a child: it has none of its parent's threads, one of which may have held the lock."""
        self._lock = threading.Lock()
        self._gone.append(self._begun)
        self._begun = None


def _end_all(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel what is left, as `asyncio.run` does, and close the loop."""
    loop.call_soon(loop.stop)
    with suppress(SystemExit, KeyboardInterrupt):
        loop.run_forever()  # calls that are about to begin
    while left := asyncio.all_tasks(loop):
        for task in left:
            task.cancel()
        with suppress(SystemExit, KeyboardInterrupt):
            loop.run_until_complete(asyncio.wait(left))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


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
