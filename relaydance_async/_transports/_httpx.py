"""Sends attempts through an `httpx.AsyncClient`: one of ours, over the pool in `_pool`, or the caller's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import anyio
import httpcore
import httpx

from .._sansio.breakage import (
    BreakKind,
    Broke,
    Phase,
    Reached,
    build_connection_error,
    describe_timeout,
    is_passing_refusal,
)
from .._sansio.request import BodyStream
from .._sansio.target import Network
from .._sansio.timeout import finite
from ..errors import ConfigurationError, ResponseTooLargeError
from ._base import TransportStats, WireRequest
from ._by_name import broke_by_name
from ._coding import ACCEPTED, decoded
from ._failures import Judge, build_failure, distrust_under, plain_words, without_frames
from ._pool import REQUEST_MARK, SlotPool
from ._private_names import tells_when_it_sends
from ._trace import SecondAnswers, Trace, begins_to_send

_NOTHING = httpx.ByteStream(b"")

CLOSE_SECONDS = 2.0
"""How long a cancelled call may take to say goodbye to its connection (TLS close)."""


class HttpxResponse:
    """An answer of httpx's, under our face."""

    def __init__(self, response: httpx.Response, request: WireRequest, judge: Judge) -> None:
        self._response = response
        self._request = request
        self._judge = judge
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
            failure = build_failure(error, self._request, self._judge)
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

    def __init__(self, client: Any, name: str, *, pool: SlotPool | None) -> None:
        self._client = client
        self._pool = pool
        self._owned = pool is not None
        self._judge: Judge = broke_by_httpx if self._owned else broke_by_name
        self.name = name

    @classmethod
    def of_caller(cls, client: Any) -> HttpxTransport:
        """Send with the caller's client, which stays the caller's to close."""
        return cls(client, f"the caller's {type(client).__module__.partition('.')[0]}.AsyncClient", pool=None)

    @classmethod
    def of_slots(cls, *, max_idle: int, network: Network = Network.ANY) -> HttpxTransport:
        """Send with a client of ours, over a pool of single connections to that network."""
        # The pool reads the proxies of the environment itself.
        pool = SlotPool(max_idle=max_idle, network=network)
        client = httpx.AsyncClient(transport=pool, trust_env=False)
        return cls(client, "httpx over a pool of single connections", pool=pool)

    async def send(self, request: WireRequest) -> HttpxResponse:
        """See `Transport`."""
        if not self._owned and getattr(self._client, "is_closed", False):
            raise ConfigurationError("the http_client has been closed; keep it open for as long as its client is used")
        failure: Exception
        try:
            outgoing = self._build(request)
            if not self._owned and "trace" not in outgoing.extensions:
                await _begin(request)  # a transport of somebody's, which won't tell when it sends
            response = await self._client.send(outgoing, stream=True, follow_redirects=False, auth=None)
        except Exception as error:
            failure = build_failure(error, request, self._judge)
        except BaseException as error:
            await request.close_body()
            raise without_frames(error)  # noqa: B904  (it is the same one)
        else:
            request.progress.answered()
            return HttpxResponse(response, request, self._judge)
        await request.close_body()
        raise failure

    def _build(self, request: WireRequest) -> Any:
        content = request.body.open() if isinstance(request.body, BodyStream) else request.body
        limits = request.timeout
        timeout = {
            "connect": finite(limits.connect),
            "read": finite(limits.read),
            "write": finite(limits.write),
            "pool": finite(limits.connect),
        }
        if self._owned:
            extensions = {"timeout": timeout, REQUEST_MARK: request}
            outgoing = httpx.Request(
                request.method, request.url, headers=request.headers, content=content, extensions=extensions
            )
            if "?" in request.url:
                outgoing.url = _UnloggedURL(outgoing.url)
            return outgoing
        headers = {"accept-encoding": ACCEPTED, **request.headers}
        telling = {"trace": _teller(request)} if tells_when_it_sends(self._client) else {}
        return self._client.build_request(
            request.method, request.url, headers=headers, content=content, extensions={"timeout": timeout, **telling}
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


async def _begin(request: WireRequest) -> None:
    waiting = request.begin()
    if waiting is not None:
        await waiting
    request.sent_at_once()


_SECOND_ANSWER = Broke(Reached.SENT, "closed", "what came is the second answer to an earlier request")


def _teller(request: WireRequest) -> Trace:
    second_answers = SecondAnswers()

    async def note(event: str, info: Mapping[str, Any]) -> None:
        if second_answers.found(event):
            raise build_connection_error(_SECOND_ANSWER, peer=request.peer)  # the pool drops the connection
        # Once: a pool may move a request that it couldn't send to another connection.
        if begins_to_send(event, info) and request.progress.reached is Reached.NOT_SENT:
            await _begin(request)

    return note


_TIMEOUTS: tuple[tuple[tuple[type[Exception], ...], Phase], ...] = (
    ((httpcore.ConnectTimeout, httpx.ConnectTimeout), "connect"),
    ((httpcore.PoolTimeout, httpx.PoolTimeout), "pool"),
    ((httpcore.WriteTimeout, httpx.WriteTimeout), "write"),
    ((httpcore.ReadTimeout, httpx.ReadTimeout, TimeoutError), "read"),
)
_NEVER_SENDABLE = (
    httpcore.UnsupportedProtocol,
    httpcore.LocalProtocolError,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
    RuntimeError,
)


def broke_by_httpx(error: Exception, request: WireRequest) -> Broke:
    """What an exception of httpx's or httpcore's means, over our own pool."""
    reached = request.progress.reached
    if isinstance(error, httpcore.ProxyError):
        answer = str(error)
        status = int(answer[:3]) if answer[:3].isdecimal() else 500
        return Broke(Reached.NOT_SENT, "proxy", answer, is_passing_refusal(status))
    for kinds, phase in _TIMEOUTS:
        if isinstance(error, kinds):
            return Broke(reached, "timeout", describe_timeout(phase, request.timeout))
    if reached is Reached.NOT_SENT and (distrust := distrust_under(error)) is not None:
        # A certificate that doesn't verify won't the next time either.
        return Broke(Reached.NOT_SENT, "tls", str(distrust), retryable=False)
    if isinstance(error, _NEVER_SENDABLE):
        return Broke(reached, "setup", str(error), retryable=False)
    kind: BreakKind = "connect" if reached is Reached.NOT_SENT else "closed"
    return Broke(reached, kind, plain_words(error))
