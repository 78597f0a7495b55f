"""A streamed completion: bytes in, chunks out, and the whole of it at the end.

Some upstreams ignore `stream: true` and answer with one JSON body, others stream to whoever didn't ask for it. So each
kind of answer can be read as the other.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from pydantic import ValidationError

from ..errors import IncompleteStreamError, RelayDanceError, StreamError
from ..models.chat import ChatCompletion, ChatCompletionChunk, ChunkChoice
from ..models.meta import ResponseMeta
from .completion import CompletionBuilder, whole_chunk
from .decode import decode_result, repair
from .envelope import Envelope, build_status_error, parse_envelope
from .sse import SSEParser

_DONE = b"[DONE]"
_NOTHING = (b"", b"null", b"[]", b'""')
"""Events of some upstreams that only keep the connection alive."""
_COMMENTS = re.compile(rb"\A(?:\xef\xbb\xbf)?(?:\s+|:[^\r\n]*(?:[\r\n]|\Z))*")
_EVENT = re.compile(rb"(?:data|event|id|retry):")
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
        self._whole = False  # one JSON body, which is whole without a finish_reason
        self._head = bytearray()
        """The bytes, kept until an event comes: they may be no stream at all."""

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
            self._begin(data, bool(events))
        # In one function, because each call would cost a twentieth of a chunk.
        for content, _ in events:
            if content == _DONE:
                self.done = True
                return
            self._room -= len(content)
            if self._room < 0:
                raise self._too_large()
            try:
                chunk: ChatCompletionChunk = _validate_json(content)
            except ValidationError:
                found = self._second_look(content)
                if self.done:
                    return
                if found is None:
                    continue
                chunk = found
            extra = chunk.__pydantic_extra__
            if extra and extra.get("error"):
                raise self._reported(parse_envelope(content) or Envelope("unknown error"))
            self._builder.add(chunk)
            yield chunk

    def _begin(self, data: bytes, began: bool) -> None:
        self._began = began
        if began:
            self._head.clear()
            return
        self._head += data
        if len(self._head) > self._limit:
            # Comments alone may come for hours.
            self._head = bytearray(_after_comments(self._head))
            if len(self._head) > self._limit:
                raise self._too_large()

    def _second_look(self, data: bytes) -> ChatCompletionChunk | None:
        data = data.strip()
        if data in _NOTHING:
            return None
        if data.strip(b'"') == _DONE:
            self.done = True
            return None
        envelope = parse_envelope(data)
        if envelope is not None:
            raise self._reported(envelope) from None
        chunk = repair(ChatCompletionChunk, data, absent=("choices",))
        if chunk is None:
            raise self._error(f"the stream holds what is not a chunk: {data[:200]!r}") from None
        for choice in chunk.choices:
            self._take_message(choice)
        return chunk

    def _take_message(self, choice: ChunkChoice) -> None:
        """Some upstreams send a `message` in place of a `delta`, in the only chunk. In a last one it is the sum."""
        extra: dict[str, Any] = choice.__pydantic_extra__ or {}
        if "message" in extra and not choice.delta.model_fields_set and not self._builder.knows(choice.index):
            whole = repair(ChatCompletion, json.dumps({"choices": [{"message": extra["message"]}]}).encode())
            if whole is not None:
                choice.delta = whole_chunk(whole).choices[0].delta
                del extra["message"]

    def rest(self) -> ChatCompletionChunk | None:
        """The bytes have ended. What came as one JSON body and no stream, as its only chunk; else None."""
        body = self.unread
        completion = repair(ChatCompletion, body) if body and parse_envelope(body) is None else None
        if completion is None:
            return None
        chunk = whole_chunk(completion)
        self._builder.add(chunk)
        self._whole = True
        self._head.clear()
        return chunk

    @property
    def unread(self) -> bytes:
        """What has come, without comments, when no event was among it."""
        return _after_comments(self._head)

    def close(self) -> None:
        """The bytes have ended. Safe to call twice.

        Raises:
            IncompleteStreamError: a choice never got its `finish_reason`, or none came at all.
            APIStatusError: it was no stream but an error (the gateway sends such ones as text/event-stream too).
        """
        if self._whole:
            return
        if self._builder.empty:
            envelope = parse_envelope(self.unread)
            if envelope is not None:
                raise build_status_error(ResponseMeta(status_code=self._status), envelope, body=bytes(self._head))
            raise self._incomplete("the stream ended before it began")
        if self._builder.unfinished:
            raise self._incomplete("the stream ended without a finish_reason: the answer is cut off")

    @property
    def text(self) -> str:
        """The first choice's text so far."""
        return self._builder.text

    @property
    def so_far(self) -> CompletionBuilder:
        """What has come, in pieces. It goes on to grow."""
        return self._builder

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

    def _too_large(self) -> StreamError:
        return self._error(f"the stream is larger than max_response_bytes={self._limit}")

    def _error(self, message: str) -> StreamError:
        return StreamError(message, text=self.text, completion=self._so_far(), maybe_accepted=True)

    def _incomplete(self, message: str) -> IncompleteStreamError:
        return IncompleteStreamError(message, text=self.text, completion=self._so_far(), maybe_accepted=True)

    def _so_far(self) -> ChatCompletion | None:
        return self._builder.build() if self._builder.began else None


def decode_completion(body: bytes, meta: Callable[[], ResponseMeta]) -> ChatCompletion:
    """The completion in an answer of status 2xx, which may also be a whole event stream.

    Raises:
        APIStatusError, ResponseDecodeError: as `decode_result`.
        StreamError, IncompleteStreamError: it is an event stream, with an error in it or without its end.
    """
    if body.startswith(b"{") or not _EVENT.match(_after_comments(body)):
        return decode_result(ChatCompletion, body, meta)
    decoder = ChatDecoder(status=meta().status_code or 200, limit=len(body))
    for _ in decoder.feed(body):
        pass
    decoder.close()
    return decoder.completion()


def _after_comments(body: bytes | bytearray) -> bytes:
    """The gateway also writes `: PING` before what is no stream."""
    return bytes(_COMMENTS.sub(b"", body, count=1))
