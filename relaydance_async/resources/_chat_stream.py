"""A streamed chat completion."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from .._call import Accept, Answer, OpenAnswer, is_event_stream, recalling
from .._sansio.chat_stream import ChatDecoder, decode_completion
from .._sansio.completion import CompletionBuilder, whole_chunk
from ..errors import APIStatusError, RelayDanceError, StreamError
from ..models.chat import ChatCompletion, ChatCompletionChunk
from ..models.meta import ResponseMeta
from ._stream import Opened, OpenedAnswer, Stream, drain


class ChatStream(Stream[ChatCompletionChunk]):
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

    def __init__(self, _opened: _Opened | _Arrived) -> None:
        super().__init__(_opened)
        self._opened = _opened

    async def get_final_completion(self) -> ChatCompletion:
        """Read what is left, and give the whole: text, reasoning text, tool calls with their arguments, and usage.

        Fields that this version doesn't know are in it too. Their lists are put one after the other, their objects
        merged, and texts that come in pieces joined; of anything else the last value counts.

        Raises:
            IncompleteStreamError, StreamError, APIStatusError: as iteration does.
        """
        await self._read_to_end()
        completion = self._opened.completion()
        completion.give_meta(self._opened.facts())
        return completion

    @property
    def text(self) -> str:
        """The first choice's text so far."""
        return self._opened.text


async def open_chat_stream(answer: Answer) -> ChatStream:
    """The stream in an answer. One that says that it is no event stream is read whole.

    Raises:
        APIStatusError: it is an error with a good status.
        ResponseDecodeError: it is something else.
        StreamError: it is an event stream after all, and broken.
    """
    if is_event_stream(answer):
        return ChatStream(_Opened(answer.keep()))
    return ChatStream(_Arrived(await read_completion(answer)))


def recall_chat_stream(answer: str, meta: ResponseMeta) -> ChatStream:
    """The stream of a completion that a journal has kept."""
    return ChatStream(_Arrived(recalling(ChatCompletion)(answer, meta)))


async def keep_chat_stream(stream: ChatStream, accept: Accept) -> bool:
    """Have the completion kept: now, or when the stream has come to its end; whether that is yet to come."""
    return await stream._opened.keep(accept)  # pyright: ignore[reportPrivateUsage]


def so_far_of(stream: ChatStream) -> CompletionBuilder:
    """What has come, in pieces: all up to the chunk that was given last."""
    return stream._opened.so_far  # pyright: ignore[reportPrivateUsage]


def come_so_far(stream: ChatStream) -> ChatCompletion:
    """The completion as far as it has come."""
    return stream._opened.completion()  # pyright: ignore[reportPrivateUsage]


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
    if is_event_stream(answer):
        completion = await _read_events(answer)
    else:
        completion = decode_completion(await answer.read(), lambda: answer.meta)
    completion.give_meta(answer.facts())
    return completion


async def _read_events(answer: Answer) -> ChatCompletion:
    decoder = ChatDecoder(status=answer.status, limit=answer.limit)
    try:
        async with aclosing(answer.pieces()) as pieces:
            async for piece in pieces:
                for _ in decoder.feed(piece):
                    pass
                if decoder.done:
                    await drain(pieces)
                    break
    except (StreamError, APIStatusError):
        raise
    except RelayDanceError as error:
        raise decoder.broke(error) from None
    if decoder.unread:
        return decode_completion(decoder.unread, lambda: answer.meta)  # it only says that it is an event stream
    decoder.close()
    return decoder.completion()


class _Arrived(Opened[ChatCompletionChunk]):
    """A completion that came at once."""

    __slots__ = ("_completion", "so_far")

    def __init__(self, completion: ChatCompletion) -> None:
        self._completion = completion
        self.so_far: CompletionBuilder = CompletionBuilder()

    async def chunks(self) -> AsyncGenerator[ChatCompletionChunk, None]:
        """The only one."""
        chunk = whole_chunk(self._completion)
        self.so_far.add(chunk)
        yield chunk

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

    def facts(self) -> Callable[[], ResponseMeta]:
        """See `Result.give_meta`."""
        meta = self._completion.meta  # of now: what comes of this may become the completion's own
        return lambda: meta

    async def keep(self, accept: Accept) -> bool:
        """See `keep_chat_stream`."""
        await accept(self._completion)
        return False


class _Opened(OpenedAnswer[ChatCompletionChunk, ChatDecoder]):
    """An answer on its way through the decoder."""

    __slots__ = ()

    def __init__(self, answer: OpenAnswer) -> None:
        super().__init__(answer, ChatDecoder(status=answer.status, limit=answer.limit))

    @property
    def text(self) -> str:
        """The first choice's text so far."""
        return self.decoder.text

    def facts(self) -> Callable[[], ResponseMeta]:
        """See `Result.give_meta`."""
        return self.answer.facts()

    def completion(self) -> ChatCompletion:
        """The completion as far as it has come."""
        return self.decoder.completion()

    def whole(self) -> ChatCompletion:
        """The same, for those who watch."""
        return self.completion()

    @property
    def so_far(self) -> CompletionBuilder:
        """The same in pieces."""
        return self.decoder.so_far
