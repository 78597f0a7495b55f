"""A clip to a file: whole or not at all."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urljoin, urlsplit

import anyio
import anyio.to_thread

from .._config import Options
from .._controller import Controller, Exchange
from .._sansio.addresses import is_loopback
from .._sansio.decode import build_error_in
from .._sansio.request import PreparedRequest, path_segment
from ..errors import APIConnectionError, APIStatusError, DownloadError, RelayDanceError, ResponseDecodeError
from ..models.video import VideoTask

DEFAULT_MAX_BYTES = 4 * 1024**3
_WRITE_BYTES = 1024 * 1024
_REDIRECTS = 5
_REDIRECT_STATUS = frozenset({301, 302, 303, 307, 308})
_RANGE_NOT_SATISFIABLE = 416
_PAGE_BYTES = 1024 * 1024
_NO_CLIP = ("text/", "application/json", "application/xml")


async def download_clip(
    controller: Controller,
    options: Options,
    task: VideoTask,
    path: str | os.PathLike[str],
    *,
    max_bytes: int,
    allow_private_hosts: bool,
) -> Path:
    """See `Video.download`."""
    target = await anyio.to_thread.run_sync(_target, Path(path), task.task_id)
    try:
        part = _PartFile(target, task.task_id, max_bytes)
    except OSError as error:
        raise _write_error(error, task) from None
    # Some upstreams' clips are only to be had through the gateway, with the key.
    url = task.url or f"/videos/{path_segment(task.task_id, name='task_id')}/content"
    policy = _HostPolicy(allow_private_hosts, loopback=is_loopback(urlsplit(controller.base_url).hostname or ""))
    try:
        for _ in range(_REDIRECTS + 1):
            if "://" in url:
                await policy.check(url)
            location = await _fetch(controller, options, task, url, part)
            if location is None:
                return part.finish()
            url = _join(url if "://" in url else f"{controller.base_url}{url}", location)
        raise DownloadError(f"more than {_REDIRECTS} redirects")
    except (APIStatusError, APIConnectionError, ResponseDecodeError, DownloadError) as error:
        raise _as_download_error(error, task) from None
    except OSError as error:
        raise _write_error(error, task) from None
    finally:
        part.close()


async def _fetch(controller: Controller, options: Options, task: VideoTask, url: str, part: _PartFile) -> str | None:
    """Fetch into the part file; the address to go on with, if it is a redirect."""
    request = PreparedRequest("GET", url, headers=part.headers, task_id=task.task_id)
    try:
        await controller.execute(request, part.receive, options)
    except APIStatusError as error:
        location = error.meta.headers.get("location")
        if error.status_code in _REDIRECT_STATUS and location:
            return location
        if error.status_code == _RANGE_NOT_SATISFIABLE and part.size:
            part.restart()
            await controller.execute(request, part.receive, options)
            return None
        raise
    return None


class _PartFile:
    """The file that the pieces go to, and how far it has come."""

    def __init__(self, target: Path, task_id: str, max_bytes: int) -> None:
        self._target = target
        self._max_bytes = max_bytes
        # Of this task only: the part of another clip would be continued with bytes of this one.
        self._path = target.with_name(f"{target.name}.{_clean(task_id)}.part")
        self._file: BinaryIO = self._path.open("ab")
        self.size = self._file.tell()
        self.headers: dict[str, str] = {"accept": "*/*", "accept-encoding": "identity"}
        """Of the next attempt: the controller reads them anew for each."""
        self._ask_for_rest()

    async def receive(self, exchange: Exchange) -> None:
        """Take in an answer, from the start or from where the file ends."""
        response = exchange.response
        if response.headers.get("content-type", "").lower().startswith(_NO_CLIP):
            # An error or a web page with a good status.
            raise build_error_in(await response.read(_PAGE_BYTES), exchange.attempt.meta(), "the answer is not a clip")
        if response.status_code != 206 or _range_start(response.headers.get("content-range")) != self.size:
            if response.status_code == 206:
                raise DownloadError("the server sent another range than was asked for")
            self.restart()
        length = response.headers.get("content-length", "")
        expected = self.size + int(length) if length.isdigit() else None
        if expected is not None:
            self._check(expected)
        try:
            await self._write(response.chunks())
        finally:
            self._ask_for_rest()
        if expected is not None and self.size != expected:
            raise APIConnectionError(f"{self.size} of {expected} bytes came", retryable=True)

    async def _write(self, pieces: AsyncIterator[bytes]) -> None:
        buffer = bytearray()
        try:
            async for piece in pieces:
                self._check(self.size + len(buffer) + len(piece))
                buffer += piece
                if len(buffer) >= _WRITE_BYTES:
                    data, buffer = buffer, bytearray()
                    await anyio.to_thread.run_sync(self._append, data)
        finally:
            # At most 1 MiB: what has come is kept, whatever ended the transfer.
            self._append(buffer)

    def _append(self, data: bytes | bytearray) -> None:
        self._file.write(data)
        self.size += len(data)

    def restart(self) -> None:
        """Forget what has come."""
        self._file.seek(0)
        self._file.truncate()
        self.size = 0
        self._ask_for_rest()

    def finish(self) -> Path:
        """Give the file its name."""
        self.close()
        if self.size == 0:
            raise DownloadError("the clip is empty")
        self._path.replace(self._target)
        return self._target

    def close(self) -> None:
        """Close the file; an empty one is removed. Safe to call twice."""
        if self._file.closed:
            return
        self._file.close()
        if self.size == 0:
            self._path.unlink(missing_ok=True)

    def _ask_for_rest(self) -> None:
        self.headers.pop("range", None)
        if self.size:
            self.headers["range"] = f"bytes={self.size}-"

    def _check(self, size: int) -> None:
        if size > self._max_bytes:
            raise DownloadError(f"the clip is larger than max_bytes={self._max_bytes}")


class _HostPolicy:
    """Which hosts a clip may come from: the URL is data from outside."""

    def __init__(self, allow_private: bool, *, loopback: bool) -> None:
        self._allow_private = allow_private
        self._allow_loopback = loopback

    async def check(self, url: str) -> None:
        """Raise DownloadError unless the URL is https, of a host with public addresses only."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port or 443
        except ValueError as error:
            raise DownloadError(f"the clip's URL is none: {error}") from None
        local = is_loopback(host) and (self._allow_loopback or self._allow_private)
        if parts.scheme != "https" and not (local and parts.scheme == "http"):
            raise DownloadError(f"the clip's URL is not https: {parts.scheme}://{host}")
        if local or self._allow_private:
            return
        try:
            found = await anyio.getaddrinfo(host, port)
        except OSError as error:
            raise DownloadError(f"the clip's host {host} can't be found: {error}", retryable=True) from None
        for *_, address in found:
            if not ipaddress.ip_address(str(address[0]).partition("%")[0]).is_global:
                raise DownloadError(
                    f"the clip's host {host} has the private address {address[0]}; see allow_private_hosts"
                )


def _target(path: Path, task_id: str) -> Path:
    target = path / f"{_clean(task_id)}.mp4" if path.is_dir() else path
    if not target.parent.is_dir():
        raise DownloadError(f"there is no directory {target.parent}")
    return target


def _clean(task_id: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "_", task_id)[:100]


def _join(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError as error:
        raise DownloadError(f"the clip's URL is none: {error}") from None


def _range_start(header: str | None) -> int | None:
    match = re.match(r"bytes (\d+)-", header or "")
    return int(match[1]) if match else None


def _as_download_error(error: RelayDanceError, task: VideoTask) -> DownloadError:
    return DownloadError(
        error.message, meta=error.meta, code=error.code, task_id=task.task_id, retryable=error.retryable
    )


def _write_error(error: OSError, task: VideoTask) -> DownloadError:
    return DownloadError(f"the clip can't be written: {error}", task_id=task.task_id)
