"""Work in threads, off the event loop.

Not in anyio's: one of those stays when its work is done, and waits for the loop to tell it to end. A loop that is
driven by hand (nest_asyncio, notebooks) stops before it tells, and the process never ends. Ours end by themselves, a
moment after their work: making one for each piece of a download was a quarter of its CPU.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import queue
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, TypeAlias, TypeVar, cast

import anyio
import anyio.to_thread

T = TypeVar("T")

Outcome: TypeAlias = tuple[Any, BaseException | None]

_LINGER = 0.02
"""Seconds that a thread waits for more work. The end of the process may have to wait as long."""


async def in_thread(work: Callable[[], T], *, abandon_on_cancel: bool = False) -> T:
    """Do it in a thread; as many at once as anyio's limiter for the running loop allows (40 by default).

    Args:
        abandon_on_cancel: whether a cancelled scope of anyio's leaves the thread behind, or waits for it. Under asyncio
            `Task.cancel` always leaves it behind.

    Raises:
        RuntimeError: there is no thread to be had.
        Exception: whatever `work` raises.
    """
    if not _on_asyncio():
        return await anyio.to_thread.run_sync(work, abandon_on_cancel=abandon_on_cancel)
    result: Any = None
    error: BaseException | None = None
    async with anyio.to_thread.current_default_thread_limiter():
        with anyio.CancelScope(shield=not abandon_on_cancel):
            result, error = (await begin_in_thread(work)).pop()
    if error is None:
        return cast(T, result)
    try:
        raise error
    finally:
        del error  # its traceback has this frame


def begin_in_thread(work: Callable[[], Any], *, daemon: bool = False) -> asyncio.Future[list[Outcome]]:
    """Begin it in a thread at once; the future gets the outcome, alone in a list. Under asyncio only.

    Args:
        daemon: whether the process may end before the work does. It then has a thread of its own.

    Raises:
        RuntimeError: there is no thread to be had.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[list[Outcome]] = loop.create_future()
    context = contextvars.copy_context()

    def job() -> Callable[[], None]:
        # Neither a variable nor, in the end, the future holds the outcome: an error's traceback leads to this frame.
        return partial(_tell, loop, future, _outcome(lambda: None if future.cancelled() else context.run(work)))

    if daemon:
        threading.Thread(target=lambda: job()(), name="relaydance", daemon=True).start()
    else:
        _begin(job)
    return future


def _begin(job: Callable[[], Callable[[], None]]) -> None:
    try:
        worker, _ = _idle.popitem()  # the last one, so that the others end
    except KeyError:
        worker = _Worker()
        threading.Thread(target=worker.run, name="relaydance").start()
    worker.jobs.put(job)


class _Worker:
    """What a thread does: one job after the other, as long as they follow closely.

    A job gives what tells of its end. By then the thread is idle, so that whoever is told finds it for the next one.
    """

    def __init__(self) -> None:
        self.jobs: queue.SimpleQueue[Callable[[], Callable[[], None]]] = queue.SimpleQueue()

    def run(self) -> None:
        while self._do_next():
            pass

    def _do_next(self) -> bool:
        try:
            job = self.jobs.get(timeout=_LINGER)
        except queue.Empty:
            if _idle.pop(self, self) is None:
                return False  # nobody knows it any more
            job = self.jobs.get()  # somebody has taken it in this moment
        tell = job()
        _idle[self] = None
        tell()
        del tell  # an error in it leads to this frame
        return True


_idle: dict[_Worker, None] = {}
"""Those that wait for work. Each operation on it is one step for all threads."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_idle.clear)  # their threads are the parent's


def _outcome(work: Callable[[], Any]) -> Outcome:
    try:
        return work(), None
    except BaseException as error:
        return None, error


def _tell(loop: asyncio.AbstractEventLoop, future: asyncio.Future[list[Outcome]], outcome: Outcome) -> None:
    with suppress(Exception):  # the loop is closed, in its own words, and nobody waits any more
        loop.call_soon_threadsafe(_settle, future, outcome)


def _settle(future: asyncio.Future[list[Outcome]], outcome: Outcome) -> None:
    if not future.done():  # its caller may have been cancelled
        future.set_result([outcome])


def _on_asyncio() -> bool:
    if "trio" not in sys.modules:
        return True
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
