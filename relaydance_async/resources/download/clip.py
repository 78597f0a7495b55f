"""One download, from its first request to the file's final name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..._call import Api
from ..._sansio.request import build_get
from ...errors import APIConnectionError, APIStatusError, DownloadError, RelayDanceError, ResponseDecodeError
from ...models.video import VideoTask
from .disk import close_at_last, on_disk
from .part import PartFile
from .resume import AskAgain
from .source import ClipSource, HostPolicy, check_addresses
from .transfer import Arrived, Moved, Transfer

DEFAULT_MAX_BYTES = 4 * 1024**3
_MOST_REDIRECTS = 5


@dataclass(frozen=True, slots=True)
class DownloadLimits:
    """What a download may do; see `Video.download`.

    Attributes:
        max_bytes: of the clip.
        allow_private_hosts: also from addresses that aren't public.
    """

    max_bytes: int = DEFAULT_MAX_BYTES
    allow_private_hosts: bool = False


async def download_clip(api: Api, task: VideoTask, to: Path, limits: DownloadLimits) -> Path:
    """Save the clip of a task that has succeeded.

    Args:
        api: makes the calls.
        task: whose clip it is.
        to: a file, or a directory, which takes `<task_id>.mp4`.
        limits: see there.

    Returns:
        The path of the clip.

    Raises:
        InvalidInputError: `to` can't be the name of a file.
        DownloadError: it could not be fetched or written whole, or its URL is not to be trusted.

    Cancelling it leaves the part file, from which a later call goes on, unless nothing can. It returns when that is
    closed, so that the later call can begin at once.
    """
    policy = HostPolicy.beside(api.base_url, allow_private=limits.allow_private_hosts)
    part = PartFile(to, task.task_id)
    try:
        source = ClipSource.of(task, api.base_url, policy)
        await on_disk(part.open)
        await _fetch(api, task, source, Transfer(part, limits.max_bytes))
        return await on_disk(part.finish)
    except (APIStatusError, APIConnectionError, ResponseDecodeError, DownloadError) as error:
        raise _as_download_error(error, task) from None
    finally:
        await close_at_last(part)


async def _fetch(api: Api, task: VideoTask, source: ClipSource, transfer: Transfer) -> None:
    redirects = 0
    while True:
        await check_addresses(source.target)
        request = build_get(source.target, headers=transfer.headers, task_id=task.task_id)
        match await api.call(request, transfer):
            case Arrived():
                return
            case AskAgain():
                pass  # the transfer says so once at most
            case Moved() if redirects == _MOST_REDIRECTS:
                raise DownloadError(f"more than {_MOST_REDIRECTS} redirects")
            case Moved(location):
                redirects += 1
                source = source.next_hop(location)


def _as_download_error(error: RelayDanceError, task: VideoTask) -> DownloadError:
    return DownloadError(
        error.message, meta=error.meta, code=error.code, task_id=task.task_id, retryable=error.retryable
    )
