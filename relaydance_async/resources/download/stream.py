"""A result piece by piece, as whoever asked takes it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

from ..._call import Answer, Api, OpenAnswer
from ..._sansio.retry import backoff
from ...errors import APIConnectionError, DownloadError, RelayDanceError
from .fetch import Again, Moved, Result, as_download_error, fetch
from .resume import AskAgain, Restart, Resume
from .transfer import TAKEN, check_size, check_whole, headers_for, judge


@asynccontextmanager
async def stream(api: Api, result: Result, max_bytes: int) -> AsyncGenerator[AsyncIterator[bytes], None]:
    """A result's bytes as they come.

    Raises:
        DownloadError: on entering: it can't be had. From the iterator: it broke off, or is too large.

    Leaving it, also by a cancellation, closes the connection.
    """
    reading = _Reading(api, result, max_bytes)
    try:
        await reading.begin()
        async with aclosing(reading.pieces()) as pieces:
            yield pieces
    finally:
        await reading.aclose()


@dataclass(frozen=True, slots=True)
class _Begun:
    """An answer that has what is still to come. `size`: of the whole result, or None."""

    answer: OpenAnswer
    size: int | None


class _Opening:
    """A receiver that leaves the reading to whoever called.

    Attributes:
        so_far: what has been given out. That can't be taken back, so it is only ever gone on from.
    """

    takes: frozenset[int] = TAKEN
    returns: str = "clip"
    holds: bool = True
    kept: None = None

    def __init__(self) -> None:
        self.so_far = Resume()

    def headers(self) -> dict[str, str]:
        return headers_for(self.so_far)

    async def __call__(self, answer: Answer) -> _Begun | Again:
        verdict = await judge(answer, self.so_far)
        if isinstance(verdict, Moved):
            return verdict
        if isinstance(verdict, AskAgain):
            raise DownloadError(verdict.why, kind="changed", meta=answer.meta)
        if isinstance(verdict, Restart):
            self._restart(answer, verdict.validator)
        return _Begun(answer.keep(), verdict.size)

    def _restart(self, answer: Answer, validator: str | None) -> None:
        if self.so_far.size and validator != self.so_far.validator:
            raise DownloadError("it changed while it was fetched", kind="changed", meta=answer.meta)
        if self.so_far.size:
            raise DownloadError("it broke off, and the server can't go on", kind="broken", meta=answer.meta)
        self.so_far = Resume(0, validator)


class _Reading:
    """A result that is being read, over one answer after the other."""

    def __init__(self, api: Api, result: Result, max_bytes: int) -> None:
        self._api = api
        self._result = result
        self._max_bytes = max_bytes
        self._opening = _Opening()
        self._begun: _Begun | None = None

    async def begin(self) -> _Begun:
        """Ask for what is still to come."""
        try:
            begun = self._begun = await fetch(self._api, self._result, self._opening)
            check_size(begun.size or 0, self._max_bytes)
        except RelayDanceError as error:
            raise as_download_error(error, self._result.task_id) from None
        return begun

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """What comes, until it is whole."""
        breaks = 0
        while self._begun is not None:
            failure: RelayDanceError
            try:
                async with aclosing(self._read(self._begun)) as pieces:
                    async for piece in pieces:
                        yield piece
                return
            except RelayDanceError as error:
                failure = self._begun.answer.failure(error)
            await self.aclose(failure)
            breaks += 1
            if not isinstance(failure, APIConnectionError) or not self._can_go_on(breaks):
                raise as_download_error(failure, self._result.task_id)
            clock = self._api.clock
            await clock.sleep(backoff(breaks, self._api.options.retry, clock.random()))
            await self.begin()

    async def _read(self, begun: _Begun) -> AsyncGenerator[bytes, None]:
        opening = self._opening
        async with aclosing(begun.answer.pieces()) as pieces:
            async for piece in pieces:
                opening.so_far = Resume(opening.so_far.size + len(piece), opening.so_far.validator)
                check_size(opening.so_far.size, self._max_bytes)
                begun.answer.progressed(opening.so_far.size, begun.size)
                yield piece
        check_whole(opening.so_far.size, begun.size)
        if not opening.so_far.size:
            raise DownloadError("the result is empty", kind="broken")
        if begun.answer.watchers is not None:
            begun.answer.watchers.completed(None)

    def _can_go_on(self, breaks: int) -> bool:
        so_far = self._opening.so_far
        return breaks < self._api.options.retry.max_attempts and (not so_far.size or so_far.validator is not None)

    async def aclose(self, error: RelayDanceError | None = None) -> None:
        """Give the connection back. Safe to call twice."""
        begun, self._begun = self._begun, None
        if begun is not None:
            await begun.answer.aclose(error)
