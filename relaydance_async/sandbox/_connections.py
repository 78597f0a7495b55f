"""The sandbox's open connections, so that a fault or the shutdown can break one."""

from __future__ import annotations

import asyncio
import logging
from typing import ClassVar, cast

from starlette.types import Scope

from ._sockets import reset_transport

# uvicorn calls a connection that breaks in mid-answer an error. Here it is on purpose.
_quiet = logging.getLogger("relaydance_async.sandbox.uvicorn")
_quiet.propagate = False
_quiet.setLevel(logging.CRITICAL + 1)


class Connections:
    """Transports by both ends' addresses, which is how an ASGI scope names its connection.

    Both, because a caller may have the same port on its side of a connection to the API and of one to the result host.
    """

    def __init__(self) -> None:
        self._transports: dict[object, asyncio.Transport] = {}
        # Callers that have left at once have no address, and are all of one name.
        self._open: set[asyncio.Transport] = set()

    def add(self, transport: asyncio.Transport) -> None:
        self._transports[_name(transport)] = transport
        self._open.add(transport)

    def discard(self, transport: asyncio.Transport) -> None:
        self._transports.pop(_name(transport), None)
        self._open.discard(transport)

    def reset(self, scope: Scope) -> None:
        transport = self._find(scope)
        if transport is not None:
            reset_transport(transport)

    def close(self, scope: Scope) -> None:
        """Send what is buffered, then close."""
        transport = self._find(scope)
        if transport is not None:
            transport.close()

    def _find(self, scope: Scope) -> asyncio.Transport | None:
        return self._transports.get((tuple(scope["client"] or ()), tuple(scope["server"] or ())))

    def abort_all(self) -> None:
        for transport in list(self._open):
            transport.abort()


def _name(transport: asyncio.Transport) -> object:
    # A caller that has left already has no address any more.
    peer, local = transport.get_extra_info("peername") or (), transport.get_extra_info("sockname") or ()
    return tuple(peer[:2]), tuple(local[:2])


class _Registering(asyncio.Protocol):
    """Goes before uvicorn's protocol class: registers each connection, and is quiet about broken ones."""

    sandbox_connections: ClassVar[Connections]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.logger = _quiet
        self.access_log = False
        self._registered = cast(asyncio.Transport, transport)
        self.sandbox_connections.add(self._registered)
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.sandbox_connections.discard(self._registered)
        super().connection_lost(exc)


def build_protocol_class(base: type[asyncio.Protocol], connections: Connections) -> type[asyncio.Protocol]:
    """uvicorn's protocol `base`, with its connections in `connections`."""
    return type("SandboxProtocol", (_Registering, base), {"sandbox_connections": connections})
