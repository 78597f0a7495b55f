"""A connection in the making: the protocol that it has until the engine's own takes over.

    TCP connect ──► [TLS to the proxy] ──► [talk with the proxy] ──► [TLS to the origin] ──► handed over
                         start_tls         send, read_until, read        start_tls            hand_over

It keeps what arrives, so that no byte is lost between two steps, and is the one thing to abort when a step fails or is
cancelled. The steps are the same on every loop: TLS always begins with `loop.start_tls` on a connection that is there,
also within TLS. (A loop's own `create_connection` with TLS says nothing when the other side closes in the handshake,
and calls protocols of connections that lost a race.)
"""

from __future__ import annotations

import asyncio
import ssl
from typing import TypeVar, cast

from ._dial_error import DialError, as_dial_error

P = TypeVar("P", bound=asyncio.BaseProtocol)

TLS_SHUTDOWN_SECONDS = 2.0
"""How long a closed connection waits for the other side's goodbye."""


class Wire(asyncio.Protocol):
    """Holds a connection that is not ready for requests yet."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self._held = bytearray()
        self._ended = False
        self._error: Exception | None = None
        self._reader: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's has its methods, but is none by its class

    def data_received(self, data: bytes) -> None:
        self._held += data
        self._wake()

    def eof_received(self) -> None:
        self._ended = True
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = True
        self._error = exc
        self._wake()

    def send(self, data: bytes) -> None:
        """Write a few bytes."""
        self.transport.write(data)

    async def read(self, count: int) -> bytes:
        """The next bytes, so many.

        Raises:
            EOFError: the connection was closed before they came.
        """
        while len(self._held) < count:
            await self._arrival()
        return self._take(count)

    async def read_until(self, mark: bytes, limit: int) -> bytes | None:
        """The next bytes up to the mark and with it; None when there are more than `limit` without one.

        Raises:
            EOFError: the connection was closed before it came.
        """
        while (start := self._held.find(mark, 0, limit)) < 0:
            if len(self._held) >= limit:
                return None
            await self._arrival()
        return self._take(start + len(mark))

    @property
    def has_arrivals(self) -> bool:
        """Whether bytes have come that nobody has read."""
        return bool(self._held)

    async def start_tls(self, context: ssl.SSLContext, host: str) -> None:
        """Speak TLS from now on. When it fails or is cancelled, the connection is broken off.

        Raises:
            DialError: of the kind "tls".
        """
        plain = self.transport
        try:
            secured = await asyncio.get_running_loop().start_tls(
                plain,
                self,
                context,
                server_hostname=host.removesuffix("."),  # a name in a certificate has no final dot
                ssl_shutdown_timeout=TLS_SHUTDOWN_SECONDS,
            )
        except BaseException as error:
            plain.abort()
            if isinstance(error, ssl.SSLError):
                raise as_dial_error(error) from None
            if isinstance(error, OSError):
                raise _closed_in_handshake() from None
            raise
        if secured is None:  # pyright: ignore[reportUnnecessaryComparison]  (it was lost meanwhile)
            raise _closed_in_handshake()
        self.transport = secured

    def hand_over(self, protocol: P) -> P:
        """Make it the protocol of the connection, as if it had been from the start: it gets what has arrived.

        Raises:
            DialError: the other side has closed it already.
        """
        if self._ended or self.transport.is_closing():
            raise DialError("unreachable", "the connection was closed at once")
        self.transport.set_protocol(protocol)
        protocol.connection_made(self.transport)
        if self._held:
            cast(asyncio.Protocol, protocol).data_received(bytes(self._held))
        return protocol

    def abort(self) -> None:
        """Break it off without a goodbye."""
        self.transport.abort()

    def _take(self, count: int) -> bytes:
        taken = bytes(self._held[:count])
        del self._held[:count]
        return taken

    async def _arrival(self) -> None:
        if self._ended:
            raise EOFError(str(self._error or "the connection was closed"))
        self._reader = asyncio.get_running_loop().create_future()
        try:
            await self._reader
        finally:
            self._reader = None

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)


def _closed_in_handshake() -> DialError:
    return DialError("tls", "the connection was closed in the TLS handshake")
