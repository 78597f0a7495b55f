"""Work that may block for good, such as reading from a pipe."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import anyio
import anyio.from_thread
import anyio.lowlevel

T = TypeVar("T")


async def aside(work: Callable[[], T]) -> T:
    """Do it in a thread of its own. Those that the whole program shares may be few, and keep it from ending.

    Cancelling it leaves the thread behind, for as long as the work takes. The interpreter ends all the same.

    Raises:
        Exception: whatever the work raises.
    """
    done: list[T] = []
    failed: list[BaseException] = []
    ended = anyio.Event()
    token = anyio.lowlevel.current_token()

    def run() -> None:
        try:
            done.append(work())
        except BaseException as error:
            failed.append(error.with_traceback(None))  # its frames would hold it, and be left to the garbage collector
        with suppress(RuntimeError, anyio.RunFinishedError):  # the event loop is gone, and nobody waits
            anyio.from_thread.run_sync(ended.set, token=token)

    threading.Thread(target=run, name="relaydance-read", daemon=True).start()
    await ended.wait()
    if failed:
        raise failed.pop()
    return done.pop()
