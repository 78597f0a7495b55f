"""Sends attempts through an `httpx.AsyncClient`: one of ours, over the engine, or the caller's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import anyio
import httpx

from .._engine import Engine
from .._engine._coding import ACCEPTED, decoded
from .._sansio.request import BodyStream
from .._sansio.timeout import finite
from ..errors import ConfigurationError, ResponseTooLargeError
from ._base import TransportStats, WireRequest
from ._engine_face import REQUEST_MARK, PlainClient
from ._failures import build_failure, without_frames
from ._trace import Course

_NOTHING = httpx.ByteStream(b"")

CLOSE_SECONDS = 2.0
"""How long a cancelled call may take to say goodbye to its connection (TLS close)."""


class HttpxResponse:
    """An answer of httpx's, under our face."""

    is_over = False

    def __init__(self, response: httpx.Response, request: WireRequest) -> None:
        self._response = response
        self._request = request
        self.status_code = response.status_code

    @property
    def headers(self) -> Mapping[str, str]:
        return self._response.headers

    async def read(self, limit: int) -> bytes:
        pieces: list[bytes] = []
        size = 0
        chunks = self.chunks(keep=limit)
        async for piece in chunks:
            pieces.append(piece)
            size += len(piece)
            if size > limit:
                await chunks.aclose()
                came = b"".join(pieces)[:limit]
                raise ResponseTooLargeError(f"the answer is larger than {limit} bytes", raw_body=came)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def chunks(self, keep: int = 0) -> AsyncGenerator[bytes, None]:
        failure: Exception | None = None
        try:
            pieces = self._pieces(keep)
            try:
                async for piece in pieces:
                    yield piece
            finally:
                await pieces.aclose()
        except Exception as error:
            failure = build_failure(error, self._request)
        finally:
            await self.aclose()
        if failure is not None:
            # Outside of the handler, so that it doesn't keep the library's exception (and the key in its request)
            # alive.
            raise failure

    def _pieces(self, keep: int) -> AsyncGenerator[bytes, None]:
        response: Any = self._response  # httpx calls its generators iterators, which can't be closed
        if response.is_stream_consumed:
            read: AsyncGenerator[bytes, None] = response.aiter_bytes()  # by a hook of the caller's client
            return read
        raw: AsyncGenerator[bytes, None] = response.aiter_raw()
        if "content-encoding" not in response.headers:  # the quick question: httpx looks a value up in a slow way
            return raw
        coding: str = response.headers["content-encoding"]
        return raw if coding == "identity" else decoded(raw, coding, keep=keep)

    async def aclose(self) -> None:
        if not self._response.is_closed:
            with anyio.CancelScope(shield=True), anyio.move_on_after(CLOSE_SECONDS):
                await self._response.aclose()
        if isinstance(self._response, httpx.Response):  # pyright: ignore[reportUnnecessaryIsInstance]  (or httpx2's)
            # httpx ties the stream back to its response; such a cycle would be left to the garbage collector.
            self._response.stream = _NOTHING
        await self._request.close_body()


class _UnloggedURL(httpx.URL):
    """A URL whose query, which may hold a signature, is not shown: httpx writes the URL of each request to the log."""

    def __str__(self) -> str:
        return str(self.copy_with(query=None)) if self.query else super().__str__()

    def __repr__(self) -> str:
        return f"URL({str(self)!r})"


class HttpxTransport:
    """An `httpx.AsyncClient`, or one of httpx2's: its pool, proxies, hooks and TLS options hold."""

    def __init__(self, client: Any, name: str, *, engine: Engine | None) -> None:
        self._client = client
        self._engine = engine
        self.name = name

    @classmethod
    def of_caller(cls, client: Any) -> HttpxTransport:
        """Send with the caller's client, which stays the caller's to close."""
        return cls(client, f"the caller's {type(client).__module__.partition('.')[0]}.AsyncClient", engine=None)

    @classmethod
    def of_engine(cls, engine: Engine, name: str) -> HttpxTransport:
        """Send with a client of ours, over that engine."""
        return cls(PlainClient(engine), name, engine=engine)

    async def send(self, request: WireRequest) -> HttpxResponse:
        """See `Transport`."""
        if self._engine is None and getattr(self._client, "is_closed", False):
            raise ConfigurationError("the http_client has been closed; keep it open for as long as its client is used")
        failure: Exception
        course = Course(request)
        try:
            if self._engine is not None:
                outgoing = self._build(request)
            else:
                outgoing = self._build_for_caller(request, course)
                await _begin(request)
            response = await self._client.send(outgoing, stream=True, follow_redirects=False, auth=None)
        except Exception as error:
            course.correct()
            failure = build_failure(error, request)
        except BaseException as error:
            course.correct()
            await request.close_body()
            raise without_frames(error)  # noqa: B904  (it is the same one)
        else:
            request.progress.answered()
            return HttpxResponse(response, request)
        await request.close_body()
        raise failure

    def _build(self, request: WireRequest) -> httpx.Request:
        outgoing = httpx.Request(
            request.method, request.url, headers=request.headers, extensions={REQUEST_MARK: request}
        )
        if "?" in request.url:
            outgoing.url = _UnloggedURL(outgoing.url)
        return outgoing

    def _build_for_caller(self, request: WireRequest, course: Course) -> Any:
        limits = request.timeout
        timeout = {
            "connect": finite(limits.connect),
            "read": finite(limits.read),
            "write": finite(limits.write),
            "pool": finite(limits.connect),
        }
        return self._client.build_request(
            request.method,
            request.url,
            headers={"accept-encoding": ACCEPTED, **request.headers},
            content=request.body.open() if isinstance(request.body, BodyStream) else request.body,
            extensions={"timeout": timeout, "trace": course.note},
        )

    async def warm(self, url: str, seconds: float) -> None:
        """See `Transport`."""
        if self._engine is not None:
            await self._engine.warm(url, seconds)

    async def aclose(self) -> None:
        """Close the connections of a client of ours."""
        if self._engine is not None:
            await self._client.aclose()
            await self._engine.aclose()

    def stats(self) -> TransportStats:
        """See `Transport`."""
        return self._engine.stats() if self._engine is not None else TransportStats(0, 0)

    def filenos(self) -> list[int]:
        """See `Transport`. The connections of a caller's client are the caller's, across a fork too."""
        return self._engine.filenos() if self._engine is not None else []

    def abort(self, loop: asyncio.AbstractEventLoop) -> None:
        """See `Transport`. A caller's client stays open."""
        if self._engine is not None:
            self._engine.abort(loop)


async def _begin(request: WireRequest) -> None:
    # Before it has a connection: whether a client tells of that depends on what somebody has put below it.
    waiting = request.begin()
    if waiting is not None:
        await waiting
    request.sent_at_once()
