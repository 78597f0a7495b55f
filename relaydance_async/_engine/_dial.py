"""How a connection to an origin is made, from its name to the moment when the first byte of a request may be written.

    dial ──► which proxy? (_proxy) ──► addresses (_resolver) ──► those that may be connected to (addresses)
                                                                    │
         protocol ◄── handed over (_wire) ◄── TLS ◄── tunnel ◄──────┴── TCP (_happy_eyeballs)
                                            (_tls)   (_tunnel)

It is done in a task of its own with an empty context: asyncio copies the current context into everything that belongs
to a connection, and a connection outlives the call that made it. A variable of that call would stay alive as long.

Nothing is left behind by a dial that fails or is cancelled: the wire is aborted where it was last held. A dial that is
cancelled in the very moment of its success has a connection that nobody knows of; `dial` aborts that one.
"""

from __future__ import annotations

import asyncio
import contextvars
import ssl
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Generic, NamedTuple, TypeVar

from .._sansio.addresses import is_public
from .._sansio.target import Network
from ._dial_error import DialError
from ._happy_eyeballs import connect
from ._proxy import Proxy, proxy_for
from ._resolver import Addresses, Resolver
from ._tls import tls_context
from ._tunnel import open_tunnel
from ._wire import Wire

P = TypeVar("P", bound=asyncio.BaseProtocol)


class Origin(NamedTuple):
    """Whom a connection leads to (RFC 6454): a pool's key.

    Attributes:
        scheme: "http" or "https".
        host: in lower case, as ASCII; an IPv6 address without brackets.
    """

    scheme: str
    host: str
    port: int


class Dialled(NamedTuple, Generic[P]):
    """A connection that was made. Its transport has come to the protocol by `connection_made`.

    Attributes:
        via_proxy: whether it ends at a proxy, so that the request line has to have the whole URL (RFC 9112 3.2.2).
        proxy_headers: what each request on it tells the proxy. They hold a password.
    """

    protocol: P
    via_proxy: bool
    proxy_headers: tuple[tuple[str, str], ...]

    def __repr__(self) -> str:
        return f"<Dialled {self.protocol!r}, via_proxy={self.via_proxy}>"


class Dialer:
    """Makes connections. It belongs to one event loop, and holds nothing that has to be closed.

    Args:
        network: which addresses it connects to. A proxy looks names up itself, so through one it has no effect.
        context: whom to trust, and who we are; None: the process's own, see `_tls.py`.
        resolver: where names are looked up; several dialers of a loop may share one.
    """

    def __init__(
        self, network: Network, *, context: ssl.SSLContext | None = None, resolver: Resolver | None = None
    ) -> None:
        self._network = network
        self._context = context
        self._resolver = resolver or Resolver()

    async def dial(self, origin: Origin, factory: Callable[[], P]) -> Dialled[P]:
        """A connection to the origin, directly or through the environment's proxy.

        It has no timeout of its own but those of TLS (60 s, asyncio's) and of the talk with a proxy. Cancelling it
        leaves no socket and no task; a look-up goes on in a thread that nobody waits for.

        Args:
            factory: makes the protocol; called once, when the connection is there.

        Raises:
            DialError: there is none.
            ConfigurationError: the environment names a proxy or certificates that can't be used.
        """
        task = asyncio.get_running_loop().create_task(self._dial(origin, factory), context=contextvars.Context())
        try:
            _, dialled = await task
        except asyncio.CancelledError:
            if task.done() and not task.cancelled() and task.exception() is None:
                task.result()[0].abort()
            raise
        finally:
            del task  # it holds the exception, whose traceback has this frame
        return dialled

    async def _dial(self, origin: Origin, factory: Callable[[], P]) -> tuple[Wire, Dialled[P]]:
        proxy = proxy_for(*origin)
        needs_tls = origin.scheme == "https" or (proxy is not None and proxy.scheme == "https")
        context = await self._tls_context() if needs_tls else None
        if proxy is None:
            async with self._wire(origin.host, origin.port, self._network) as wire:
                return wire, Dialled(await _finish(wire, context, origin, factory), False, ())
        async with self._wire_to_proxy(proxy, context) as wire:
            forwards = origin.scheme == "http" and not proxy.is_socks
            if not forwards:
                await open_tunnel(wire, proxy, origin.host, origin.port)
            protocol = await _finish(wire, context, origin, factory)
            return wire, Dialled(protocol, forwards, proxy.headers if forwards else ())

    @asynccontextmanager
    async def _wire(self, host: str, port: int, network: Network) -> AsyncGenerator[Wire, None]:
        """A connection, which is aborted when what is done with it fails."""
        addresses = await self._resolver.resolve(host)
        allowed = _allowed(host, addresses, network)
        try:
            wire = await connect(allowed, port)
            try:
                yield wire
            except BaseException:
                wire.abort()
                raise
        except BaseException:
            # Whatever it is. A cancellation may be the timeout for an address that is silent; and the wrong certificate
            # may be that of whoever has the address now.
            self._resolver.forget(host, addresses)
            raise

    @asynccontextmanager
    async def _wire_to_proxy(self, proxy: Proxy, context: ssl.SSLContext | None) -> AsyncGenerator[Wire, None]:
        is_there = False
        try:
            async with self._wire(proxy.host, proxy.port, Network.ANY) as wire:
                if proxy.scheme == "https" and context is not None:
                    await wire.start_tls(context, proxy.host)
                is_there = True
                yield wire
        except DialError as error:
            if is_there:
                raise
            raise DialError(error.kind, f"{proxy}: {error.text}", retryable=error.retryable) from None

    async def _tls_context(self) -> ssl.SSLContext:
        return self._context if self._context is not None else await tls_context()


async def _finish(wire: Wire, context: ssl.SSLContext | None, origin: Origin, factory: Callable[[], P]) -> P:
    if origin.scheme == "https" and context is not None:
        await wire.start_tls(context, origin.host)
    return wire.hand_over(factory())


def _allowed(host: str, addresses: Addresses, network: Network) -> Addresses:
    """Those that may be connected to. They are the very ones that the connection is then made to.

    Raises:
        DialError: of the kind "address", there is none.
    """
    if network is Network.ANY:
        return addresses
    public = tuple(filter(is_public, addresses))
    if not public:
        raise DialError("address", f"the host {host} has the private address {addresses[0]}", retryable=False)
    return public
