"""A TCP proxy for what an HTTP server cannot do: reset, cut, swallow, drip."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from typing import Self
from urllib.parse import urlsplit

from ._proxy_connection import ProxiedConnection
from ._proxy_faults import ConnectionFault, ConnectionFaultPlan
from ._sockets import BACKLOG, bind_socket, origin_of, stop_accepting
from ._thread import LoopThread


class FaultyProxy:
    """Stands in front of `target`, a URL or (host, port). A context manager, plain or async.

    With `tls`, callers speak TLS with it; it speaks plain HTTP with the target.
    """

    def __init__(
        self,
        target: str | tuple[str, int],
        faults: Iterable[ConnectionFault] = (),
        *,
        seed: int = 0,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._target = _parse_target(target)
        self._plan = ConnectionFaultPlan(faults, seed)
        self._host, self._wanted_port = host, port
        self._tls = tls
        self._connections = 0
        self._requests = 0
        self._silences = 0
        self._open: dict[ProxiedConnection, asyncio.Task[None]] = {}
        self._flowing: asyncio.Event | None = None
        self._server: tuple[asyncio.Server, socket.socket] | None = None
        self._held: socket.socket | None = None
        self._thread: LoopThread | None = None
        self._root_url = ""

    @property
    def root_url(self) -> str:
        """The proxy's origin, such as "http://127.0.0.1:8081"."""
        if self._thread is None:
            raise RuntimeError("the proxy is not running: use it in a `with` or `async with` block")
        return self._root_url

    @property
    def base_url(self) -> str:
        """The origin and "/v1"."""
        return f"{self.root_url}/v1"

    @property
    def port(self) -> int:
        """Where it listens."""
        return urlsplit(self.root_url).port or 0

    @property
    def connections(self) -> int:
        """Connections accepted so far."""
        return self._connections

    @property
    def requests(self) -> int:
        """Requests seen so far."""
        return self._requests

    @property
    def silences(self) -> int:
        """Requests whose caller was left waiting so far, by a black hole, a silence or a drip."""
        return self._silences

    @property
    def open_connections(self) -> int:
        """Connections open now."""
        return len(self._open)

    @property
    def fired(self) -> dict[str, int]:
        """How often each kind of fault has fired."""
        return self._plan.fired()

    def add(self, fault: ConnectionFault) -> None:
        """Put another fault in force, for connections and requests from now on."""
        self._plan.add(fault)

    def clear(self) -> None:
        """Drop every fault; a connection keeps the one that it has met."""
        self._plan.clear()

    def reset_all(self) -> None:
        """Reset every open connection."""
        self._call(self._reset_all)

    def close_port(self) -> None:
        """Stop listening: from now on the system refuses whoever connects, and the proxy doesn't hear of it.

        Open connections stay.
        """
        if self._thread is not None:
            self._thread.wait_for(self._hold_port())

    def open_port(self, *, tls: bool = True) -> None:
        """Listen again, at the same port.

        Without `tls`, a proxy that has it no longer speaks it: callers meet a plain server at an https URL.
        """
        if self._thread is not None:
            self._thread.wait_for(self._listen_again(tls))

    def pause(self) -> None:
        """Hold back all bytes, both ways, until `resume`."""
        if self._flowing is not None:
            self._call(self._flowing.clear)

    def resume(self) -> None:
        """Let bytes through again, those held back first."""
        if self._flowing is not None:
            self._call(self._flowing.set)

    def start(self) -> None:
        """Listen. Returns once callers can connect."""
        if self._thread is not None:
            raise RuntimeError("the proxy is already running")
        sock = bind_socket(self._host, self._wanted_port)
        self._root_url = origin_of(sock, "http" if self._tls is None else "https")
        thread = LoopThread("relaydance-sandbox-proxy", lambda: self._serve(sock))
        thread.start()
        self._thread = thread

    def stop(self) -> None:
        """Reset every connection and wait for the thread. Safe to call twice."""
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.stop()

    def _call(self, function: object) -> None:
        if self._thread is not None and callable(function):
            self._thread.call(function)

    def _reset_all(self) -> None:
        for connection in list(self._open):
            connection.reset()

    @asynccontextmanager
    async def _serve(self, sock: socket.socket) -> AsyncGenerator[None, None]:
        self._flowing = asyncio.Event()
        self._flowing.set()
        await self._listen(sock, self._tls)
        try:
            yield
        finally:
            await self._stop_listening()
            self._release_port()
            self._reset_all()
            tasks = list(self._open.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.sleep(0)

    async def _listen(self, sock: socket.socket, tls: ssl.SSLContext | None) -> None:
        self._server = await asyncio.start_server(self._accept, sock=sock, backlog=BACKLOG, ssl=tls), sock

    async def _stop_listening(self) -> None:
        if self._server is not None:
            server, sock = self._server
            self._server = None
            await stop_accepting(sock)
            server.close()

    async def _hold_port(self) -> None:
        await self._stop_listening()
        if self._held is None:
            self._held = bind_socket(self._host, self.port, listen=False)

    def _release_port(self) -> None:
        if self._held is not None:
            self._held.close()
            self._held = None

    async def _listen_again(self, tls: bool) -> None:
        await self._stop_listening()
        self._release_port()
        await self._listen(bind_socket(self._host, self.port), self._tls if tls else None)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        assert self._flowing is not None
        fault = self._plan.choose("connection", self._connections)
        connection = ProxiedConnection(
            reader, writer, fault, self._next_request_fault, self._note_silence, self._flowing
        )
        task = asyncio.ensure_future(connection.run(*self._target))
        self._open[connection] = task
        task.add_done_callback(lambda _: self._open.pop(connection, None))

    def _next_request_fault(self) -> ConnectionFault | None:
        self._requests += 1
        return self._plan.choose("request", self._requests)

    def _note_silence(self) -> None:
        self._silences += 1

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.stop()


def _parse_target(target: str | tuple[str, int]) -> tuple[str, int]:
    if not isinstance(target, str):
        return target
    parts = urlsplit(target)
    if parts.scheme != "http" or parts.hostname is None:
        raise ValueError(f"the target must be an http URL or (host, port), not {target!r}")
    return parts.hostname, parts.port or 80
