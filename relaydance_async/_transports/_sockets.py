"""The sockets below httpcore, straight on asyncio: about half the CPU per request of the backend that httpcore brings.

That one goes through anyio, which enters a cancel scope and two more awaits for each read and write.
"""

from __future__ import annotations

import asyncio
import contextvars
import ssl
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, NoReturn, cast

import httpcore

from ._base import WireRequest
from ._descriptors import fileno_of, has_ended
from ._dial import dial

TLS_SHUTDOWN_SECONDS = 2.0

_BUFFERED = 1024 * 1024
"""Bytes that may arrive before somebody reads them; then the other side has to wait."""


_SMALL_BODY = 64 * 1024
"""Bytes that are joined to the head before they are written."""


class AsyncioBackend(httpcore.AsyncNetworkBackend):
    """Opens connections in the running asyncio loop."""

    def __init__(self) -> None:
        # For the timers, each of which would hold a copy of the context of its call. Of one loop only: a context can't
        # be entered by two threads at once.
        self._context = contextvars.Context()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  (httpcore's signature)
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """See httpcore. Cancelling it leaves no socket."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout):
                transport, protocol = await dial(lambda: _Protocol(loop, self._context), host, port, local_address)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(str(error)) from error
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        for option in socket_options or ():
            transport.get_extra_info("socket").setsockopt(*option)
        return AsyncioStream(protocol)

    async def sleep(self, seconds: float) -> None:
        """See httpcore."""
        await asyncio.sleep(seconds)


class AsyncioStream(httpcore.AsyncNetworkStream):
    """One connection. It has one reader and one writer at a time: httpcore sees to that."""

    def __init__(self, protocol: _Protocol) -> None:
        self._protocol = protocol
        self._next: WireRequest | None = None
        self._request: WireRequest | None = None
        self._head = b""
        """Waits for the body: in one piece they leave wholly or not at all, and cost less."""

    def expect(self, request: WireRequest) -> None:
        """The next write is this request's first one, which it has to be told of."""
        self._next = self._request = request
        self._head = b""

    def attach(self, request: WireRequest) -> None:
        """The next write is this request's first one, which it knows."""
        self._request = request

    def forget(self) -> None:
        """The request is over."""
        self._next = self._request = None

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        self._request = None  # all of it is written; an idle connection holds no body and no key
        protocol = self._protocol
        while not protocol.pieces:
            if protocol.error is not None:
                raise httpcore.ReadError(str(protocol.error) or type(protocol.error).__name__)
            if protocol.ended:
                return b""
            if not await protocol.wait_for_data(timeout):
                raise httpcore.ReadTimeout("timed out")
        # As it came, asyncio's 256 KiB at most: httpcore asks for 64 KiB but can take more, and cutting it up costs a
        # download three quarters of its speed.
        return protocol.take()

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        if not buffer:
            return
        if (request := self._next) is not None:
            self._next = None
            await self._begin(request)
            if isinstance(request.body, bytes) and 0 < len(request.body) <= _SMALL_BODY:
                self._head = buffer
                return
        if self._head:
            buffer, self._head = self._head + buffer, b""
        protocol = self._protocol
        transport = protocol.transport
        if protocol.ended or transport.is_closing():
            self._refuse()
        transport.write(buffer)
        if transport.is_closing():
            # It was open before: the one try to send this has failed, so the kernel has nothing of it.
            self._refuse()
        if protocol.blocked:
            await self._flush(timeout)

    async def _begin(self, request: WireRequest) -> None:
        waiting = request.begin()
        if waiting is not None:
            await waiting
        request.sent_at_once()
        if request.method == "GET" or self._protocol.transport.get_extra_info("ssl_object") is None:
            return
        # Over TLS asyncio is slow to say so.
        if has_ended(self._fileno):
            self._refuse()

    async def _flush(self, timeout: float | None) -> None:  # noqa: ASYNC109
        protocol = self._protocol
        try:
            async with asyncio.timeout(timeout):
                await protocol.wait_until_writable()
        except BaseException as error:
            if protocol.blocked:  # some of it is still here, and now stays here
                protocol.transport.abort()
                self._note_refusal()
            if not isinstance(error, TimeoutError):
                raise
            if protocol.blocked:
                raise httpcore.WriteTimeout("timed out") from None
        if protocol.lost:
            if protocol.cut:
                self._note_refusal()
            raise httpcore.WriteError(str(protocol.error or "the connection is closed"))

    def _refuse(self) -> NoReturn:
        self._note_refusal()
        raise httpcore.WriteError("it was closed before the request had been sent")

    def _note_refusal(self) -> None:
        if self._request is not None:
            self._request.refused()

    @property
    def _fileno(self) -> int:
        return fileno_of(self._protocol.transport.get_extra_info("socket"))

    def abort(self) -> None:
        """Close it without a goodbye, and without awaiting anything."""
        with suppress(RuntimeError):  # the loop is closed
            self._protocol.transport.abort()

    async def aclose(self) -> None:
        """See httpcore."""
        transport = self._protocol.transport
        if not transport.is_closing():
            transport.close()  # says goodbye, where there is TLS
            transport.abort()
            await asyncio.sleep(0)  # then the socket is closed

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore.AsyncNetworkStream:
        protocol = self._protocol
        plain = protocol.transport
        try:
            async with asyncio.timeout(timeout):
                transport = await asyncio.get_running_loop().start_tls(
                    plain,
                    protocol,
                    ssl_context,
                    server_hostname=server_hostname,
                    ssl_shutdown_timeout=TLS_SHUTDOWN_SECONDS,
                )
        except BaseException as error:
            plain.abort()
            if isinstance(error, TimeoutError):
                raise httpcore.ConnectTimeout("no TLS handshake in time") from error
            if isinstance(error, OSError):  # ssl.SSLError is one
                raise httpcore.ConnectError(str(error)) from error
            raise
        if transport is None:
            raise httpcore.ConnectError("the connection was closed in the TLS handshake")
        protocol.transport = transport
        return self

    def get_extra_info(self, info: str) -> Any:
        protocol = self._protocol
        if info == "is_readable":
            # Of an idle connection: it was closed, or holds what nobody asked for. Either way it is of no more use.
            return bool(protocol.pieces) or protocol.ended
        names = {"client_addr": "sockname", "server_addr": "peername"}
        if info in names and protocol.lost:
            return None  # uvloop fails over the socket that is gone
        return protocol.transport.get_extra_info(names.get(info, info))


class _Protocol(asyncio.Protocol):
    """What has arrived, and whether more can be sent."""

    transport: asyncio.Transport

    def __init__(self, loop: asyncio.AbstractEventLoop, context: contextvars.Context) -> None:
        self.pieces: deque[bytes] = deque()
        self.ended = False
        self.lost = False
        self.cut = False
        """Whether it was lost with bytes of ours that had not left."""
        self.error: Exception | None = None
        self.blocked = False
        """Whether the other side has to take more before more is written."""
        self._loop = loop
        self._context = context
        self._held = 0
        self._paused = False
        self._reader: asyncio.Future[bool] | None = None
        self._writer: asyncio.Future[None] | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._deadline = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's has its methods, but is none by its class

    def data_received(self, data: bytes) -> None:
        self.pieces.append(data)
        self._held += len(data)
        if self._held > _BUFFERED and not self._paused:
            self._paused = True
            self.transport.pause_reading()
        self._wake(True)

    def eof_received(self) -> None:
        self.ended = True
        self._wake(True)

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = self.lost = True
        self.cut = self.blocked
        self.error = exc
        if self._alarm is not None:
            self._alarm.cancel()
        self._wake(True)
        self.resume_writing()

    def pause_writing(self) -> None:
        self.blocked = True

    def resume_writing(self) -> None:
        self.blocked = False
        if self._writer is not None and not self._writer.done():
            self._writer.set_result(None)

    async def wait_until_writable(self) -> None:
        """Return when the other side has taken enough, or the connection is lost."""
        self._writer = self._loop.create_future()
        try:
            await self._writer
        finally:
            self._writer = None

    def take(self) -> bytes:
        """The first of what has arrived."""
        piece = self.pieces.popleft()
        self._held -= len(piece)
        if self._paused and self._held <= _BUFFERED // 2 and not self.lost:
            self._paused = False
            self.transport.resume_reading()
        return piece

    async def wait_for_data(self, timeout: float | None) -> bool:  # noqa: ASYNC109
        """Whether something happened within that many seconds."""
        self._reader = self._loop.create_future()
        if timeout is not None:
            self._set_alarm(self._loop.time() + timeout)
        elif self._alarm is not None:  # an earlier read's
            self._alarm.cancel()
            self._alarm = None
        try:
            return await self._reader
        finally:
            self._reader = None

    def _set_alarm(self, deadline: float) -> None:
        # One timer for many reads, put off when it goes off too early: a stream would make one for each chunk.
        self._deadline = deadline
        if self._alarm is not None:
            if self._alarm.when() <= deadline:
                return
            self._alarm.cancel()
        self._alarm = self._loop.call_at(deadline, self._ring, context=self._context)

    def _ring(self) -> None:
        self._alarm = None
        if self._reader is None:
            return
        if self._loop.time() < self._deadline:
            self._set_alarm(self._deadline)
        else:
            self._wake(False)

    def _wake(self, happened: bool) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(happened)
