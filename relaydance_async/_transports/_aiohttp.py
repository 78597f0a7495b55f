"""Sends attempts through aiohttp, for asyncio: about a third of the CPU that httpx takes for a request.

It is used without httpx's request and response in between, which cost as much as aiohttp itself.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Mapping
from contextlib import aclosing, suppress
from contextvars import ContextVar
from functools import lru_cache, partial
from typing import Any

import aiohttp
from yarl import URL

from .._sansio.addresses import check_public
from .._sansio.request import BodyStream
from .._sansio.timeout import Timeout
from ..errors import RelayDanceError, ResponseTooLargeError
from ._base import WireRequest
from ._coding import decoded
from ._descriptors import break_off, fileno_of
from ._failures import build_failure, without_frames
from ._proxy import proxy_for
from ._tls import tls_context

KEEPALIVE_SECONDS = 5.0
_NO_AUTO_HEADERS = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
_SMALL_BODY = 64 * 1024
"""Bytes that the kernel takes in one go, so that no write timeout is needed."""
_MOST_HOSTS = 256
"""For how many hosts it is remembered which proxy leads there."""


class AiohttpResponse:
    """An answer of aiohttp's, under our face."""

    __slots__ = ("_request", "_response", "status_code")

    def __init__(self, response: aiohttp.ClientResponse, request: WireRequest) -> None:
        self._response = response
        self._request = request
        self.status_code = response.status

    @property
    def headers(self) -> Mapping[str, str]:
        """Case-insensitive."""
        return self._response.headers

    async def read(self, limit: int) -> bytes:
        """See `TransportResponse`."""
        length = self._response.content_length
        if length is not None and length <= limit and "content-encoding" not in self._response.headers:
            return await self._read_whole()
        pieces: list[bytes] = []
        size = 0
        chunks = self.chunks()
        async for piece in chunks:
            pieces.append(piece)
            size += len(piece)
            if size > limit:
                await chunks.aclose()
                raise ResponseTooLargeError(f"the answer is larger than {limit} bytes", body=pieces[0][:1024])
        return b"".join(pieces)

    async def _read_whole(self) -> bytes:
        failure: RelayDanceError
        try:
            return await self._response.read()
        except Exception as error:
            failure = build_failure(error, self._request)
        raise failure

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """See `TransportResponse`."""
        failure: RelayDanceError | None = None
        content = self._response.content
        coding = self._response.headers.get("content-encoding", "identity")
        try:
            if coding == "identity":
                while piece := await content.readany():
                    yield piece
            else:
                async with aclosing(decoded(self._raw(), coding)) as pieces:
                    async for piece in pieces:
                        yield piece
        except Exception as error:
            failure = build_failure(error, self._request)
        finally:
            self._response.close()
        if failure is not None:
            raise failure

    async def _raw(self) -> AsyncGenerator[bytes, None]:
        while piece := await self._response.content.readany():
            yield piece

    async def aclose(self) -> None:
        """See `TransportResponse`. A connection whose answer was read to its end is back in the pool already."""
        self._response.close()
        await self._request.close_body()


_sending: ContextVar[WireRequest | None] = ContextVar("_sending", default=None)
"""For `_Connector`, which knows when a request begins to leave, but not which."""


class _Connector(aiohttp.TCPConnector):
    async def connect(self, req: Any, traces: Any, timeout: Any) -> Any:  # noqa: ASYNC109  (aiohttp's signature)
        connection = await super().connect(req, traces, timeout)
        if (request := _sending.get()) is not None:
            request.sent = True
        return connection

    async def _get(self, key: Any, traces: Any) -> Any:
        # aiohttp looks for bytes after an answer only when it puts a connection back. What comes while it is idle (a
        # 408 of a server that has waited long enough) would be taken for the next answer.
        while (connection := await super()._get(key, traces)) is not None:
            protocol = connection.protocol
            if protocol is not None and not protocol.should_close:
                break
            connection.close()
        return connection


class WriteTimeout(TimeoutError):
    """A piece of the body was not taken in time. Named as httpx names it."""


class AiohttpTransport:
    """A session of aiohttp's, made in the loop that first sends with it."""

    name = "aiohttp"

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._guarded: aiohttp.ClientSession | None = None
        self._closed = False
        # A client that lives long meets thousands of hosts of clips.
        self._find_proxy = lru_cache(maxsize=_MOST_HOSTS)(partial(proxy_for, can_socks=False))

    async def send(self, request: WireRequest) -> AiohttpResponse:
        """See `Transport`."""
        failure: RelayDanceError
        try:
            url = URL(request.url, encoded=True)
            proxy = self._find_proxy(url.scheme, url.host or "", url.port or 0)
            more: dict[str, Any] = {"proxy": proxy}
            session = self._open_session(public_only=request.public_only and proxy is None)
            if url.scheme == "https":
                more["ssl"] = await tls_context()
            _sending.set(request)
            if request.body is None or (isinstance(request.body, bytes) and len(request.body) <= _SMALL_BODY):
                response = await self._request(session, request, url, request.headers, request.body, more)
            else:
                response = await self._upload(session, request, url, request.body, more)
        except Exception as error:
            failure = build_failure(error, request)
        except BaseException as error:
            await request.close_body()
            raise without_frames(error)  # noqa: B904  (it is the same one)
        else:
            return AiohttpResponse(response, request)
        finally:
            _sending.set(None)  # not `reset`: a coroutine that is thrown away ends in another context
        await request.close_body()
        raise failure

    def _request(
        self,
        session: aiohttp.ClientSession,
        request: WireRequest,
        url: URL,
        headers: Mapping[str, str],
        body: Any,
        more: Mapping[str, Any],
    ) -> Awaitable[aiohttp.ClientResponse]:
        return session.request(
            request.method,
            url,
            headers=headers,
            data=body,
            allow_redirects=False,
            timeout=_as_client_timeout(request.timeout),
            **more,
        )

    async def _upload(
        self,
        session: aiohttp.ClientSession,
        request: WireRequest,
        url: URL,
        body: bytes | BodyStream,
        more: Mapping[str, Any],
    ) -> aiohttp.ClientResponse:
        loop = asyncio.get_running_loop()
        limit = request.timeout.write
        headers = request.headers
        if isinstance(body, bytes):
            headers = {**headers, "content-length": str(len(body))}  # of pieces aiohttp can't know it
        answered = False
        watch = asyncio.timeout(limit)

        async def pieces() -> AsyncIterator[bytes]:
            # aiohttp has no write timeout: each piece that it comes back for moves ours on. It may still come when the
            # head of an answer is there already.
            async for piece in _pieces(body):
                if not answered:
                    watch.reschedule(loop.time() + limit)
                yield piece
            if not answered:
                watch.reschedule(None)

        try:
            async with watch:
                return await self._request(session, request, url, headers, pieces(), more)
        except TimeoutError as error:
            raise WriteTimeout if watch.expired() else error from None
        finally:
            answered = True

    def _open_session(self, *, public_only: bool) -> aiohttp.ClientSession:
        if public_only:
            # With connections of its own: those of the other were not checked.
            if self._guarded is None:
                self._guarded = self._new_session(_PublicResolver())
            return self._guarded
        if self._session is None:
            self._session = self._new_session(None)
        return self._session

    def _new_session(self, resolver: aiohttp.ThreadedResolver | None) -> aiohttp.ClientSession:
        if self._closed:  # for a call that queued meanwhile; nobody would close a session of its own
            raise RuntimeError("the client has been closed")
        return _new_session(resolver)

    async def aclose(self) -> None:
        """Close all connections."""
        for session in self._take_sessions():
            await session.close()

    def filenos(self) -> list[int]:
        """See `Transport`."""
        found = [fileno_of(transport.get_extra_info("socket")) for transport in self._connections()]
        return [fileno for fileno in found if fileno >= 0]

    def abort(self, loop: asyncio.AbstractEventLoop) -> None:
        """See `Transport`."""
        filenos = self.filenos()
        for connection in self._connections():
            with suppress(RuntimeError):  # the loop is closed; a TLS transport knows by then that it is, too
                connection.abort()
        break_off(loop, filenos)
        for session in self._take_sessions():
            connector: Any = session.connector
            session.detach()
            # What its `close()` begins with, without the task that `close()` goes on in. Some releases renamed it.
            close = getattr(connector, "_close", None) or connector._close_immediately
            close()

    def _take_sessions(self) -> list[aiohttp.ClientSession]:
        self._closed = True
        taken = [session for session in (self._session, self._guarded) if session is not None]
        self._session = self._guarded = None
        return taken

    def _connections(self) -> list[asyncio.Transport]:
        connectors: list[Any] = [session.connector for session in (self._session, self._guarded) if session is not None]
        protocols: list[Any] = []
        for connector in connectors:
            if connector is not None:
                protocols += connector._acquired
                protocols += [protocol for idle in connector._conns.values() for protocol, _ in idle]
        transports = [getattr(protocol, "transport", None) for protocol in protocols]
        return [transport for transport in transports if transport is not None]


class _PublicResolver(aiohttp.ThreadedResolver):
    """Gives the connector no address but public ones, so that it connects to no other."""

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> Any:
        found = await super().resolve(host, port, family)
        for item in found:
            check_public(host, item["host"])
        return found


def _new_session(resolver: aiohttp.ThreadedResolver | None) -> aiohttp.ClientSession:
    session = aiohttp.ClientSession(
        # The permits are the limit.
        connector=_Connector(limit=0, keepalive_timeout=KEEPALIVE_SECONDS, resolver=resolver),
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=_NO_AUTO_HEADERS,
        auto_decompress=False,  # older versions put no bound on it
        # With trust_env it would also take a netrc's password for the API.
        trust_env=False,
    )
    # It would send a GET a second time by itself, unseen by the list of attempts and the back-off. There is no public
    # switch; aiohttp's own test client turns it off like this.
    session._retry_connection = False  # pyright: ignore[reportPrivateUsage]
    return session


async def _pieces(body: bytes | BodyStream) -> AsyncIterator[bytes]:
    if isinstance(body, BodyStream):
        async for piece in body.open():
            yield piece
        return
    for start in range(0, len(body), _SMALL_BODY):
        yield body[start : start + _SMALL_BODY]


@lru_cache(maxsize=64)
def _as_client_timeout(timeout: Timeout) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, sock_connect=timeout.connect, sock_read=timeout.read)
