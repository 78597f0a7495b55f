"""A pool of single connections, each used by one request at a time.

Why not httpx's own pool: cancelled tasks that contend for it can take its connections out of service for good
(encode/httpcore issue 1093), and it rescans every connection and every waiting request for each request. Here the
permits bound the number of requests, so nobody ever waits in the pool: a request takes an idle connection or opens one.
A connection whose request did not end in a fully read answer is closed.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import suppress
from typing import Any, Protocol, cast

import anyio
import httpcore
import httpx

from .._sansio.addresses import check_public
from .._sansio.target import Network
from ._base import TransportStats, WireRequest
from ._descriptors import break_off, fileno_of, has_arrivals, has_ended
from ._private_names import has_leftovers
from ._proxy import proxy_for
from ._sockets import AsyncioBackend, AsyncioStream
from ._tls import tls_context
from ._trace import Trace, begins_to_send

KEEPALIVE_SECONDS = 5.0
"""How long an idle connection is kept (httpx's default): less than servers keep it, so that they rarely close first."""

CLOSE_SECONDS = 2.0

REQUEST_MARK = "relaydance.request"
"""The extension under which the pool finds the `WireRequest`, to tell how far it has got."""

Key = tuple[bytes, bytes, int]
"""An origin."""


class _Connection(Protocol):
    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response: ...
    async def aclose(self) -> None: ...


class _Backend(httpcore.AsyncNetworkBackend):
    """Remembers the connection that it made."""

    def __init__(self, kind: httpcore.AsyncNetworkBackend, *, public_only: bool) -> None:
        self.kind = kind
        self._public_only = public_only
        self._stream: httpcore.AsyncNetworkStream | None = None
        self._expected: WireRequest | None = None

    def expect(self, request: WireRequest) -> None:
        """The next thing that is written, on the connection that is there or is made next, is this request."""
        if isinstance(self._stream, AsyncioStream):
            self._stream.expect(request)
        else:
            self._expected = request

    @property
    def tells(self) -> bool:
        """Whether its connections tell a request what becomes of its writes."""
        return isinstance(self.kind, AsyncioBackend)

    def attach(self, request: WireRequest) -> None:
        """The connection that is there begins to write this request."""
        if isinstance(self._stream, AsyncioStream):
            self._stream.attach(request)

    def forget(self) -> None:
        """The request is over: an idle connection must not keep its body."""
        self._expected = None
        if isinstance(self._stream, AsyncioStream):
            self._stream.forget()

    @property
    def fileno(self) -> int:
        """Of its socket; -1 without one."""
        return fileno_of(self._stream.get_extra_info("socket")) if self._stream is not None else -1

    def abort(self) -> None:
        """Break its connection off, on a loop of asyncio's kind."""
        if isinstance(self._stream, AsyncioStream):
            self._stream.abort()

    async def aclose(self) -> None:
        """Close the socket. httpcore leaves it open when its TLS handshake is cancelled under trio."""
        if self._stream is not None:
            await self._stream.aclose()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  (httpcore's signature)
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        self._stream = await self.kind.connect_tcp(host, port, timeout, local_address, socket_options)
        if self._public_only:
            address = self._stream.get_extra_info("server_addr")
            if address is None:
                raise httpcore.ConnectError("it was closed at once")
            check_public(host, address[0])
        expected, self._expected = self._expected, None
        if isinstance(self._stream, AsyncioStream) and expected is not None:
            self._stream.expect(expected)
        return self._stream

    async def sleep(self, seconds: float) -> None:
        await self.kind.sleep(seconds)


class _Slot:
    """One connection, directly to the origin or through a proxy."""

    def __init__(self, key: Key, connection: _Connection, backend: _Backend) -> None:
        self.key = key
        self.connection = connection
        self.backend = backend

    def announce(self, request: WireRequest) -> dict[str, Any]:
        """Have the request told when it is written: what its extensions need for that."""
        is_direct = not isinstance(self.connection, httpcore.AsyncConnectionPool)
        if is_direct and self.backend.tells:
            self.backend.expect(request)  # cheaper
            return {}
        # What a proxy is told first goes through the same socket; only httpcore knows what is what.
        return {"trace": _teller(request, self.backend)}

    def is_idle(self) -> bool:
        """Whether it can take another request, as far as we know without asking the socket."""
        if has_leftovers(self.connection):
            return False
        if isinstance(self.connection, httpcore.AsyncConnectionPool):
            return True
        return cast(httpcore.AsyncHTTPConnection, self.connection).is_idle()

    def is_usable(self) -> bool:
        """Whether it is open, idle, and the other side has not closed it meanwhile."""
        if isinstance(self.connection, httpcore.AsyncConnectionPool):
            return self.is_idle()  # it looks for the rest itself
        return self.is_idle() and not cast(httpcore.AsyncHTTPConnection, self.connection).has_expired()

    async def close(self) -> None:
        """Close it whatever state it is in; a cancelled caller doesn't stop that."""
        with anyio.CancelScope(shield=True), anyio.move_on_after(CLOSE_SECONDS), suppress(Exception):
            await self.connection.aclose()
            await self.backend.aclose()


class SlotPool(httpx.AsyncBaseTransport):
    """An httpx transport of single connections. It belongs to one event loop.

    Args:
        max_idle: how many idle connections are kept.
        network: which addresses it connects to.
    """

    def __init__(self, *, max_idle: int = 100, network: Network = Network.ANY) -> None:
        self._network = network
        self._max_idle = max_idle
        self._idle: dict[Key, deque[_Slot]] = {}
        self._open: set[_Slot] = set()
        self._backend: httpcore.AsyncNetworkBackend | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; the answer's stream gives the connection back."""
        url = request.url
        key = (url.raw_scheme, url.raw_host, url.port or (443 if url.scheme == "https" else 80))
        slot = await self._take(key, carefully=request.method != "GET")
        try:
            response = await slot.connection.handle_async_request(self._outgoing(request, key, slot))
        except BaseException:
            await self._drop(slot)
            raise
        return httpx.Response(
            response.status,
            headers=response.headers,
            stream=_SlotStream(self, slot, response),
            request=request,
        )

    def _outgoing(self, request: httpx.Request, key: Key, slot: _Slot) -> httpcore.Request:
        extensions = {"timeout": request.extensions.get("timeout", {})}
        ours = request.extensions.get(REQUEST_MARK)
        if isinstance(ours, WireRequest):
            extensions.update(slot.announce(ours))
        return httpcore.Request(
            method=request.method.encode("ascii"),
            url=httpcore.URL(scheme=key[0], host=key[1], port=request.url.port, target=request.url.raw_path),
            headers=request.headers.raw,
            content=cast(Any, request.stream),
            extensions=extensions,
        )

    async def _take(self, key: Key, *, carefully: bool) -> _Slot:
        while (slot := self._pop_idle(key)) is not None:
            if slot.is_usable() and not (carefully and has_arrivals(slot.backend.fileno)):
                return slot
            await self._drop(slot)
        slot = await self._connect(key)
        self._open.add(slot)
        return slot

    def _pop_idle(self, key: Key) -> _Slot | None:
        idle = self._idle.get(key)
        if not idle:
            return None
        slot = idle.pop()  # the one used last: the others may expire
        if not idle:
            del self._idle[key]  # of thousands of hosts, most are never asked again
        return slot

    async def _connect(self, key: Key) -> _Slot:
        scheme, host, port = key[0].decode(), key[1].decode(), key[2]
        proxy = proxy_for(scheme, host.strip("[]"), port, can_socks=True)
        context = await tls_context() if scheme == "https" or (proxy or "").startswith("https") else None
        if self._backend is None:
            self._backend = _network_backend()
        backend = _Backend(self._backend, public_only=self._network is Network.PUBLIC and proxy is None)
        if proxy is not None:
            return _Slot(key, _proxied(proxy, context, backend), backend)
        direct = httpcore.AsyncHTTPConnection(
            httpcore.Origin(*key), ssl_context=context, keepalive_expiry=KEEPALIVE_SECONDS, network_backend=backend
        )
        return _Slot(key, direct, backend)

    async def give_back(self, slot: _Slot, *, whole: bool) -> None:
        """Take a connection back whose answer was read: wholly, so that it can be used again, or not."""
        if not (whole and slot in self._open and slot.is_idle()):
            await self._drop(slot)
            return
        # To the end, so that the origin that comes first is the one that was done without for longest.
        self._idle[slot.key] = self._idle.pop(slot.key, deque())
        self._idle[slot.key].append(slot)
        if sum(map(len, self._idle.values())) > self._max_idle:
            # Of an old one nobody may ever ask for again: kept, such ones would leave no place for those in use.
            await self._drop(self._longest_idle())

    def _longest_idle(self) -> _Slot:
        key, idle = next(iter(self._idle.items()))
        slot = idle.popleft()
        if not idle:
            del self._idle[key]
        return slot

    async def _drop(self, slot: _Slot) -> None:
        self._open.discard(slot)
        await slot.close()

    def stats(self) -> TransportStats:
        """How many connections there are."""
        return TransportStats(len(self._open), sum(map(len, self._idle.values())))

    def filenos(self) -> list[int]:
        """The descriptors of the open connections."""
        return [slot.backend.fileno for slot in self._open if slot.backend.fileno >= 0]

    def abort(self, loop: asyncio.AbstractEventLoop) -> None:
        """Break all connections off without awaiting."""
        filenos = self.filenos()
        for slot in self._open:
            slot.backend.abort()
        break_off(loop, filenos)
        self._idle.clear()
        self._open.clear()

    async def aclose(self) -> None:
        """Close all connections, those in use too, however often the caller is cancelled meanwhile."""
        self._idle.clear()
        slots, self._open = self._open, set()
        if not slots:
            return  # without awaiting anything: after `abort` there may be no loop
        # In tasks of their own: `Task.cancel` breaks through a shielded scope, but not out of a task group.
        async with anyio.create_task_group() as group:
            for slot in slots:
                group.start_soon(slot.close)


class _SlotStream(httpx.AsyncByteStream):
    """An answer's body; closing it gives the connection back."""

    def __init__(self, pool: SlotPool, slot: _Slot, response: httpcore.Response) -> None:
        self._pool = pool
        self._slot: _Slot | None = slot
        self._response = response
        self._whole = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in cast(AsyncIterator[bytes], self._response.stream):
            yield piece
        self._whole = True

    async def aclose(self) -> None:
        slot, self._slot = self._slot, None
        if slot is None:
            return
        slot.backend.forget()
        try:
            if self._whole:
                await self._response.aclose()
        finally:
            await self._pool.give_back(slot, whole=self._whole)


_WRITES_FAILED = (".send_request_headers.failed", ".send_request_body.failed")
_STILL_HERE = (httpcore.WriteError, httpcore.WriteTimeout)


def _teller(request: WireRequest, backend: _Backend) -> Trace:
    """For httpcore's `trace` extension: tells the request what becomes of its writes."""

    async def note(event: str, info: Mapping[str, Any]) -> None:
        if begins_to_send(event, info):
            waiting = request.begin()
            if waiting is not None:
                await waiting
            request.sent_at_once()
            backend.attach(request)
            if request.method != "GET" and has_ended(backend.fileno):
                request.refused()
                # No WriteError: httpcore would go on to read an answer to what it has not even begun, without end.
                raise httpcore.ReadError("it was closed before the request had been sent")
        elif event.endswith(_WRITES_FAILED) and isinstance(info["exception"], _STILL_HERE) and not backend.tells:
            # trio's sockets fail so only while something of what they were given is still here.
            request.refused()

    return note


def _network_backend() -> httpcore.AsyncNetworkBackend:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return cast(httpcore.AsyncNetworkBackend, httpcore.TrioBackend())
    return AsyncioBackend()


def _proxied(proxy: str, context: ssl.SSLContext | None, backend: _Backend) -> httpcore.AsyncConnectionPool:
    parsed = httpx.Proxy(proxy)  # splits user and password off
    kind = httpcore.AsyncSOCKSProxy if parsed.url.scheme.startswith("socks") else httpcore.AsyncHTTPProxy
    return kind(
        str(parsed.url),
        proxy_auth=parsed.raw_auth,
        ssl_context=context,
        max_connections=1,
        keepalive_expiry=KEEPALIVE_SECONDS,
        network_backend=backend,
    )
