"""Sends attempts: the engine as a `Transport`.

It belongs to the event loop in which it first sends.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable
from typing import NamedTuple

from .._sansio.breakage import BreakKind, Broke, Reached, build_connection_error
from .._sansio.timeout import finite
from ..errors import DownloadError
from ._connection import Connection
from ._descriptors import break_off
from ._dial import Dialer, Origin
from ._dial_error import DialError
from ._exchange import Exchange
from ._line import TooLate
from ._outgoing import Heads, Outgoing, Unsendable
from ._parser import NewParser
from ._pool import Pool


class TransportStats(NamedTuple):
    """How many connections a transport has; (0, 0) for a caller's client, whose connections are the caller's."""

    open: int
    """Idle ones, and those that are being opened, included."""
    idle: int


class _Local:
    """What is bound to one event loop."""

    def __init__(self, max_idle: int) -> None:
        self.loop = asyncio.get_running_loop()
        self.context = contextvars.Context()
        self.pool = Pool(self.loop, self.context, max_idle)


class Engine:
    """See `Transport`.

    Args:
        name: for the log.
        dialer: makes its connections.
        new_parser: reads its answers.
        max_idle: how many idle connections are kept.
    """

    def __init__(self, name: str, dialer: Dialer, new_parser: NewParser, *, max_idle: int) -> None:
        self.name: str = name
        self._dialer = dialer
        self._new_parser = new_parser
        self._max_idle = max_idle
        self._heads = Heads()
        self._dialling = 0
        self._local: _Local | None = None

    async def send(self, request: Outgoing) -> Exchange:
        """See `Transport`."""
        connection: Connection | None = None
        exchange: Exchange | None = None
        try:
            origin, host, target = self._heads.split(request.url)
            local = self._local or self._here()
            connection = local.pool.take(origin)
            if connection is None or connection.is_readable:
                connection = await self._connect(local, origin, connection, request.timeout.connect)
            head = self._head(connection, request, host, target)
            waiting = request.begin()
            if waiting is not None:
                del head  # the key is in it, and a traceback shows the variables of frames
                await _announce(waiting, connection)
                head = self._head(connection, request, host, target)
            exchange = connection.start(request, head)
            del head
            if (waiter := exchange.waiter) is not None:
                await waiter
                exchange.waiter = None
            failure: Exception | None = exchange.failure
        except (DialError, Unsendable) as error:
            failure = _failure(error, request)
        except Exception as error:
            failure = error.with_traceback(None)
        except BaseException as error:
            if exchange is not None:
                await exchange.aclose()
            await _let_go(request, None if exchange is not None else connection)
            raise error.with_traceback(None)  # noqa: B904  (it is the same one)
        if failure is None and exchange is not None:
            return exchange
        await _let_go(request, None if exchange is not None else connection)
        assert failure is not None
        raise failure

    async def warm(self, url: str, seconds: float) -> None:
        """See `Transport`."""
        origin, _, _ = self._heads.split(url)
        local = self._here()
        try:
            connection = await self._connect(local, origin, local.pool.take(origin), seconds)
        except DialError as error:
            raise _dial_failure(error, peer="the gateway") from None
        local.pool.put_back(connection, None)

    def _here(self) -> _Local:
        if self._local is None:
            self._local = _Local(self._max_idle)
        return self._local

    def _head(self, connection: Connection, request: Outgoing, host: str, target: str) -> bytes:
        if connection.via_proxy:
            target = f"{connection.origin.scheme}://{host}{target}"
        return self._heads.build(request, target, host, connection.proxy_headers)

    async def _connect(self, local: _Local, origin: Origin, idle: Connection | None, seconds: float) -> Connection:
        """One that becomes idle, or a new one; the time is for both."""
        pool, until = local.pool, local.loop.time() + seconds
        try:
            while idle is not None or (idle := await pool.wait(origin, until)) is not None:
                if await pool.is_fit(idle):
                    return idle
                idle = pool.take(origin)
            try:
                async with asyncio.timeout_at(finite(until)):
                    return await self._dial(local, origin)
            finally:
                pool.dialled(origin)
        except (TimeoutError, TooLate):
            raise _Late(f"no connection within {seconds:g} s") from None

    async def _dial(self, local: _Local, origin: Origin) -> Connection:
        def build() -> Connection:
            return Connection(origin, local.pool, self._new_parser, local.loop, local.context)

        self._check_open(local)  # whoever waited may have waited for that
        self._dialling += 1
        try:
            dialled = await self._dialer.dial(origin, build)
        finally:
            self._dialling -= 1
        connection = dialled.protocol
        connection.via_proxy = dialled.via_proxy
        connection.proxy_headers = dialled.proxy_headers
        try:
            self._check_open(local)
        except DialError:
            connection.close()
            raise
        local.pool.add(connection)
        return connection

    def _check_open(self, local: _Local) -> None:
        if local.pool.is_closed:
            raise DialError("unreachable", "the client was closed meanwhile")

    async def aclose(self) -> None:
        """See `Transport`."""
        self._heads.forget()
        if self._local is None:
            return
        connections = self._local.pool.close()
        self._local.pool.dismiss()
        for connection in connections:
            connection.fail("closed", "the client was closed")
        if connections:
            await asyncio.sleep(0)  # then their sockets are closed

    def stats(self) -> TransportStats:
        """See `Transport`."""
        is_open, idle = self._local.pool.count() if self._local is not None else (0, 0)
        return TransportStats(is_open + self._dialling, idle)

    def filenos(self) -> list[int]:
        """See `Transport`."""
        if self._local is None:
            return []
        filenos = [connection.fileno for connection in self._local.pool.connections()]
        return [fileno for fileno in filenos if fileno >= 0]

    def abort(self, loop: asyncio.AbstractEventLoop) -> None:
        """See `Transport`."""
        if self._local is None:
            return
        left = [connection.give_up() for connection in self._local.pool.close()]
        break_off(loop, left)


async def _let_go(request: Outgoing, unused: Connection | None) -> None:
    """Of what an attempt holds: its body, and a connection that it has not begun to use."""
    if unused is not None:
        unused.close()
    await request.close_body()


async def _announce(waiting: Awaitable[None], connection: Connection) -> None:
    """Let those who watch know that it begins: they may take their time, in which the connection may end."""
    await waiting
    await connection.catch_up()
    if connection.is_readable:
        connection.close()  # then it takes nothing


class _Late(DialError):
    """There was no connection in time."""

    def __init__(self, text: str) -> None:
        super().__init__("unreachable", text)


_KINDS: dict[str, BreakKind] = {"tls": "tls", "proxy": "proxy"}


def _failure(error: DialError | Unsendable, request: Outgoing) -> Exception:
    if isinstance(error, DialError):
        return _dial_failure(error, request.peer)
    return build_connection_error(Broke(Reached.NOT_SENT, "setup", str(error), retryable=False), peer=request.peer)


def _dial_failure(error: DialError, peer: str) -> Exception:
    if error.kind == "address":
        return DownloadError(error.text, kind="refused host")
    kind: BreakKind = "timeout" if isinstance(error, _Late) else _KINDS.get(error.kind, "connect")
    return build_connection_error(Broke(Reached.NOT_SENT, kind, error.text, error.retryable), peer=peer)
