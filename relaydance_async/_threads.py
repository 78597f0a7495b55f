"""Work in threads, off the event loop.

Not in anyio's: one of those stays when its work is done, and waits for the loop to tell it to end. A loop that is
driven by hand (nest_asyncio, notebooks) stops before it tells, and the process never ends. Ours end with their work.
"""

from __future__ import annotations

import asyncio
import contextvars
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeAlias, TypeVar, cast

import anyio
import anyio.to_thread

T = TypeVar("T")

Outcome: TypeAlias = tuple[Any, BaseException | None]


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
    """Begin it in a thread of its own at once; the future gets the outcome, alone in a list. Under asyncio only.

    Args:
        daemon: whether the process may end before the work does.

    Raises:
        RuntimeError: there is no thread to be had.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[list[Outcome]] = loop.create_future()
    context = contextvars.copy_context()

    def run() -> None:
        if future.cancelled():
            return
        with suppress(RuntimeError):  # the loop is closed, and nobody waits any more
            # Neither a variable nor, in the end, the future holds it: an error's traceback leads to this frame.
            loop.call_soon_threadsafe(_settle, future, _outcome(lambda: context.run(work)))

    threading.Thread(target=run, name="relaydance", daemon=daemon).start()
    return future


def _outcome(work: Callable[[], Any]) -> Outcome:
    try:
        return work(), None
    except BaseException as error:
        return None, error


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
