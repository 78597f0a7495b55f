"""The clip of a task: to a file, into memory, or piece by piece."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Unpack

import anyio

from ..._call import Api
from ..._limits import Order
from ..._sansio.extras import CallExtras
from ...errors import DownloadError, InvalidInputError
from ...models._options import RequestOptions
from ...models.video import VideoTask
from .._progress import ProgressHook
from .._resource import apply, names_of
from ..download import (
    DEFAULT_MAX_BYTES,
    DEFAULT_MEMORY_BYTES,
    HostPolicy,
    PartFile,
    Result,
    ResultSource,
    SaveSettings,
    as_download_error,
    check_place,
    download,
    load,
    on_disk,
    stream,
)
from .params import REQUEST_OPTIONS
from .tasks import TaskOrId, TaskResource, build_poll, check_deadline, id_of, poll

_OPTIONS = REQUEST_OPTIONS | names_of(SaveSettings)  # so that a typing error is told what was meant


class Saving(TaskResource):
    """Fetches clips."""

    async def download(
        self,
        task: TaskOrId,
        path: str | os.PathLike[str],
        *,
        deadline: float | None = None,
        overwrite: bool = True,
        max_bytes: int = DEFAULT_MAX_BYTES,
        allow_private_hosts: bool = False,
        on_progress: ProgressHook | None = None,
        **options: Unpack[RequestOptions],
    ) -> Path:
        """Save a finished clip. Its URL is on another host, which doesn't get the key.

        It is written to `<path>.<task_id>.part`, checked against the announced length, and renamed at the end: under
        its final name there is only a whole clip. A broken transfer is resumed where the server can do that and names
        the file by an ETag or a date (RFC 9110 section 13.1.5), which is kept in `<path>.<task_id>.etag.part`. When the
        URL has expired, the task is retrieved once for a fresh one, and the download goes on.

        Args:
            task: a finished task, or an id, which is retrieved first.
            path: where to; a directory takes `<task_id>.mp4`.
            overwrite: whether a file at `path` is replaced. If not, it is an error, before anything is asked for. (A
                file that the client's journal knows to be this clip is left as it is, and its path returned.)
            max_bytes: stop above that size (default: 4 GiB).
            allow_private_hosts: also from addresses that aren't public. (Loopback is allowed when the API is on
                loopback.)
            on_progress: called with the bytes so far, those of an earlier download included, and all bytes, or None
                when the server doesn't say. What it raises ends the download, unchanged.
            deadline: seconds for all of it. None takes as long as it takes; the client's `deadline` is not for it.
            options: `timeout` of each I/O phase; `extra_headers` and `extra_query` of requests to the API,
                never of those to the clip's host.

        Returns:
            The path of the clip.

        Raises:
            InvalidInputError: the task has not succeeded, or no file can have that name.
            DownloadError: it could not be fetched whole, is too large, its URL is not to be trusted, or nothing may be
                written to `path`, or the deadline passed; `kind` says which.

        Cancelling it leaves the part file, from which a later call goes on, unless nothing can.
        """
        check_deadline(deadline)
        _, extras = CallExtras.take(options, _OPTIONS)
        settings = SaveSettings(overwrite, max_bytes, allow_private_hosts, on_progress)
        part = settings.part(path, id_of(task))
        with anyio.move_on_after(deadline):
            return await self._download(task, part, settings, extras)
        raise DownloadError(
            f"the clip was not saved within the deadline of {deadline:g} s; what has come stays in the part file",
            kind="broken",
            task_id=id_of(task),
            retryable=True,
        )

    async def _download(self, task: TaskOrId, part: PartFile, settings: SaveSettings, extras: CallExtras) -> Path:
        limits, policy = settings.limits(), settings.policy(self._api.base_url)
        api = self._transfers(extras).changed(deadline=None)  # a transfer has one of its own
        if (done := await self._saved(part, id_of(task))) is not None:
            return done
        await check_place(part, id_of(task))
        saved = await download(api, await self._find(task, policy, extras), part, limits)
        self._notes().note_saved(id_of(task), saved, part.size)
        return saved

    async def _saved(self, part: PartFile, task_id: str) -> Path | None:
        """The file, if the journal knows that it is the clip, saved by an earlier call."""
        saved = await self._notes().saved(task_id)
        return None if saved is None else await on_disk(part.find_saved, *saved)

    async def content(
        self,
        task: TaskOrId,
        *,
        max_bytes: int = DEFAULT_MEMORY_BYTES,
        allow_private_hosts: bool = False,
        **options: Unpack[RequestOptions],
    ) -> bytes:
        """A finished clip's bytes, all in memory. Its URL is treated as `download` does it.

        Args:
            task: a finished task, or an id, which is retrieved first.
            max_bytes: stop above that size.
            allow_private_hosts: as of `download`.
            options: as of `download`.

        Raises:
            InvalidInputError: the task has not succeeded.
            DownloadError: it could not be fetched whole, is too large, or its URL is not to be trusted.

        Cancelling it leaves nothing.
        """
        _, extras = CallExtras.take(options, _OPTIONS)
        policy = SaveSettings(allow_private_hosts=allow_private_hosts).policy(self._api.base_url)
        return await load(self._transfers(extras), await self._find(task, policy, extras), max_bytes)

    @asynccontextmanager
    async def stream_content(
        self,
        task: TaskOrId,
        *,
        max_bytes: int = DEFAULT_MAX_BYTES,
        allow_private_hosts: bool = False,
        **options: Unpack[RequestOptions],
    ) -> AsyncGenerator[AsyncIterator[bytes], None]:
        """A finished clip's bytes as they come. Its URL is treated as `download` does it.

            async with client.video.stream_content(task) as pieces:
                async for piece in pieces:
                    await upload.write(piece)

        A transfer that breaks is gone on with when the server names the file by an ETag or a date; what you have been
        given can't be taken back, so otherwise it is an error. The client's `deadline` covers each request until its
        answer begins, not the time that you take. One connection is held until the end of the `async with`.

        Args:
            task: a finished task, or an id, which is retrieved first.
            max_bytes: stop above that size.
            allow_private_hosts: as of `download`.
            options: as of `download`.

        Raises:
            InvalidInputError: the task has not succeeded.
            DownloadError: on entering: as `content`. While you iterate: it broke off, or is too large; the pieces so
                far are not the whole clip.

        Cancelling it closes the connection.
        """
        _, extras = CallExtras.take(options, _OPTIONS)
        policy = SaveSettings(allow_private_hosts=allow_private_hosts).policy(self._api.base_url)
        result = await self._find(task, policy, extras)
        async with stream(self._transfers(extras), result, max_bytes) as pieces:
            yield pieces

    @property
    def _metadata(self) -> Api:
        """For what a download asks of the API, which goes after all else."""
        return self._api.changed(order=Order.METADATA)

    def _transfers(self, extras: CallExtras) -> Api:
        """For the clip itself: the headers of one call are for the API."""
        return apply(CallExtras(timeout=extras.timeout), self._metadata)

    async def _find(self, task: TaskOrId, policy: HostPolicy, extras: CallExtras) -> Result:
        """The clip of a task; one that had not ended when it was last seen is asked for."""
        api = apply(extras, self._metadata)
        if isinstance(task, str) or not task.is_terminal:
            task = await poll(build_poll(id_of(task), extras), api)
        task_id = task.task_id

        async def renew() -> ResultSource:
            return self._source(await poll(build_poll(task_id, extras), api), policy)

        try:
            return Result(self._source(task, policy), task_id, renew)
        except DownloadError as error:
            raise as_download_error(error, task_id) from None

    def _source(self, task: VideoTask, policy: HostPolicy) -> ResultSource:
        if task.status != "succeeded":
            raise InvalidInputError(
                f"task {task.task_id} is {task.status}: there is no clip to download", task_id=task.task_id
            )
        return ResultSource.of(task, self._api.base_url, policy)
