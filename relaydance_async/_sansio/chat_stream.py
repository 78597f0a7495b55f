"""A streamed completion: bytes in, chunks out, and the whole of it at the end."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import ValidationError

from ..errors import IncompleteStreamError, RelayDanceError, StreamError
from ..models.chat import ChatCompletion, ChatCompletionChunk
from ..models.meta import ResponseMeta
from .completion import CompletionBuilder
from .decode import repair
from .envelope import BODY_KEPT, Envelope, build_status_error, parse_envelope
from .sse import SSEParser

_DONE = b"[DONE]"
# What `model_validate_json` calls; calling it directly saves a sixth of a chunk's decoding.
_validate_json = ChatCompletionChunk.__pydantic_validator__.validate_json


class ChatDecoder:
    """Takes the bytes of a stream as they come. Feed it until the bytes end or it is `done`, then `close` it.

    Its errors are of the stream only: what is known of the call is for the caller to add. All of them leave it open
    whether the answer is billed.

    Args:
        status: of the answer.
        limit: bytes of events that may come in all.
    """

    def __init__(self, *, status: int, limit: int) -> None:
        self.done: bool = False
        """Whether `[DONE]` came: nothing after it counts."""
        self._status = status
        self._limit = limit
        self._room = limit
        self._parser = SSEParser()
        self._builder = CompletionBuilder()
        self._began = False
        self._head = b""
        """The first bytes, kept until an event comes: they may be no stream at all."""

    def feed(self, data: bytes) -> Iterator[ChatCompletionChunk]:
        """The chunks that these bytes complete, each decoded when it is asked for. Take all before feeding more.

        Raises:
            StreamError: an error event came, or what is no chunk, or more than the limit; `text` has what came before.
        """
        try:
            events = self._parser.feed(data)
        except StreamError as error:
            raise self._error(error.message) from None
        if not self._began:
            self._began = bool(events)
            self._head = b"" if events else (self._head + data)[:BODY_KEPT]
        # In one function, because each call would cost a twentieth of a chunk.
        for content, _ in events:
            if content == _DONE:
                self.done = True
                return
            self._room -= len(content)
            if self._room < 0:
                raise self._error(f"the stream is larger than max_response_bytes={self._limit}")
            try:
                chunk: ChatCompletionChunk = _validate_json(content)
            except ValidationError as error:
                chunk = self._second_look(content, error)
            extra = chunk.__pydantic_extra__
            if extra and extra.get("error"):
                raise self._reported(parse_envelope(content) or Envelope("unknown error"))
            self._builder.add(chunk)
            yield chunk

    def _second_look(self, data: bytes, error: ValidationError) -> ChatCompletionChunk:
        envelope = parse_envelope(data)
        if envelope is not None:
            raise self._reported(envelope) from None
        chunk = repair(ChatCompletionChunk, data, error)
        if chunk is None:
            raise self._error(f"the stream holds what is not a chunk: {data[:200]!r}") from None
        return chunk

    def close(self) -> None:
        """The bytes have ended. Safe to call twice.

        Raises:
            IncompleteStreamError: a choice never got its `finish_reason`, or none came at all.
            APIStatusError: it was no stream but an error (the gateway sends such ones as text/event-stream too).
        """
        if self._builder.empty:
            envelope = parse_envelope(self._head)
            if envelope is not None:
                raise build_status_error(ResponseMeta(status_code=self._status), envelope, body=self._head)
            raise self._incomplete("the stream ended before it began")
        if self._builder.unfinished:
            raise self._incomplete("the stream ended without a finish_reason: the answer is cut off")

    @property
    def text(self) -> str:
        """The first choice's text so far."""
        return self._builder.text

    def completion(self) -> ChatCompletion:
        """The completion as far as it has come."""
        return self._builder.build()

    def broke(self, cause: RelayDanceError) -> StreamError:
        """The error for a stream whose bytes broke off."""
        reason = " ".join(cause.message.split()).removeprefix("the connection broke: ")
        error = self._error(f"the stream broke: {reason}")
        error.retryable = cause.retryable
        return error

    def _reported(self, envelope: Envelope) -> StreamError:
        error = self._error(envelope.message)
        error.type, error.code, error.param = envelope.type, envelope.code, envelope.param
        return error

    def _error(self, message: str) -> StreamError:
        return StreamError(message, text=self.text, partial=self._partial(), maybe_accepted=True)

    def _incomplete(self, message: str) -> IncompleteStreamError:
        return IncompleteStreamError(message, text=self.text, partial=self._partial(), maybe_accepted=True)

    def _partial(self) -> ChatCompletion | None:
        return None if self._builder.empty else self._builder.build()
