"""Work on files, off the event loop."""

from __future__ import annotations

import errno
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

import anyio

from ..._threads import in_thread
from ...errors import DownloadError, DownloadErrorKind
from .part import PartFile

P = ParamSpec("P")
T = TypeVar("T")

_CLOSE_SECONDS = 10.0
"""How long a disk that doesn't answer may keep its caller: then the thread is left behind."""

_LOOK_SECONDS = 0.001


async def on_disk(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do it in a thread.

    Raises:
        DownloadError: the disk refuses.

    Cancelling it leaves a thread that goes on, or one that never begins.
    """
    try:
        return await in_thread(lambda: work(*args, **kwargs), abandon_on_cancel=True)
    except OSError as error:
        raise DownloadError(_told(error), kind=_kind_of(error)) from None


async def check_place(part: PartFile, task_id: str | None) -> None:
    """That a file may be there, before anything is asked for.

    Raises:
        InvalidInputError: no file can have that name.
        DownloadError: nothing may be written there.
    """
    try:
        await on_disk(part.check)
    except DownloadError as error:
        raise DownloadError(error.message, kind=error.kind, task_id=task_id) from None


async def write_whole(part: PartFile, content: Callable[[], bytes]) -> Path:
    """Write a file of which all is there already; not at all when cancelled before its end.

    Args:
        part: of the file; this opens and closes it.
        content: makes the bytes, in the thread that writes them.

    Raises:
        InvalidInputError, DownloadError: see `check_place`; or the disk refuses.
    """

    def write() -> Path:
        part.open()
        part.restart()
        part.hold(content())
        return part.finish()

    try:
        return await on_disk(write)
    finally:
        await close_at_last(part)


async def close_at_last(part: PartFile) -> None:
    """Close it in a thread, and wait for that however often the caller is cancelled, so that whoever begins anew finds
    it closed; for 10 seconds at most.
    """
    if part.is_closed:
        return
    closed = _started(part.close)
    if isinstance(sys.exception(), GeneratorExit):
        return  # the event loop is gone, and nobody can wait
    interrupted: BaseException | None = None
    ends = time.monotonic() + _CLOSE_SECONDS
    with anyio.CancelScope(shield=True):
        # By looking: each further cancellation of asyncio breaks off whatever is awaited.
        while closed.is_alive() and time.monotonic() < ends:
            try:
                await anyio.sleep(_LOOK_SECONDS)
            except anyio.get_cancelled_exc_class() as error:
                interrupted = error
    if interrupted is not None:
        raise interrupted


def _started(work: Callable[[], None]) -> threading.Thread:
    # A thread of its own: those for everyone's work may all be taken, and take nothing from who is cancelled.
    thread = threading.Thread(target=work, name="relaydance-close")
    try:
        thread.start()
    except RuntimeError:  # there is no thread to be had
        work()
    return thread


_OF_THE_PLACE = frozenset(
    {errno.EACCES, errno.EBUSY, errno.EEXIST, errno.EINVAL, errno.EISDIR, errno.ELOOP, errno.EMLINK}
    | {errno.ENAMETOOLONG, errno.ENOENT, errno.ENOTDIR, errno.ENXIO, errno.EPERM, errno.EROFS}
)


def _kind_of(error: OSError) -> DownloadErrorKind:
    return "path" if error.errno in _OF_THE_PLACE else "disk"


def _told(error: OSError) -> str:
    place = f" to {error.filename}" if error.filename is not None else ""
    return f"it can't be written{place}: {error.strerror or error}"
