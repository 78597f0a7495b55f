"""Takes answers into the part file."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeAlias

from ..._call import Answer, refuse_page
from ...errors import APIConnectionError, DownloadError
from .disk import on_disk
from .part import PartFile
from .resume import AskAgain, Refuse, Restart, Resume

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_RANGE_NOT_SATISFIABLE = 416


@dataclass(frozen=True, slots=True)
class Arrived:
    """The clip is in the part file, whole."""


@dataclass(frozen=True, slots=True)
class Moved:
    """The server names another place. `location`: as it wrote it, which may be anything."""

    location: str


Outcome: TypeAlias = Arrived | Moved | AskAgain


class Transfer:
    """A receiver of the answers to the requests for a clip.

    What has come stays in the part file, or with it, however an answer ends; the next attempt asks for the rest.

    Args:
        part: an open one.
        max_bytes: of the whole clip.
    """

    takes: frozenset[int] = _REDIRECTS | {_RANGE_NOT_SATISFIABLE}
    returns: str = "clip"
    holds: bool = False

    def __init__(self, part: PartFile, max_bytes: int) -> None:
        self._part = part
        self._max_bytes = max_bytes
        self._asked_again = False

    def headers(self) -> dict[str, str]:
        """Of the next attempt."""
        return {"accept": "*/*", "accept-encoding": "identity", **self._so_far().headers()}

    async def __call__(self, answer: Answer) -> Outcome:
        """Take in an answer.

        Raises:
            APIStatusError, ResponseDecodeError: it is no clip, whatever its status says.
            APIConnectionError: it broke off.
            DownloadError: it is not to be used, or can't be written.
        """
        if answer.status in _REDIRECTS:
            return _moved(answer)
        verdict = self._so_far().accepts(answer.status, answer.headers)
        if isinstance(verdict, AskAgain):
            self._part.restart()
            if not self._asked_again:
                self._asked_again = True
                return verdict
        if isinstance(verdict, AskAgain | Refuse):
            raise DownloadError(verdict.why, meta=answer.meta)
        await refuse_page(answer, "the answer is not a clip")
        if isinstance(verdict, Restart):
            self._part.restart(verdict.validator)
        await self._take(answer.pieces(), verdict.size)
        return Arrived()

    def _so_far(self) -> Resume:
        return Resume(self._part.size, self._part.validator)

    async def _take(self, pieces: AsyncGenerator[bytes, None], size: int | None) -> None:
        part = self._part
        if size is not None:
            self._check(size)
        async with aclosing(pieces):
            async for piece in pieces:
                self._check(part.size + len(piece))
                part.hold(piece)
                if part.is_full:
                    await on_disk(part.write)
        if size is not None and part.size != size:
            raise APIConnectionError(f"{part.size} of {size} bytes came", retryable=True)

    def _check(self, size: int) -> None:
        if size > self._max_bytes:
            raise DownloadError(f"the clip is larger than max_bytes={self._max_bytes}")


def _moved(answer: Answer) -> Moved:
    location = answer.headers.get("location")
    if not location:
        raise DownloadError("the server redirects without a word where to", meta=answer.meta)
    return Moved(location)
