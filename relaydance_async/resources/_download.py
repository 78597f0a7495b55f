"""A clip to a file: whole or not at all."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import anyio
import anyio.to_thread

from .._config import Options
from .._controller import Controller, Exchange
from .._sansio.addresses import check_public, is_loopback
from .._sansio.decode import build_error_in
from .._sansio.request import PreparedRequest, path_segment
from ..errors import APIConnectionError, APIStatusError, DownloadError, RelayDanceError, ResponseDecodeError
from ..models.video import VideoTask
from ._part_file import PartFile

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
        # Of this task only: the part of another clip would be continued with bytes of this one.
        part = PartFile(target, _clean(task.task_id))
    except OSError as error:
        raise _write_error(error, task) from None
    # Some upstreams' clips are only to be had through the gateway, with the key.
    url = task.url or f"/videos/{path_segment(task.task_id, name='task_id')}/content"
    policy = _HostPolicy(allow_private_hosts, loopback=is_loopback(urlsplit(controller.base_url).hostname or ""))
    try:
        transfer = _Transfer(part, max_bytes)
        for _ in range(_REDIRECTS + 1):
            public_only = await policy.check(url) if "://" in url else False
            location = await _fetch(controller, options, task, url, transfer, public_only=public_only)
            if location is None:
                return transfer.finish()
            url = _join(url if "://" in url else f"{controller.base_url}{url}", location)
        raise DownloadError(f"more than {_REDIRECTS} redirects")
    except (APIStatusError, APIConnectionError, ResponseDecodeError, DownloadError) as error:
        raise _as_download_error(error, task) from None
    except OSError as error:
        raise _write_error(error, task) from None
    finally:
        part.close()


async def _fetch(
    controller: Controller,
    options: Options,
    task: VideoTask,
    url: str,
    transfer: _Transfer,
    *,
    public_only: bool,
    restart: bool = True,
) -> str | None:
    """Fetch into the part file, anew if it can't be continued and `restart`; the address of a redirect."""
    request = PreparedRequest("GET", url, headers=transfer.headers, task_id=task.task_id, public_only=public_only)
    try:
        await controller.execute(request, transfer.receive, options)
    except APIStatusError as error:
        location = error.meta.headers.get("location")
        if error.status_code in _REDIRECT_STATUS and location:
            return location
        if error.status_code == _RANGE_NOT_SATISFIABLE and transfer.part.size and restart:
            transfer.restart(None)
            return await _fetch(controller, options, task, url, transfer, public_only=public_only, restart=False)
        raise
    return None


class _Transfer:
    """What is asked for in the next attempt, and what becomes of its answer."""

    def __init__(self, part: PartFile, max_bytes: int) -> None:
        self.part = part
        self._max_bytes = max_bytes
        self._pieces: list[bytes] = []
        self._held = 0
        self._flushing = threading.Lock()
        self.headers: dict[str, str] = {"accept": "*/*", "accept-encoding": "identity"}
        """Of the next attempt: the controller reads them anew for each."""
        self._ask_for_rest()

    async def receive(self, exchange: Exchange) -> None:
        """Take in an answer, from the start or from where the file ends."""
        response = exchange.response
        if response.headers.get("content-type", "").lower().startswith(_NO_CLIP):
            # An error or a web page with a good status.
            raise build_error_in(await response.read(_PAGE_BYTES), exchange.attempt.meta(), "the answer is not a clip")
        if response.status_code == 206:
            self._check_range(response.headers)
        else:
            self.restart(_validator(response.headers))
        length = response.headers.get("content-length", "")
        expected = self.part.size + int(length) if length.isdecimal() and len(length) < 20 else None
        if expected is not None:
            self._check(expected)
        try:
            await self._write(response.chunks())
        finally:
            self._ask_for_rest()
        if expected is not None and self.part.size != expected:
            raise APIConnectionError(f"{self.part.size} of {expected} bytes came", retryable=True)

    def _check_range(self, headers: Mapping[str, str]) -> None:
        if _range_start(headers.get("content-range")) != self.part.size or "range" not in self.headers:
            raise DownloadError("the server sent another range than was asked for")
        etag = headers.get("etag", self.part.validator)
        if etag != self.part.validator and self.part.validator != headers.get("last-modified"):
            self.restart(None)
            raise APIConnectionError("the clip changed while it was fetched; from the start again", retryable=True)

    async def _write(self, pieces: AsyncGenerator[bytes, None]) -> None:
        try:
            async with aclosing(pieces):
                async for piece in pieces:
                    self._held += len(piece)
                    self._check(self.part.size + self._held)
                    self._pieces.append(piece)
                    if self._held >= _WRITE_BYTES:
                        await anyio.to_thread.run_sync(self._flush)
        finally:
            # At most 1 MiB: what has come is kept, whatever ended the transfer.
            self._flush()

    def _flush(self) -> None:
        # A cancelled transfer may leave a thread in here, or one that comes only after the file was closed.
        with self._flushing:
            pieces, self._pieces, self._held = self._pieces, [], 0
            if pieces:
                self.part.append(pieces)

    def restart(self, validator: str | None) -> None:
        """Forget what has come."""
        self.part.restart(validator)
        self._ask_for_rest()

    def finish(self) -> Path:
        """Give the file its name."""
        if self.part.size == 0:
            raise DownloadError("the clip is empty")
        return self.part.finish()

    def _ask_for_rest(self) -> None:
        for name in ("range", "if-range"):
            self.headers.pop(name, None)
        if self.part.size and self.part.validator is not None:
            self.headers["range"] = f"bytes={self.part.size}-"
            self.headers["if-range"] = self.part.validator

    def _check(self, size: int) -> None:
        if size > self._max_bytes:
            raise DownloadError(f"the clip is larger than max_bytes={self._max_bytes}")


def _validator(headers: Mapping[str, str]) -> str | None:
    """What `If-Range` may name: an ETag that is not a weak one, or else the date (RFC 9110 section 13.1.5)."""
    value = headers.get("etag") or headers.get("last-modified") or ""
    return value if value.isascii() and value.isprintable() and not value.startswith("W/") and value else None


class _HostPolicy:
    """Which hosts a clip may come from: the URL is data from outside."""

    def __init__(self, allow_private: bool, *, loopback: bool) -> None:
        self._allow_private = allow_private
        self._allow_loopback = loopback

    async def check(self, url: str) -> bool:
        """Raise DownloadError unless the URL is https, of a host with public addresses only.

        Returns:
            Whether it must also be a public address that is connected to. (A caller's HTTP client can't be told, so
            the address is looked up here besides.)
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port or 443
        except ValueError as error:
            raise DownloadError(f"the clip's URL is none: {error}") from None
        if "@" in parts.netloc:
            raise DownloadError(f"the clip's URL holds a user name or password, for {host}")
        local = is_loopback(host) and (self._allow_loopback or self._allow_private)
        if parts.scheme != "https" and not (local and parts.scheme == "http"):
            raise DownloadError(f"the clip's URL is not https: {parts.scheme}://{host}")
        if local or self._allow_private:
            return False
        try:
            found = await anyio.getaddrinfo(host, port)
        except UnicodeError as error:  # no name of the DNS can be made of it (RFC 5891)
            raise DownloadError(f"the clip's URL has no host name: {error}") from None
        except OSError as error:
            raise DownloadError(f"the clip's host {host} can't be found: {error}", retryable=True) from None
        for *_, address in found:
            check_public(host, str(address[0]))
        return True


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
