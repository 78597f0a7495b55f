"""A streamed response."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from .._call import Answer, as_model, is_event_stream
from .._sansio.response_stream import ResponseDecoder
from ..models.meta import ResponseMeta
from ..models.responses import Response, ResponseEvent
from ._stream import Opened, OpenedAnswer, Stream


class ResponseStream(Stream[ResponseEvent]):
    """The events of a response as they come, and the whole of it at the end. Use it with `async with`.

        async with await client.responses.create(..., stream=True) as stream:
            async for event in stream:
                if event.type == "response.output_text.delta":
                    print(event.delta, end="")
            response = await stream.get_final_response()

    Iteration raises as a `ChatStream`'s does: `IncompleteStreamError` when it ended before its last event.
    """

    def __init__(self, _opened: _Opened | _Arrived) -> None:
        super().__init__(_opened)
        self._opened = _opened

    async def get_final_response(self) -> Response:
        """Read what is left, and give the response of the last event.

        Raises:
            IncompleteStreamError, StreamError, APIStatusError: as iteration does.
        """
        await self._read_to_end()
        return self._opened.response()


async def open_response_stream(answer: Answer) -> ResponseStream:
    """The stream in an answer. One that says that it is no event stream is read whole."""
    if is_event_stream(answer):
        return ResponseStream(_Opened(answer.keep(), ResponseDecoder(status=answer.status, limit=answer.limit)))
    return ResponseStream(_Arrived(await as_model(Response)(answer)))


class _Opened(OpenedAnswer[ResponseEvent, ResponseDecoder]):
    __slots__ = ()

    def response(self) -> Response:
        """As the last event had it."""
        response = self.decoder.response
        assert response is not None  # it has come to its end
        response.give_meta(self.answer.facts())
        return response


class _Arrived(Opened[ResponseEvent]):
    """A response that came at once."""

    __slots__ = ("_response",)

    def __init__(self, response: Response) -> None:
        self._response = response

    async def chunks(self) -> AsyncGenerator[ResponseEvent, None]:
        """The only event."""
        yield ResponseEvent(type=f"response.{self._response.status or 'completed'}", response=self._response)

    @property
    def meta(self) -> ResponseMeta:
        """Of the answer."""
        return self._response.meta

    def response(self) -> Response:
        """As it came."""
        return self._response
