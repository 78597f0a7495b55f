"""A streamed chat completion."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable
from contextlib import aclosing
from types import AsyncGeneratorType, TracebackType
from typing import Self, cast

import anyio

from .._call import Accept, Answer, OpenAnswer, is_event_stream, recalling
from .._sansio.chat_stream import ChatDecoder, decode_completion
from .._sansio.completion import whole_chunk
from ..errors import APIStatusError, RelayDanceError, StreamError, mark_accepted
from ..models.chat import ChatCompletion, ChatCompletionChunk
from ..models.meta import ResponseMeta

_DRAIN_SECONDS = 0.5


class ChatStream:
    """The chunks of an answer as they come, and the whole of it at the end.

    Use it with `async with`, so that its connection and permit are given back at once on `break`, an exception or
    cancellation. Iterating to the end gives them back too.

        async with await client.chat.completions.create(..., stream=True) as stream:
            async for chunk in stream:
                print(chunk.text(), end="")
            completion = await stream.get_final_completion()

    An answer that was not streamed, though it was asked for, comes as one chunk.

    Iteration raises:
        IncompleteStreamError: it ended although a choice never got a `finish_reason` (the gateway sends `[DONE]` also
            when its upstream broke off).
        StreamError: an `error` event came, the connection broke, the deadline passed, or the chunks grew beyond
            `max_response_bytes`; `text` and `completion` have what had arrived.
        APIStatusError: it was no stream but an error, under the content type of one.
    """

    # Nothing that it holds knows it: a cycle would leave a forgotten stream, with its permit, to the garbage collector.
    def __init__(self, _opened: _Opened | _Arrived) -> None:
        self._opened = _opened
        # A generator, because an `async def __anext__` would cost another coroutine for each chunk.
        self._chunks = cast("AsyncGeneratorType[ChatCompletionChunk, None]", _opened.chunks())

    def __aiter__(self) -> AsyncGenerator[ChatCompletionChunk, None]:
        return self._chunks

    def __anext__(self) -> Awaitable[ChatCompletionChunk]:
        return self._chunks.__anext__()

    async def get_final_completion(self) -> ChatCompletion:
        """Read what is left, and give the whole: text, reasoning text, tool calls with their arguments, and usage.

        Fields that this version doesn't know are in it too. Their lists are put one after the other, their objects
        merged, and texts that come in pieces joined; of anything else the last value counts.

        Raises:
            IncompleteStreamError, StreamError, APIStatusError: as iteration does.
        """
        async for _ in self._chunks:
            pass
        if (failure := self._opened.ending()) is not None:
            try:
                raise failure
            finally:
                del failure
        return self._opened.completion()

    @property
    def text(self) -> str:
        """The first choice's text so far."""
        return self._opened.text

    @property
    def meta(self) -> ResponseMeta:
        """The circumstances: whether it was replayed (`replayed`)."""
        return self._opened.meta

    async def aclose(self) -> None:
        """Give the connection and the permit back. Safe to call twice; nothing more can be read."""
        await self._close(None)

    async def _close(self, error: BaseException | None) -> None:
        try:
            await self._opened.aclose(error)
        finally:
            if not self._chunks.ag_running:
                await self._chunks.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._close(error)


async def open_chat_stream(answer: Answer) -> ChatStream:
    """The stream in an answer. One that says that it is no event stream is read whole.

    Raises:
        APIStatusError: it is an error with a good status.
        ResponseDecodeError: it is something else.
        StreamError: it is an event stream after all, and broken.
    """
    if is_event_stream(answer):
        return ChatStream(_Opened(answer.keep()))
    return ChatStream(_Arrived(decode_completion(await answer.read(), lambda: answer.meta)))


def recall_chat_stream(answer: str, meta: ResponseMeta) -> ChatStream:
    """The stream of a completion that a journal has kept."""
    return ChatStream(_Arrived(recalling(ChatCompletion)(answer, meta)))


async def keep_chat_stream(stream: ChatStream, accept: Accept) -> bool:
    """Have the completion kept: now, or when the stream has come to its end; whether that is yet to come."""
    return await stream._opened.keep(accept)  # pyright: ignore[reportPrivateUsage]


async def finish_chat_stream(stream: ChatStream) -> None:
    """Read it to its end, for nobody else does."""
    async with stream:
        await stream.get_final_completion()


async def read_completion(answer: Answer) -> ChatCompletion:
    """The completion in an answer that should be no stream, but may be one.

    Raises:
        APIStatusError, ResponseDecodeError: it is no completion.
        StreamError: it is an event stream with an error in it, or it broke; `completion` has what came.
        APIConnectionError: it broke off, and was no event stream.
    """
    if not is_event_stream(answer):
        return decode_completion(await answer.read(), lambda: answer.meta)
    decoder = ChatDecoder(status=answer.status, limit=answer.limit)
    try:
        async with aclosing(answer.pieces()) as pieces:
            async for piece in pieces:
                for _ in decoder.feed(piece):
                    pass
                if decoder.done:
                    await _drain(pieces)
                    break
    except (StreamError, APIStatusError):
        raise
    except RelayDanceError as error:
        raise decoder.broke(error) from None
    if decoder.unread:
        return decode_completion(decoder.unread, lambda: answer.meta)  # it only says that it is an event stream
    decoder.close()
    return decoder.completion()


class _Arrived:
    """A completion that came at once."""

    __slots__ = ("_completion",)

    def __init__(self, completion: ChatCompletion) -> None:
        self._completion = completion

    async def chunks(self) -> AsyncGenerator[ChatCompletionChunk, None]:
        """The only one."""
        yield whole_chunk(self._completion)

    @property
    def text(self) -> str:
        """The first choice's text."""
        return whole_chunk(self._completion).text()

    def completion(self) -> ChatCompletion:
        """As it came."""
        return self._completion

    @property
    def meta(self) -> ResponseMeta:
        """Of the completion."""
        return self._completion.meta

    async def keep(self, accept: Accept) -> bool:
        """See `keep_chat_stream`."""
        await accept(self._completion)
        return False

    def ending(self) -> None:
        """It is whole."""

    async def aclose(self, error: BaseException | None) -> None:
        """Nothing is held."""


class _Opened:
    """An answer on its way through the decoder."""

    __slots__ = ("accept", "answer", "decoder", "pieces")

    def __init__(self, answer: OpenAnswer) -> None:
        self.answer: OpenAnswer = answer
        self.accept: Accept | None = None
        self.pieces: AsyncGeneratorType[bytes, None] = cast("AsyncGeneratorType[bytes, None]", answer.pieces())
        self.decoder: ChatDecoder = ChatDecoder(status=answer.status, limit=answer.limit)

    def chunks(self) -> AsyncGenerator[ChatCompletionChunk, None]:
        """The chunks as they come."""
        return _read(self)

    @property
    def text(self) -> str:
        """The first choice's text so far."""
        return self.decoder.text

    def completion(self) -> ChatCompletion:
        """The completion as far as it has come."""
        return self.decoder.completion()

    @property
    def meta(self) -> ResponseMeta:
        """Of the answer."""
        return self.answer.meta

    async def keep(self, accept: Accept) -> bool:
        """See `keep_chat_stream`."""
        self.accept = accept
        return True

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


async def _drain(pieces: AsyncGenerator[bytes, None]) -> None:
    """Read to the end of the answer, unless that takes long."""
    # Only a connection whose answer was read to its end can be used again; the end comes with [DONE] or not soon.
    with anyio.move_on_after(_DRAIN_SECONDS):
        try:
            async for _ in pieces:
                pass
        except RelayDanceError as error:
            error.with_traceback(None)  # see `_read`; the stream is whole


async def _read(opened: _Opened) -> AsyncGenerator[ChatCompletionChunk, None]:
    decoder = opened.decoder
    failure: RelayDanceError | None = None
    try:
        async for piece in opened.pieces:
            for chunk in decoder.feed(piece):
                yield chunk
            if decoder.done:
                await _drain(opened.pieces)
                break
        if (whole := decoder.rest()) is not None:
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
