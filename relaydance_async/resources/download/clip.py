"""One download, from its first request to the file's final name, or to its bytes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..._call import Api
from ...errors import APIConnectionError, APIStatusError, DownloadError, ResponseDecodeError
from .._progress import NO_PROGRESS, Progress, StoppedByHook
from .disk import close_at_last, on_disk
from .fetch import Result, as_download_error, fetch
from .memory import MemoryPart
from .part import PartFile
from .transfer import Transfer

DEFAULT_MAX_BYTES = 4 * 1024**3
DEFAULT_MEMORY_BYTES = 256 * 1024**2

_NOT_FETCHED = (APIStatusError, APIConnectionError, ResponseDecodeError, DownloadError)


@dataclass(frozen=True, slots=True)
class DownloadLimits:
    """What a download may do; see `Video.download`.

    Attributes:
        max_bytes: of the result.
        progress: is told of each piece.
    """

    max_bytes: int = DEFAULT_MAX_BYTES
    progress: Progress = NO_PROGRESS


async def download(api: Api, result: Result, part: PartFile, limits: DownloadLimits) -> Path:
    """Save a result.

    Args:
        api: makes the calls.
        result: see there.
        part: of the file where it is to be; this opens and closes it.
        limits: see there.

    Returns:
        The path of the file.

    Raises:
        InvalidInputError: no file can have that name.
        DownloadError: it could not be fetched or written whole, or its URL is not to be trusted.
        Exception: what the caller's function raised, unchanged.

    Cancelling it leaves the part file, from which a later call goes on, unless nothing can. It returns when that is
    closed, so that the later call can begin at once.
    """
    try:
        return await _download(api, result, part, limits)
    except StoppedByHook as stopped:
        reason = stopped.reason
    raise reason


async def _download(api: Api, result: Result, part: PartFile, limits: DownloadLimits) -> Path:
    try:
        await on_disk(part.open)
        await fetch(api, result, Transfer(part, limits.max_bytes, limits.progress))
        return await on_disk(part.finish)
    except _NOT_FETCHED as error:
        raise as_download_error(error, result.task_id) from None
    finally:
        await close_at_last(part)


async def load(api: Api, result: Result, max_bytes: int) -> bytes:
    """A result's bytes. Raises like `download`; cancelling it leaves nothing."""
    part = MemoryPart()
    try:
        await fetch(api, result, Transfer(part, max_bytes, NO_PROGRESS))
        return part.finish()
    except _NOT_FETCHED as error:
        raise as_download_error(error, result.task_id) from None
