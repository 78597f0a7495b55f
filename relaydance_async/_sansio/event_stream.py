"""A stream of any kind: server-sent events whose data is JSON, or plain bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from pydantic import ValidationError

from ..errors import IncompleteStreamError, RelayDanceError, StreamError
from ..models.meta import ResponseMeta
from .decode import reports_error
from .envelope import Envelope, build_status_error, parse_envelope
from .sse import SSEParser

T = TypeVar("T")

_DONE = b"[DONE]"


def stream_broke(cause: RelayDanceError, text: str = "") -> StreamError:
    """The error for a stream whose bytes broke off, after this text."""
    reason = " ".join(cause.message.split()).removeprefix("the connection broke: ")
    return StreamError(f"the stream broke: {reason}", text=text, retryable=cause.retryable, maybe_accepted=True)


class EventDecoder(Generic[T]):
    """Takes the bytes of a stream as they come, and gives what is in its events. See `Decoder` of the resources.

    Args:
        decode: makes the data of one event into a value.
        status: of the answer.
        limit: bytes of events that may come in all.

    Attributes:
        text: that has come, where the events are known to have one.
    """

    def __init__(self, decode: Callable[[bytes], T], *, status: int, limit: int) -> None:
        self.done: bool = False
        """Whether `[DONE]` came: nothing after it counts."""
        self.text: str = ""
        self._decode = decode
        self._status = status
        self._limit = self._room = limit
        self._parser = SSEParser()
        self._head: bytearray | None = bytearray()
        """The bytes, kept until an event comes: they may be no stream at all."""

    def feed(self, data: bytes) -> Iterator[T]:
        """The values that these bytes complete. Take all before feeding more.

        Raises:
            StreamError: an error event came, or what has another shape, or more than the limit.
        """
        self._room -= len(data)
        if self._room < 0:
            raise self._error(f"the stream is larger than max_response_bytes={self._limit}")
        events = self._parser.feed(data)
        if self._head is not None:
            self._head += data
        for event in events:
            self._head = None
            content = event.data.strip()
            if content == _DONE:
                self.done = True
                return
            if event.event == "error" or reports_error(content):
                raise self._reported(content)
            if content:
                yield self._value(content)

    def _value(self, content: bytes) -> T:
        try:
            return self._decode(content)
        except ValidationError:
            pass  # outside of it, for as its context it would tie the error to the frames of the stream
        raise self._error(f"an event of the stream has another shape: {content[:200]!r}")

    def _reported(self, content: bytes) -> StreamError:
        envelope = parse_envelope(content) or Envelope(repr(content[:200].decode("utf-8", "replace")))
        error = self._error(envelope.message)
        error.type, error.code, error.param = envelope.type, envelope.code, envelope.param
        return error

    def _error(self, message: str, kind: type[StreamError] = StreamError) -> StreamError:
        return kind(message, text=self.text, maybe_accepted=True)

    def rest(self) -> None:
        """Nothing: what is no stream has been read whole, unless it says that it is one."""

    def close(self) -> None:
        """The bytes have ended.

        Raises:
            IncompleteStreamError: no event came.
            APIStatusError: it was no stream but an error (the gateway sends such ones as text/event-stream too).
        """
        if self._head is None:
            return
        body = bytes(self._head)
        if (envelope := parse_envelope(body)) is not None:
            raise build_status_error(ResponseMeta(status_code=self._status), envelope, body=body)
        raise self._error("the stream ended before it began", IncompleteStreamError)

    def broke(self, cause: RelayDanceError) -> RelayDanceError:
        """The error for a stream whose bytes broke off."""
        return stream_broke(cause, self.text)


class PieceDecoder:
    """Gives the bytes as they come."""

    done: bool = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """See `EventDecoder`, here and below."""
        yield data

    def rest(self) -> None:
        pass

    def close(self) -> None:
        pass

    def broke(self, cause: RelayDanceError) -> RelayDanceError:
        return stream_broke(cause)
