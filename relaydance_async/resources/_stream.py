"""What all streamed answers have in common: how they are read, closed, and forgotten."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Iterator
from types import AsyncGeneratorType, TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar, cast

import anyio
from pydantic import BaseModel

from .._call import Accept, OpenAnswer
from ..errors import APIStatusError, RelayDanceError, StreamError, mark_accepted
from ..models.meta import ResponseMeta

C = TypeVar("C")
C_co = TypeVar("C_co", covariant=True)
D = TypeVar("D", bound="Decoder[Any]")

_DRAIN_SECONDS = 0.5


class Decoder(Protocol[C_co]):
    """Makes bytes into chunks.

    Attributes:
        done: nothing after this counts.
    """

    done: bool

    def feed(self, data: bytes) -> Iterator[C_co]:
        """The chunks that these bytes complete. Take all before feeding more."""
        ...

    def rest(self) -> C_co | None:
        """The bytes have ended: what came in them that was no stream, as its only chunk."""
        ...

    def close(self) -> None:
        """The bytes have ended. Safe to call twice.

        Raises:
            RelayDanceError: what has come is not whole.
        """
        ...

    def broke(self, cause: RelayDanceError) -> RelayDanceError:
        """The error for a stream whose bytes broke off."""
        ...


class Opened(Generic[C]):
    """What a stream reads: an answer on its way through a decoder, or one that came at once."""

    __slots__ = ()

    def chunks(self) -> AsyncGenerator[C, None]:
        """The chunks as they come."""
        raise NotImplementedError

    @property
    def meta(self) -> ResponseMeta:
        """Of the answer."""
        raise NotImplementedError

    def ending(self) -> RelayDanceError | None:
        """Why what has come is not whole; None when it is."""

    async def aclose(self, error: BaseException | None) -> None:
        """Give the connection and the permit back."""


class Stream(Generic[C]):
    """The chunks of an answer as they come. Use it with `async with`."""

    # Nothing that it holds knows it: a cycle would leave a forgotten stream, with its permit, to the garbage collector.
    def __init__(self, _opened: Opened[C]) -> None:
        # A generator, because an `async def __anext__` would cost another coroutine for each chunk.
        self._chunks = cast("AsyncGeneratorType[C, None]", _opened.chunks())
        self._source = _opened

    def __aiter__(self) -> AsyncGenerator[C, None]:
        return self._chunks

    def __anext__(self) -> Awaitable[C]:
        return self._chunks.__anext__()

    @property
    def meta(self) -> ResponseMeta:
        """The circumstances: whether it was replayed (`replayed`)."""
        return self._source.meta

    async def aclose(self) -> None:
        """Give the connection and the permit back. Safe to call twice; nothing more can be read."""
        await self._close(None)

    close = aclose
    """The same, under openai's name. It is to be awaited."""

    async def _close(self, error: BaseException | None) -> None:
        try:
            await self._source.aclose(error)
        finally:
            if not self._chunks.ag_running:
                await self._chunks.aclose()

    async def _read_to_end(self) -> None:
        async for _ in self._chunks:
            pass
        if (failure := self._source.ending()) is not None:
            try:
                raise failure
            finally:
                del failure

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._close(error)


class OpenedAnswer(Opened[C], Generic[C, D]):
    """An answer on its way through a decoder."""

    __slots__ = ("accept", "answer", "decoder", "pieces")

    def __init__(self, answer: OpenAnswer, decoder: D) -> None:
        self.answer: OpenAnswer = answer
        self.accept: Accept | None = None
        self.pieces: AsyncGeneratorType[bytes, None] = cast("AsyncGeneratorType[bytes, None]", answer.pieces())
        self.decoder: D = decoder

    def chunks(self) -> AsyncGenerator[C, None]:
        """The chunks as they come."""
        return _read(self)

    async def keep(self, accept: Accept) -> bool:
        """Have all that comes kept by a journal, at the end, which is yet to come."""
        before = self.accept

        async def both(answer: BaseModel) -> None:
            if before is not None:
                await before(answer)
            await accept(answer)

        self.accept = accept if before is None else both
        return True

    def completion(self) -> BaseModel:
        """All that has come, for a journal."""
        raise NotImplementedError

    def whole(self) -> object:
        """All that has come, for those who watch; None: nothing but its chunks is told."""
        return None

    @property
    def meta(self) -> ResponseMeta:
        """Of the answer."""
        return self.answer.meta

    def failure(self, cause: RelayDanceError) -> RelayDanceError:
        """The error of the stream, with what is known of the call."""
        ours = isinstance(cause, StreamError | APIStatusError)
        return self.answer.failure(cause if ours else self.decoder.broke(cause))

    def ending(self) -> RelayDanceError | None:
        """Why what has come is not whole; None when it is."""
        try:
            self.decoder.close()
        except RelayDanceError as error:
            return self.failure(error)
        return None

    async def aclose(self, error: BaseException | None) -> None:
        """Give the connection and the permit back."""
        try:
            if not self.pieces.ag_running:  # another task reads it; the end of the answer ends that
                await self.pieces.aclose()
        finally:
            await self.answer.aclose(error)


async def drain(pieces: AsyncGenerator[bytes, None]) -> None:
    """Read to the end of the answer, unless that takes long."""
    # Only a connection whose answer was read to its end can be used again; the end comes with [DONE] or not soon.
    with anyio.move_on_after(_DRAIN_SECONDS):
        try:
            async for _ in pieces:
                pass
        except RelayDanceError as error:
            error.with_traceback(None)  # see `_read`; the stream is whole


async def _read(opened: OpenedAnswer[C, Any]) -> AsyncGenerator[C, None]:
    decoder, watchers = opened.decoder, opened.answer.watchers
    failure: RelayDanceError | None = None
    try:
        async for piece in opened.pieces:
            for chunk in decoder.feed(piece):
                if watchers is not None:
                    watchers.streamed(chunk)
                yield chunk
            if decoder.done:
                await drain(opened.pieces)
                break
        if (whole := decoder.rest()) is not None:
            if watchers is not None:
                watchers.streamed(whole)
            yield whole
    except RelayDanceError as error:
        # Without its frames: the one that raised it may still know it, and would keep this one.
        failure = opened.failure(error.with_traceback(None))
    except GeneratorExit:
        raise  # `aclose` sees to the rest; and a loop that ends closes both generators at the same time
    except BaseException as error:
        mark_accepted(error, True)
        await opened.aclose(error)
        raise
    failure = failure or opened.ending()
    if failure is None and watchers is not None and watchers.wants("completed"):
        watchers.completed(opened.whole())
    try:
        if failure is None and opened.accept is not None:
            await opened.accept(opened.completion())
    finally:
        await opened.aclose(failure)
    if failure is not None:
        try:
            raise failure
        finally:
            del failure  # it would know itself, through its traceback
