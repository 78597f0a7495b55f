"""A file of the caller's, known by its content."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from hashlib import md5, sha256
from typing import Any

from .._sansio.media_type import media_type_of
from .._sansio.request import BodyStream, closing_body
from .._threads import in_thread
from ..errors import InvalidInputError
from ._aside import aside
from ._files import CheckedFile
from ._upload import name_of, open_content

_HEAD_BYTES = 4096
_MOST = 4 * 1024**3
"""Bytes. The gateway's software takes 128 MB as a rule: beyond this it is a slip, and reading it would take minutes."""
_ENDINGS = {"jpeg": "jpg", "mpeg": "mp3", "quicktime": "mov", "msvideo": "avi", "octet-stream": "bin"}


@dataclass(frozen=True, slots=True)
class LocalFile:
    """What is known of it.

    Attributes:
        content: as the caller gave it.
        shown: its name, for messages.
        digest: of its content, SHA-256 in hexadecimal.
        media_type: such as "image/png"; "application/octet-stream" when nobody knows.
    """

    content: Any
    shown: str
    digest: str
    media_type: str

    @property
    def name(self) -> str:
        """What it is uploaded as. The same content has the same, and nobody learns what it is called here."""
        ending = self.media_type.partition("/")[2].removeprefix("x-")
        return f"{self.digest[:32]}.{_ENDINGS.get(ending, ending)}"

    @property
    def checked(self) -> CheckedFile:
        """For an upload, which ends when it reads something else."""
        return CheckedFile(self.content, self.digest)


async def look_at(content: Any) -> LocalFile:
    """Read a file once, in threads.

    Raises:
        InvalidInputError: it isn't there, is empty, above 4 GiB, gives no bytes, or can be read only once.
    """
    async with open_content(content) as body:
        if not body.replayable:
            raise InvalidInputError("a reference is a path, bytes or a file that can be rewound: it is read twice")
        if (body.length or 0) > _MOST:
            raise InvalidInputError(f"{name_of(content)} has {body.length:,} bytes, and a reference 4 GiB at most")
        async with _rewound(content):
            head, digest = await _read(body)
    shown = name_of(content)
    return LocalFile(content, shown, digest, media_type_of(head, shown) or "application/octet-stream")


async def md5_of(file: LocalFile) -> str:
    """Another hash of its content, for stores that know files by it."""
    digest = md5(usedforsecurity=False)
    async with open_content(file.checked) as body, _rewound(file.content), closing_body(body.open()) as pieces:
        async for piece in pieces:
            await in_thread(partial(digest.update, piece))
    return digest.hexdigest()


@asynccontextmanager
async def _rewound(file: Any) -> AsyncGenerator[None, None]:
    """Leave a binary file where it stood, for the upload."""
    if not hasattr(file, "seek"):
        yield
        return
    start = await aside(file.tell)
    try:
        yield
    finally:
        await aside(partial(file.seek, start))


async def _read(body: BodyStream) -> tuple[bytes, str]:
    head, digest = b"", sha256()
    async with closing_body(body.open()) as pieces:
        async for piece in pieces:
            head = head or piece[:_HEAD_BYTES]
            await in_thread(partial(digest.update, piece))
    return head, digest.hexdigest()
