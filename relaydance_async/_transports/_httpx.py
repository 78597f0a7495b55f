"""Sends attempts through an `httpx.AsyncClient`: one of ours, over the pool in `_pool`, or the caller's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Any

import anyio
import httpx

from .._sansio.request import BodyStream
from ..errors import ConfigurationError, RelayDanceError, ResponseTooLargeError
from ._base import TransportStats, WireRequest
from ._coding import ACCEPTED, decoded
from ._failures import build_failure, without_frames
from ._pool import SENT_MARK, SlotPool

_NOTHING = httpx.ByteStream(b"")

CLOSE_SECONDS = 2.0
"""How long a cancelled call may take to say goodbye to its connection (TLS close)."""


class HttpxResponse:
    """An answer of httpx's, under our face."""

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
        chunks = self.chunks()
        async for piece in chunks:
            pieces.append(piece)
            size += len(piece)
            if size > limit:
                await chunks.aclose()
                raise ResponseTooLargeError(f"the answer is larger than {limit} bytes", body=pieces[0][:1024])
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        failure: RelayDanceError | None = None
        try:
            pieces = self._pieces()
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

    def _pieces(self) -> AsyncGenerator[bytes, None]:
        response: Any = self._response  # httpx calls its generators iterators, which can't be closed
        if response.is_stream_consumed:
            read: AsyncGenerator[bytes, None] = response.aiter_bytes()  # by a hook of the caller's client
            return read
        raw: AsyncGenerator[bytes, None] = response.aiter_raw()
        if "content-encoding" not in response.headers:  # the quick question: httpx looks a value up in a slow way
            return raw
        coding: str = response.headers["content-encoding"]
        return raw if coding == "identity" else decoded(raw, coding)

    async def aclose(self) -> None:
        if not self._response.is_closed:
            with anyio.CancelScope(shield=True), anyio.move_on_after(CLOSE_SECONDS):
                await self._response.aclose()
        if isinstance(self._response, httpx.Response):  # pyright: ignore[reportUnnecessaryIsInstance]  (or httpx2's)
            # httpx ties the stream back to its response; such a cycle would be left to the garbage collector.
            self._response.stream = _NOTHING
        await self._request.close_body()


class HttpxTransport:
    """An `httpx.AsyncClient`, or one of httpx2's: its pool, proxies, hooks and TLS options hold."""

    def __init__(self, client: Any, name: str, *, pool: SlotPool | None) -> None:
        self._client = client
        self._pool = pool
        self._owned = pool is not None
        self.name = name

    @classmethod
    def of_caller(cls, client: Any) -> HttpxTransport:
        """Send with the caller's client, which stays the caller's to close."""
        return cls(client, f"the caller's {type(client).__module__.partition('.')[0]}.AsyncClient", pool=None)

    @classmethod
    def of_slots(cls, *, max_idle: int) -> HttpxTransport:
        """Send with a client of ours, over a pool of single connections."""
        # The pool reads the proxies of the environment itself.
        pool = SlotPool(max_idle=max_idle)
        client = httpx.AsyncClient(transport=pool, trust_env=False)
        return cls(client, "httpx over a pool of single connections", pool=pool)

    async def send(self, request: WireRequest) -> HttpxResponse:
        """See `Transport`."""
        if not self._owned and getattr(self._client, "is_closed", False):
            raise ConfigurationError("the http_client has been closed; keep it open for as long as its client is used")
        failure: RelayDanceError
        try:
            outgoing = self._build(request)
            response = await self._client.send(outgoing, stream=True, follow_redirects=False, auth=None)
        except Exception as error:
            failure = build_failure(error, request)
        except BaseException as error:
            await request.close_body()
            raise without_frames(error)  # noqa: B904  (it is the same one)
        else:
            return HttpxResponse(response, request)
        await request.close_body()
        raise failure

    def _build(self, request: WireRequest) -> Any:
        content = request.body.open() if isinstance(request.body, BodyStream) else request.body
        limits = request.timeout
        timeout = {
            "connect": limits.connect,
            "read": limits.read,
            "write": limits.write,
            "pool": limits.connect,
        }
        if self._owned:
            extensions = {"timeout": timeout, SENT_MARK: request}
            return httpx.Request(
                request.method, request.url, headers=request.headers, content=content, extensions=extensions
            )
        # Somebody else's transport needn't tell when it sends; httpx's own does.
        request.sent = True
        headers = {"accept-encoding": ACCEPTED, **request.headers}
        return self._client.build_request(
            request.method,
            request.url,
            headers=headers,
            content=content,
            extensions={"timeout": timeout, "trace": _progress_of(request)},
        )

    async def aclose(self) -> None:
        """Close the connections of a client of ours."""
        if self._owned:
            await self._client.aclose()

    def stats(self) -> TransportStats:
        """See `Transport`."""
        return self._pool.stats() if self._pool is not None else TransportStats(0, 0)

    def filenos(self) -> list[int]:
        """See `Transport`. The connections of a caller's client are the caller's, across a fork too."""
        return self._pool.filenos() if self._pool is not None else []

    def abort(self, loop: asyncio.AbstractEventLoop) -> None:
        """See `Transport`. A caller's client stays open."""
        if self._pool is not None:
            self._pool.abort(loop)


def _progress_of(request: WireRequest) -> Callable[[str, Any], Awaitable[None]]:
    """For httpx's `trace` extension: between these two events nothing of the request has left."""

    async def note(event: str, _: Any) -> None:
        if event == "connection.connect_tcp.started":
            request.sent = False
        elif event.endswith(".send_request_headers.started"):
            request.sent = True

    return note
