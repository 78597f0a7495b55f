"""Files that are uploaded because a clip refers to them: each content once.

What was uploaded is remembered in the client, and in its journal under a key that is made of the content. Whether an
upload arrived that broke off is not known. It is made again: that costs time, and no clip.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from contextlib import suppress
from datetime import datetime
from itertools import count

from .._call import Api, as_model
from .._sansio.expiry import expires_at
from .._sansio.request import PreparedRequest
from ..errors import JournalError, SubmissionInDoubtError
from ..models.files import UploadedFile
from ._local_file import LocalFile
from ._route import billed_post
from ._upload import open_upload

log = logging.getLogger("relaydance_async")

UPLOAD = billed_post("files.upload", "/files", as_model(UploadedFile))

FRESH_SECONDS = 24 * 3600.0
"""How long an uploaded file is believed to be there. The API documents no end."""
_MARGIN = 10 * 60.0
"""Seconds before the end of a URL that tells it: the upstream reads the file when the clip's turn has come."""
_MOST = 10_000
"""Of all keys of a client; some 0.5 KB each."""


class _Known:
    """Where contents were uploaded, the last ones of all keys: address and end of each (Unix time)."""

    def __init__(self) -> None:
        self._urls: OrderedDict[str, tuple[str, float]] = OrderedDict()

    def find(self, name: str, now: float) -> str | None:
        url, until = self._urls.get(name, ("", 0.0))
        return url if now < until else None

    def keep(self, name: str, url: str, until: float) -> None:
        self._urls[name] = (url, until)
        self._urls.move_to_end(name)
        if len(self._urls) > _MOST:
            self._urls.popitem(last=False)


async def url_of(api: Api, file: LocalFile) -> str:
    """Where the file is, uploaded if need be. One call of a loop at a time uploads the same content.

    Raises:
        RelayDanceError: it could not be uploaded.
    """
    known, name = api.memory.of(_Known), f"{api.sender} {file.name}"
    async with api.alone((_Known, name)):
        now = api.clock.now()
        if (url := known.find(name, now.timestamp())) is None:
            uploaded = await _upload(api, file)
            url = uploaded.url
            known.keep(name, url, _end_of(uploaded, now))
    return url


async def _upload(api: Api, file: LocalFile) -> UploadedFile:
    part = ("file", file.checked, file.name, file.media_type)
    async with open_upload(UPLOAD.target(), [part]) as request:
        if api.journal is None:
            return await api.call(request, UPLOAD.returns)
        for number in count(1):
            key = f"upload {api.sender} {file.name} {number}"
            uploaded = await _upload_once(api, request, key)
            if _end_of(uploaded, api.clock.now()) > api.clock.now().timestamp():
                return uploaded
    raise AssertionError  # it counts for ever


async def _upload_once(api: Api, request: PreparedRequest, key: str) -> UploadedFile:
    """With this key; in doubt, again."""
    try:
        return await api.call_keyed(request, UPLOAD.returns, key)
    except SubmissionInDoubtError:
        log.info("whether a file was uploaded is not known; it is uploaded again")
    assert api.journal is not None
    with suppress(JournalError):  # another process was faster
        await api.journal.release(key, origin=api.origin)
    return await api.call_keyed(request, UPLOAD.returns, key)


def _end_of(file: UploadedFile, now: datetime) -> float:
    """Until when its URL is believed in (Unix time)."""
    began = (file.meta.sent_at if file.meta.replayed else None) or now
    end = began.timestamp() + FRESH_SECONDS
    told = expires_at(file.url)
    return end if told is None else min(end, told - _MARGIN)
