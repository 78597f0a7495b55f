"""A streamed answer of any kind."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from functools import partial
from typing import Any, Generic, TypeVar

from .._call import Answer, Receiver, as_cast, as_stream, is_event_stream
from .._sansio.cast import decode_event
from .._sansio.event_stream import EventDecoder, PieceDecoder
from ..models.meta import ResponseMeta
from ._stream import Opened, OpenedAnswer, Stream

T = TypeVar("T")


class EventStream(Stream[T]):
    """What comes in an answer, as it comes: the data of server-sent events, each made into what was asked for.

    Use it with `async with`, so that its connection and permit are given back at once on `break`, an exception or
    cancellation. Iterating to the end gives them back too.

        async with await client.post("/responses", body={...}, stream=True) as events:
            async for event in events:
                print(event["type"])

    `[DONE]` ends it. An answer that was not streamed, though it was asked for, comes as one value.

    Iteration raises:
        StreamError: an `error` event came, the connection broke, the deadline passed, an event has another shape, or
            more came than `max_response_bytes`.
        IncompleteStreamError: it ended before the first event.
        APIStatusError: it was no stream but an error, under the content type of one.
    """


def as_event_stream(kind: Any) -> Receiver[EventStream[Any]]:
    """A stream of what `cast_to` names; of `bytes`: of the pieces of the answer, whatever it is.

    Raises:
        InvalidInputError: nothing can be made into it; at once.
    """
    whole = as_cast(kind)

    async def open_stream(answer: Answer) -> EventStream[Any]:
        if kind is bytes:
            return EventStream(OpenedAnswer(answer.keep(), PieceDecoder()))
        if is_event_stream(answer):
            decoder = EventDecoder[Any](partial(decode_event, kind), status=answer.status, limit=answer.limit)
            return EventStream(OpenedAnswer(answer.keep(), decoder))
        return EventStream(_Arrived(await whole(answer), answer.meta))

    return as_stream(open_stream)


class _Arrived(Opened[T], Generic[T]):
    """A value that came at once."""

    __slots__ = ("_meta", "_value")

    def __init__(self, value: T, meta: ResponseMeta) -> None:
        self._value = value
        self._meta = meta

    async def chunks(self) -> AsyncGenerator[T, None]:
        """The only one."""
        yield self._value

    @property
    def meta(self) -> ResponseMeta:
        """Of the answer."""
        return self._meta
