"""Sends attempts through aiohttp, for asyncio: about a third of the CPU that httpx takes for a request.

It is used without httpx's request and response in between, which cost as much as aiohttp itself.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Mapping
from contextlib import aclosing, suppress
from contextvars import ContextVar
from functools import lru_cache, partial
from typing import Any

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from .._sansio.addresses import check_public
from .._sansio.breakage import Broke, Phase, Reached, describe_timeout, is_passing_refusal
from .._sansio.request import BodyStream
from .._sansio.target import Network
from .._sansio.timeout import Timeout, finite
from ..errors import ResponseTooLargeError
from ._base import TransportStats, WireRequest
from .._engine._coding import decoded
from ._descriptors import break_off, fileno_of, has_arrivals, has_ended
from ._failures import build_failure, distrust_under, plain_words, without_frames
from ._private_names import checking_connector, close_now, count_connections, open_transports, send_only_once
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
        chunks = self.chunks(keep=limit)
        async for piece in chunks:
            pieces.append(piece)
            size += len(piece)
            if size > limit:
                await chunks.aclose()
                came = b"".join(pieces)[:limit]
                raise ResponseTooLargeError(f"the answer is larger than {limit} bytes", raw_body=came)
        return b"".join(pieces)

    async def _read_whole(self) -> bytes:
        failure: Exception
        try:
            return await self._response.read()
        except Exception as error:
            failure = self._failure(error)
        raise failure

    def _failure(self, error: Exception) -> Exception:
        return build_failure(error, self._request, self._broke)

    def _broke(self, error: Exception, request: WireRequest) -> Broke:
        if _is_cut_off(error):
            got, length = self._response.content.total_bytes, self._response.content_length
            told = f" ({got} of {length} bytes)" if length is not None else ""
            return Broke(request.progress.reached, "closed", f"the answer was cut off{told}")
        return broke_by_aiohttp(error, request)

    async def chunks(self, keep: int = 0) -> AsyncGenerator[bytes, None]:
        """See `TransportResponse`."""
        failure: Exception | None = None
        content = self._response.content
        coding = self._response.headers.get("content-encoding", "identity")
        try:
            if coding == "identity":
                while piece := await content.readany():
                    yield piece
            else:
                async with aclosing(decoded(self._raw(), coding, keep=keep)) as pieces:
                    async for piece in pieces:
                        yield piece
        except Exception as error:
            failure = self._failure(error)
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


class _Sending:
    """A request on its way, for as long as it is.

    The loop keeps a cancelled timer of aiohttp's, with its context and so with this, for minutes.
    """

    __slots__ = ("request",)

    def __init__(self, request: WireRequest | None) -> None:
        self.request: WireRequest | None = request


_NOTHING = _Sending(None)
_sending: ContextVar[_Sending] = ContextVar("_sending", default=_NOTHING)
"""For `_connected`, which knows when a request begins to leave, but not which."""


def _connected(connection: Any) -> Awaitable[None] | None:
    """A request has its connection, and is written to it next."""
    request = _sending.get().request
    if request is None:
        return None
    waiting = request.begin()
    if waiting is not None:
        return _begun(request, waiting, connection)
    _note_whole(request)
    return None


async def _begun(request: WireRequest, waiting: Awaitable[None], connection: Any) -> None:
    await waiting
    if _is_closed(connection.transport):  # meanwhile
        raise aiohttp.ClientConnectionResetError("closed before the first byte")
    _note_whole(request)


def _note_whole(request: WireRequest) -> None:
    if not (isinstance(request.body, bytes) and len(request.body) > _SMALL_BODY):
        request.sent_at_once()  # unless `_Body` finds that it was not


def _is_usable(connection: asyncio.Transport | None) -> bool:
    """Whether an idle connection can be lent out to the request that asks for one."""
    request = _sending.get().request
    if connection is None or request is None or request.method == "GET":
        return connection is not None  # to send a GET in vain costs nothing
    return not has_arrivals(_fileno(connection))


def _is_closed(connection: asyncio.Transport | None) -> bool:
    if connection is None or connection.is_closing():
        return True
    # Over TLS asyncio is slow to say so.
    return connection.get_extra_info("ssl_object") is not None and has_ended(_fileno(connection))


def _fileno(connection: asyncio.Transport) -> int:
    return fileno_of(connection.get_extra_info("socket"))


class _Body(aiohttp.BytesPayload):
    """A body that goes out in one piece with the head, and finds out whether the connection took it."""

    def __init__(self, body: bytes, request: WireRequest) -> None:
        super().__init__(body)
        self._body = body
        self._progress = request.progress

    async def write_with_length(self, writer: Any, content_length: int | None) -> None:
        """See aiohttp, which has written nothing of the request so far."""
        connection: asyncio.Transport | None = writer.transport
        if connection is None or _is_closed(connection):
            self._progress.refused()
            raise aiohttp.ClientConnectionResetError("closed before the first byte")
        # Without waiting for the kernel to take it, so that nothing else happens in between.
        await writer.write(self._body, drain=False)
        if connection.is_closing():
            # It was open before: the one try to send this has failed, so the kernel has nothing of it.
            self._progress.refused()


class WriteTimeout(TimeoutError):
    """A piece of the body was not taken in time. Named as httpx names it."""


class AiohttpTransport:
    """A session of aiohttp's, made in the loop that first sends with it.

    Args:
        network: which addresses it connects to.
    """

    name = "aiohttp"

    def __init__(self, network: Network = Network.ANY) -> None:
        self._network = network
        self._session: aiohttp.ClientSession | None = None
        self._guarded: aiohttp.ClientSession | None = None
        self._closed = False
        self._timeouts: tuple[Timeout, aiohttp.ClientTimeout] | None = None
        # A client that lives long meets thousands of hosts of clips.
        self._find_proxy = lru_cache(maxsize=_MOST_HOSTS)(partial(proxy_for, can_socks=False))

    async def send(self, request: WireRequest) -> AiohttpResponse:
        """See `Transport`."""
        failure: Exception
        sending = _Sending(request)
        try:
            url = URL(request.url, encoded=True)
            proxy = self._find_proxy(url.scheme, url.host or "", url.port or 0)
            more: dict[str, Any] = {"proxy": proxy}
            session = self._open_session(url, proxied=proxy is not None)
            if url.scheme == "https":
                more["ssl"] = await tls_context()
            _sending.set(sending)
            body = request.body
            if body is None or (isinstance(body, bytes) and len(body) <= _SMALL_BODY):
                whole = _Body(body, request) if body else body
                response = await self._request(session, request, url, request.headers, whole, more)
            else:
                response = await self._upload(session, request, url, body, more)
        except Exception as error:
            failure = build_failure(error, request, broke_by_aiohttp)
        except BaseException as error:
            await request.close_body()
            raise without_frames(error)  # noqa: B904  (it is the same one)
        else:
            request.progress.answered()
            return AiohttpResponse(response, request)
        finally:
            sending.request = None
            _sending.set(_NOTHING)  # not `reset`: a coroutine that is thrown away ends in another context
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
            timeout=self._client_timeout(request.timeout),
            **more,
        )

    def _client_timeout(self, timeout: Timeout) -> aiohttp.ClientTimeout:
        known = self._timeouts
        if known is None or known[0] is not timeout:  # a client's calls share one, which saves the hash
            known = self._timeouts = (timeout, _as_client_timeout(timeout))
        return known[1]

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
            async for piece in _pieces(body, request):
                if not answered:
                    watch.reschedule(loop.time() + limit)
                yield piece
                if not answered:
                    watch.reschedule(None)  # it waits for the body, which has a limit of its own
            if not answered:
                watch.reschedule(None)

        try:
            async with watch:
                return await self._request(session, request, url, headers, pieces(), more)
        except TimeoutError as error:
            raise WriteTimeout if watch.expired() else error from None
        finally:
            answered = True

    def _open_session(self, url: URL, *, proxied: bool) -> aiohttp.ClientSession:
        if self._network is Network.PUBLIC and not proxied:
            if _is_address(url.host):  # of these aiohttp asks no resolver
                check_public(url.host or "", url.host or "")
            # With connections of its own: a proxy's address needn't be public.
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

    def stats(self) -> TransportStats:
        """See `Transport`."""
        sessions = [session for session in (self._session, self._guarded) if session is not None]
        counts = [count_connections(session) for session in sessions]
        return TransportStats(sum(opened for opened, _ in counts), sum(idle for _, idle in counts))

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
            close_now(session)

    def _take_sessions(self) -> list[aiohttp.ClientSession]:
        self._closed = True
        taken = [session for session in (self._session, self._guarded) if session is not None]
        self._session = self._guarded = None
        return taken

    def _connections(self) -> list[asyncio.Transport]:
        sessions = [session for session in (self._session, self._guarded) if session is not None]
        return [transport for session in sessions for transport in open_transports(session)]


class _PublicResolver(aiohttp.ThreadedResolver):
    """Gives the connector no address but public ones, so that it connects to no other."""

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> Any:
        found = await super().resolve(host, port, family)
        for item in found:
            check_public(host, item["host"])
        return found


def _is_address(host: str | None) -> bool:
    try:
        ipaddress.ip_address((host or "").partition("%")[0])
    except ValueError:
        return False
    return True


def _new_session(resolver: aiohttp.ThreadedResolver | None) -> aiohttp.ClientSession:
    # The permits are the limit.
    connector = checking_connector()(
        _is_usable, _connected, limit=0, keepalive_timeout=KEEPALIVE_SECONDS, resolver=resolver
    )
    session = aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=_NO_AUTO_HEADERS,
        auto_decompress=False,  # older versions put no bound on it
        # With trust_env it would also take a netrc's password for the API.
        trust_env=False,
    )
    send_only_once(session)
    return session


async def _pieces(body: bytes | BodyStream, request: WireRequest) -> AsyncIterator[bytes]:
    if isinstance(body, BodyStream):
        async for piece in body.open():
            yield piece
        return
    for start in range(0, len(body), _SMALL_BODY):
        if start + _SMALL_BODY >= len(body):
            request.progress.sent()
        yield body[start : start + _SMALL_BODY]


def broke_by_aiohttp(error: Exception, request: WireRequest) -> Broke:
    """What an exception of aiohttp's means."""
    is_unconnected = isinstance(error, aiohttp.ClientConnectorError)
    reached = Reached.NOT_SENT if is_unconnected else request.progress.reached
    match error:
        case aiohttp.ClientHttpProxyError():
            # Its own text has the proxy's URL, password and all.
            text = f"{error.status} {error.message}"
            return Broke(Reached.NOT_SENT, "proxy", text, is_passing_refusal(error.status))
        case aiohttp.ConnectionTimeoutError():
            return Broke(Reached.NOT_SENT, "timeout", describe_timeout("connect", request.timeout))
        case TimeoutError():
            phase: Phase = "write" if isinstance(error, WriteTimeout) else "read"
            return Broke(reached, "timeout", describe_timeout(phase, request.timeout))
        case aiohttp.InvalidURL():
            return Broke(Reached.NOT_SENT, "setup", "the URL can't be used", retryable=False)
        case RuntimeError():
            return Broke(reached, "setup", str(error), retryable=False)
        case _:
            pass
    if reached is Reached.NOT_SENT and (distrust := distrust_under(error)) is not None:
        # A certificate that doesn't verify won't the next time either.
        return Broke(Reached.NOT_SENT, "tls", str(distrust), retryable=False)
    if is_unconnected:
        return Broke(reached, "connect", plain_words(error))
    return Broke(reached, "closed", _why_it_broke(error))


def _why_it_broke(error: Exception) -> str:
    cause = _innermost(error)
    match cause:
        case aiohttp.ClientConnectionResetError():
            return "it was closed before the request had been sent"
        case aiohttp.ServerDisconnectedError():
            return "the server closed it without an answer"  # its own text may be a part of that, in Python's form
        case HttpProcessingError():
            return cause.message
        case _:
            return plain_words(cause)


def _is_cut_off(error: Exception) -> bool:
    cause = _innermost(error)
    return isinstance(cause, HttpProcessingError) and "Not enough data" in cause.message


def _innermost(error: Exception) -> Exception:
    while isinstance(error.__cause__, Exception):
        error = error.__cause__
    return error


@lru_cache(maxsize=64)
def _as_client_timeout(timeout: Timeout) -> aiohttp.ClientTimeout:
    # It rounds what is longer than 5 s up to whole seconds, which infinity doesn't have.
    return aiohttp.ClientTimeout(total=None, sock_connect=finite(timeout.connect), sock_read=finite(timeout.read))
