"""What `with_streaming_response` gives."""

from __future__ import annotations

import codecs
import json
import os
from collections.abc import AsyncGenerator, Coroutine, Mapping
from contextlib import aclosing
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, TypeVar

from .._call import Answer, OpenAnswer, Receiver, as_stream
from .._sansio.event_stream import PieceDecoder
from ..errors import InvalidInputError, RelayDanceError, ResponseTooLargeError
from ..models.meta import ResponseMeta
from ._stream import OpenedAnswer

T = TypeVar("T")


class StreamedResponse(Generic[T]):
    """An answer whose status and headers have come, and whose body is still to come. It can be read once: as bytes,
    texts or lines as they come, into a file, or whole.

    The call is the same as without: errors, retries, limits and the rules about money. Reading raises
    `StreamError` when the answer breaks off, with `maybe_accepted`: it may be billed.
    """

    def __init__(self, _answer: OpenAnswer, _receive: Receiver[T]) -> None:
        self._answer = _answer
        self._receive = _receive
        self._source: OpenedAnswer[bytes, PieceDecoder] = OpenedAnswer(_answer, PieceDecoder())
        self._body: bytes | None = None
        self._is_taken = False

    @property
    def meta(self) -> ResponseMeta:
        """The circumstances of the call."""
        return self._answer.meta

    @property
    def status_code(self) -> int:
        """Of HTTP."""
        return self._answer.status

    @property
    def headers(self) -> Mapping[str, str]:
        """By names in lower case, without cookies."""
        return self.meta.headers

    @property
    def request_id(self) -> str | None:
        """The gateway's id of the request."""
        return self.meta.request_id

    async def iter_bytes(self) -> AsyncGenerator[bytes, None]:
        """The body in pieces as they come, decompressed."""
        if self._body is not None:
            yield self._body
            return
        self._take()
        async with aclosing(self._source.chunks()) as pieces:
            async for piece in pieces:
                yield piece

    async def iter_text(self) -> AsyncGenerator[str, None]:
        """The same as texts: UTF-8, what can't be decoded replaced."""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        async with aclosing(self.iter_bytes()) as pieces:
            async for piece in pieces:
                if text := decoder.decode(piece):
                    yield text
        if rest := decoder.decode(b"", final=True):
            yield rest

    async def iter_lines(self) -> AsyncGenerator[str, None]:
        """The same line by line, without their ends."""
        rest = ""
        async with aclosing(self.iter_text()) as texts:
            async for text in texts:
                *lines, rest = (rest + text).split("\n")
                for line in lines:
                    yield line.removesuffix("\r")
        if rest:
            yield rest

    async def read(self) -> bytes:
        """The whole body.

        Raises:
            ResponseTooLargeError: it is larger than `max_response_bytes`.
        """
        if self._body is None:
            body = bytearray()
            async with aclosing(self.iter_bytes()) as pieces:
                async for piece in pieces:
                    body += piece
                    self._check_size(body)
            self._body = bytes(body)
        return self._body

    async def text(self) -> str:
        """The same as text: UTF-8, what can't be decoded replaced."""
        return (await self.read()).decode("utf-8", "replace")

    async def json(self) -> Any:
        """The same as JSON.

        Raises:
            ValueError: it is something else.
        """
        return json.loads(await self.read())

    async def parse(self) -> T:
        """What the call gives without `with_streaming_response`. Raises what that does."""
        if self._receive.holds:
            self._take()
            return await self._receive(self._answer.reopened())
        answer = self._answer.replayed(await self.read())
        try:
            return await self._receive(answer)
        except RelayDanceError as error:
            failure = self._answer.failure(error.with_traceback(None))
        try:
            raise failure
        finally:
            del failure  # it would know itself, through its traceback

    async def stream_to_file(self, path: str | os.PathLike[str], *, overwrite: bool = True) -> Path:
        """Save the body, as it comes. Under its final name there is only a whole file.

        Args:
            path: of the file.
            overwrite: whether a file at `path` is replaced. If not, it is an error.

        Raises:
            DownloadError: nothing may be written to `path`.

        Cancelling it leaves no file.
        """
        from .download import save_pieces

        return await save_pieces(self.iter_bytes(), path, overwrite=overwrite)

    async def aclose(self) -> None:
        """Give the connection and the permit back. Safe to call twice."""
        await self._source.aclose(None)

    def _take(self) -> None:
        if self._is_taken:
            raise InvalidInputError("the answer has been read already; `await response.read()` keeps it for `parse()`")
        self._is_taken = True

    def _check_size(self, body: bytearray) -> None:
        if len(body) > (limit := self._answer.limit):
            raise self._answer.failure(
                ResponseTooLargeError(f"the answer is larger than {limit} bytes", raw_body=bytes(body[:limit]))
            )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.status_code}>"


class StreamedResponseManager(Generic[T]):
    """Makes the call on entering its `async with`, and closes the answer on leaving it."""

    def __init__(self, _call: Coroutine[Any, Any, StreamedResponse[T]]) -> None:
        self._call = _call
        self._response: StreamedResponse[T] | None = None

    async def __aenter__(self) -> StreamedResponse[T]:
        self._response = await self._call
        return self._response

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._response is not None:
            await self._response._source.aclose(error)  # pyright: ignore[reportPrivateUsage]


def as_streamed(receive: Receiver[T]) -> Receiver[StreamedResponse[T]]:
    """The answer, to be read by the caller."""

    async def read(answer: Answer) -> StreamedResponse[T]:
        return StreamedResponse(answer.keep(), receive)

    return as_stream(read)
