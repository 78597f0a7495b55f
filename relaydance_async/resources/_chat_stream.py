"""A streamed chat completion."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable
from types import AsyncGeneratorType, TracebackType
from typing import Self, cast

import anyio
from pydantic import ValidationError

from .._controller import Exchange
from .._sansio.decode import build_error_in, repair
from .._sansio.envelope import BODY_KEPT, Envelope, build_status_error, parse_envelope
from .._sansio.sse import SSEParser
from ..errors import APIConnectionError, IncompleteStreamError, RelayDanceError, StreamError
from ..models.chat import ChatCompletion, ChatCompletionChunk, CompletionBuilder

_DONE = b"[DONE]"
# What `model_validate_json` calls; calling it directly saves a sixth of a chunk's decoding.
_validate_json = ChatCompletionChunk.__pydantic_validator__.validate_json
_DRAIN_SECONDS = 0.5


class ChatStream:
    """The chunks of an answer as they come, and the whole of it at the end.

    Use it with `async with`, so that its connection and permit are given back at once on `break`, an exception or
    cancellation. Iterating to the end gives them back too.

        async with await client.chat.completions.create(..., stream=True) as stream:
            async for chunk in stream:
                print(chunk.text(), end="")
            completion = await stream.get_final_completion()

    Iteration raises:
        IncompleteStreamError: it ended although a choice never got a `finish_reason` (the gateway sends `[DONE]` also
            when its upstream broke off).
        StreamError: an `error` event came, the connection broke, or the chunks grew beyond `max_response_bytes`; `text`
            has what had arrived.
        APIStatusError: it was no stream but an error, under the content type of one.
    """

    def __init__(self, exchange: Exchange) -> None:
        exchange.kept_open = True
        self._exchange = exchange
        self._pieces = exchange.response.chunks()
        self._parser = SSEParser()
        self._builder = CompletionBuilder()
        self._head = b""
        """The first bytes, kept until a chunk comes: they may be no stream at all."""
        self._room = exchange.limit
        """Bytes of chunks that may still come."""
        # A generator, because an `async def __anext__` would cost another coroutine for each chunk.
        self._chunks = cast("AsyncGeneratorType[ChatCompletionChunk, None]", self._iterate())

    @classmethod
    async def open(cls, exchange: Exchange) -> Self:
        """Take over an answer.

        Raises:
            APIStatusError, ResponseDecodeError: it is not a stream: an error relayed with HTTP 200, or a web page.
        """
        kind = exchange.response.headers.get("content-type", "")
        if "text/event-stream" not in kind:
            raise build_error_in(await exchange.read(), exchange.attempt.meta(), "the answer is not an event stream")
        return cls(exchange)

    def __aiter__(self) -> AsyncGenerator[ChatCompletionChunk, None]:
        return self._chunks

    def __anext__(self) -> Awaitable[ChatCompletionChunk]:
        return self._chunks.__anext__()

    async def _iterate(self) -> AsyncGenerator[ChatCompletionChunk, None]:
        failure: RelayDanceError | None = None
        try:
            async for piece in self._pieces:
                if self._builder.empty and len(self._head) < BODY_KEPT:
                    self._head += piece
                for event in self._parser.feed(piece):
                    if event.data == _DONE:
                        await self._drain()
                        break
                    yield self._decode(event.data)
                else:
                    continue
                break
        except RelayDanceError as error:
            failure = error
        except GeneratorExit:
            raise  # `aclose` sees to the rest; and a loop that ends closes both generators at the same time
        except BaseException:
            await self._give_back()
            raise
        await self._give_back()
        if failure is not None:
            raise self._completed(failure)
        self._check_whole()

    async def _drain(self) -> None:
        # Only a connection whose answer was read to its end can be used again; the end comes with [DONE] or not soon.
        with anyio.move_on_after(_DRAIN_SECONDS):
            try:
                async for _ in self._pieces:
                    pass
            except APIConnectionError:
                return

    def _decode(self, data: bytes) -> ChatCompletionChunk:
        self._room -= len(data)
        if self._room < 0:
            raise StreamError(f"the stream is larger than max_response_bytes={self._exchange.limit}")
        try:
            chunk: ChatCompletionChunk = _validate_json(data)
        except ValidationError as error:
            chunk = self._second_look(data, error)
        extra = chunk.__pydantic_extra__
        if extra and extra.get("error"):
            envelope = parse_envelope(data) or Envelope("unknown error")
            raise StreamError(envelope.message, type=envelope.type, code=envelope.code, param=envelope.param)
        self._builder.add(chunk)
        return chunk

    def _second_look(self, data: bytes, error: ValidationError) -> ChatCompletionChunk:
        envelope = parse_envelope(data)
        if envelope is not None:
            raise StreamError(envelope.message, type=envelope.type, code=envelope.code, param=envelope.param) from None
        chunk = repair(ChatCompletionChunk, data, error)
        if chunk is None:
            raise StreamError(f"the stream holds what is not a chunk: {data[:200]!r}") from None
        return chunk

    def _check_whole(self) -> None:
        if self._builder.empty:
            # The gateway also sends a plain JSON error as text/event-stream.
            envelope = parse_envelope(self._head)
            if envelope is not None:
                raise build_status_error(self._exchange.attempt.meta(), envelope)
            raise self._completed(IncompleteStreamError("the stream ended before it began"))
        if self._builder.unfinished:
            raise self._completed(
                IncompleteStreamError("the stream ended without a finish_reason: the answer is cut off")
            )

    def _completed(self, error: RelayDanceError) -> RelayDanceError:
        if isinstance(error, APIConnectionError):
            error = StreamError(f"the stream broke: {error.message}", maybe_accepted=True)
        if isinstance(error, StreamError):
            error.text = self._builder.text
        error.meta = self._exchange.attempt.meta()
        return error

    async def get_final_completion(self) -> ChatCompletion:
        """Read what is left, and give the whole: text, reasoning text, tool calls with their arguments, and usage.

        Raises:
            IncompleteStreamError, StreamError: as iteration does.
        """
        async for _ in self:
            pass
        self._check_whole()
        return self._builder.build()

    @property
    def text(self) -> str:
        """The first choice's text so far."""
        return self._builder.text

    async def aclose(self) -> None:
        """Give the connection and the permit back. Safe to call twice; nothing more can be read."""
        try:
            await self._give_back()
        finally:
            if not self._chunks.ag_running:
                await self._chunks.aclose()

    async def _give_back(self) -> None:
        try:
            await self._pieces.aclose()
        finally:
            await self._exchange.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()
