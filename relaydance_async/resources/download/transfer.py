"""Takes answers into a part."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from ..._call import Answer, refuse_page
from ...errors import APIConnectionError, DownloadError
from .._progress import Progress
from .disk import on_disk
from .fetch import Again, Moved
from .resume import AskAgain, Continue, Refuse, Restart, Resume, Verdict

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_RANGE_NOT_SATISFIABLE = 416

TAKEN = _REDIRECTS | {_RANGE_NOT_SATISFIABLE}
"""The statuses, besides 2xx, that say something of a result."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """It is in the part, whole."""


class Part(Protocol):
    """What has come of a result so far: see `PartFile`."""

    @property
    def size(self) -> int: ...

    @property
    def validator(self) -> str | None: ...

    @property
    def is_full(self) -> bool: ...

    def hold(self, piece: bytes) -> None: ...

    def restart(self, validator: str | None = None) -> None: ...

    def write(self) -> None: ...


Usable: TypeAlias = Continue | Restart


async def judge(answer: Answer, so_far: Resume) -> Usable | Again:
    """What an answer is good for.

    Raises:
        APIStatusError, ResponseDecodeError: it is no result, whatever its status says.
        DownloadError: it is not to be used.
    """
    if answer.status in _REDIRECTS:
        return _moved(answer)
    verdict: Verdict = so_far.accepts(answer.status, answer.headers)
    if isinstance(verdict, AskAgain):
        return verdict
    if isinstance(verdict, Refuse):
        raise DownloadError(verdict.why, kind="broken", meta=answer.meta)
    await refuse_page(answer, "the answer is neither a clip nor an image")
    return verdict


def check_size(size: int, max_bytes: int) -> None:
    """That a result may have so many bytes.

    Raises:
        DownloadError: it is too large.
    """
    if size > max_bytes:
        raise DownloadError(f"it is larger than max_bytes={max_bytes}", kind="too large")


class Transfer:
    """A receiver of the answers to the requests for a result.

    What has come stays in the part, however an answer ends; the next attempt asks for the rest.

    Args:
        part: an open one.
        max_bytes: of the whole result.
        progress: is told of each piece.
    """

    takes: frozenset[int] = TAKEN
    returns: str = "clip"
    holds: bool = False
    kept: None = None

    def __init__(self, part: Part, max_bytes: int, progress: Progress) -> None:
        self._part = part
        self._max_bytes = max_bytes
        self._progress = progress
        self._asked_again = False

    def headers(self) -> dict[str, str]:
        """Of the next attempt."""
        return headers_for(self._so_far())

    async def __call__(self, answer: Answer) -> Arrived | Again:
        """Take in an answer.

        Raises:
            APIStatusError, ResponseDecodeError: it is no result, whatever its status says.
            APIConnectionError: it broke off.
            DownloadError: it is not to be used, or can't be written.
            StoppedByHook: the caller's function raised.
        """
        verdict = await judge(answer, self._so_far())
        if isinstance(verdict, Moved):
            return verdict
        if isinstance(verdict, AskAgain):
            self._part.restart()
            if self._asked_again:
                raise DownloadError(verdict.why, kind="changed", meta=answer.meta)
            self._asked_again = True
            return verdict
        if isinstance(verdict, Restart):
            self._part.restart(verdict.validator)
        await self._take(answer, verdict.size)
        return Arrived()

    def _so_far(self) -> Resume:
        return Resume(self._part.size, self._part.validator)

    async def _take(self, answer: Answer, size: int | None) -> None:
        part = self._part
        check_size(size or 0, self._max_bytes)
        async with aclosing(answer.pieces()) as pieces:
            async for piece in pieces:
                check_size(part.size + len(piece), self._max_bytes)
                part.hold(piece)
                if part.is_full:
                    await on_disk(part.write)
                self._progress.tell(part.size, size)
                answer.progressed(part.size, size)
        check_whole(part.size, size)
        if size is None:
            answer.progressed(part.size, part.size)


def headers_for(so_far: Resume) -> dict[str, str]:
    """What asks for the rest of a result, or for all of it."""
    return {"accept": "*/*", "accept-encoding": "identity", **so_far.headers()}


def check_whole(came: int, size: int | None) -> None:
    """That as much came as was announced.

    Raises:
        APIConnectionError: it broke off.
    """
    if size is not None and came != size:
        raise APIConnectionError(f"{came} of {size} bytes came", retryable=True)


def _moved(answer: Answer) -> Moved:
    location = answer.headers.get("location")
    if not location:
        raise DownloadError("the server redirects without a word where to", kind="broken", meta=answer.meta)
    return Moved(location)
