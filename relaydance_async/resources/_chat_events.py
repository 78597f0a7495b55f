"""A streamed chat completion as events, in openai's style."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Coroutine
from types import AsyncGeneratorType, TracebackType
from typing import Any, Generic, Self, TypeVar, cast

from .._sansio.chat_events import ChatEvent, EventTracker
from .._sansio.response_format import ResponseFormat
from ..errors import InvalidInputError
from ..models.chat import ChatCompletion
from ..models.meta import ResponseMeta
from ..models.parsed import ParsedChatCompletion
from ._chat_parse import parse_completion
from ._chat_stream import ChatStream, so_far_of

T = TypeVar("T")


class ChatEventStream(Generic[T]):
    """The events of an answer, to be entered with `async with`, which sends the request, and iterated.

        async with client.chat.completions.stream(model=..., messages=...) as stream:
            async for event in stream:
                if event.type == "content.delta":
                    print(event.delta, end="")
            completion = await stream.get_final_completion()

    Each chunk is a `chunk` event, followed by what is new in it: `content.delta`, `refusal.delta`, `reasoning.delta`,
    `tool_calls.function.arguments.delta`. When the stream has ended, with its usage, the `….done` events follow.

    Iteration raises:
        ParseError, LengthFinishReasonError, ContentFilterFinishReasonError: with a `response_format`, at the end: the
            answer has no such value. `completion` has the whole, which is paid for.
        StreamError, IncompleteStreamError, APIStatusError: as of a `ChatStream`.

    Leaving the `async with` gives the connection and the permit back at once.
    """

    def __init__(self, _opening: Coroutine[Any, Any, ChatStream], _wanted: ResponseFormat[T] | None) -> None:
        self._opening: Coroutine[Any, Any, ChatStream] | None = _opening
        self._wanted = _wanted
        self._stream: ChatStream | None = None
        self._events: AsyncGeneratorType[ChatEvent[T], None] | None = None

    async def __aenter__(self) -> Self:
        opening, self._opening = self._opening, None
        if opening is None:
            raise InvalidInputError("a stream can be entered once; call stream() again")
        self._stream = await opening
        events = _events(self._stream, self._wanted)
        self._events = cast("AsyncGeneratorType[ChatEvent[T], None]", events)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            await self._entered().__aexit__(kind, error, traceback)
        finally:
            if self._events is not None and not self._events.ag_running:
                await self._events.aclose()

    def __aiter__(self) -> AsyncGenerator[ChatEvent[T], None]:
        self._entered()
        assert self._events is not None
        return self._events

    async def __anext__(self) -> ChatEvent[T]:
        return await anext(aiter(self))

    async def until_done(self) -> Self:
        """Read to the end. Raises as iteration does."""
        async for _ in self:
            pass
        return self

    async def get_final_completion(self) -> ParsedChatCompletion[T]:
        """Read what is left, and give the whole; with a `response_format`, its messages have `parsed`.

        Raises as iteration does.
        """
        await self.until_done()
        return parse_completion(await self._entered().get_final_completion(), self._wanted)

    @property
    def current_completion_snapshot(self) -> ChatCompletion:
        """The completion as far as it has come."""
        return so_far_of(self._entered()).build()

    @property
    def text(self) -> str:
        """The first choice's text so far."""
        return self._entered().text

    @property
    def meta(self) -> ResponseMeta:
        """The circumstances: whether it was replayed (`replayed`)."""
        return self._entered().meta

    async def aclose(self) -> None:
        """Give the connection and the permit back. Safe to call twice; nothing more can be read."""
        await self.__aexit__(None, None, None)

    close = aclose

    def _entered(self) -> ChatStream:
        if self._stream is None:
            raise InvalidInputError("the stream begins with `async with client.chat.completions.stream(…) as stream`")
        return self._stream


async def _events(stream: ChatStream, wanted: ResponseFormat[T] | None) -> AsyncGenerator[ChatEvent[T], None]:
    tracker: EventTracker[T] = EventTracker(so_far_of(stream), wanted)
    async for chunk in stream:
        for event in tracker.take(chunk):
            yield event
    for event in tracker.end(parse_completion(await stream.get_final_completion(), wanted)):
        yield event
