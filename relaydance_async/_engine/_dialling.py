"""What the engine asks of whoever makes its connections."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, Literal, NamedTuple, Protocol, TypeAlias, TypeVar

P = TypeVar("P", bound=asyncio.Protocol)

DialFault: TypeAlias = Literal["dns", "refused", "unreachable", "tls", "proxy", "address"]


class Origin(NamedTuple):
    """Whom a connection is for; the key of a pool."""

    scheme: str
    host: str
    port: int


class Dialled(NamedTuple, Generic[P]):
    """A connection that is ready for its first request. Its transport is with the protocol.

    Attributes:
        via_proxy: whether a proxy reads the request line, so that it needs the absolute form (RFC 9112 section 3.2.2).
        proxy_headers: for that proxy, with each request.
    """

    protocol: P
    via_proxy: bool = False
    proxy_headers: tuple[tuple[str, str], ...] = ()


class DialError(Exception):
    """There is no connection.

    Attributes:
        kind: what went wrong.
        text: one line, without secrets.
        retryable: whether it may go better later.
    """

    def __init__(self, kind: DialFault, text: str, *, retryable: bool = True) -> None:
        super().__init__(text)
        self.kind: DialFault = kind
        self.text: str = text
        self.retryable: bool = retryable


class Dials(Protocol):
    """Makes connections."""

    async def dial(self, origin: Origin, factory: Callable[[], P]) -> Dialled[P]:
        """A connection, TLS and proxies included. Cancelling it leaves no socket.

        Raises:
            DialError: there is none.
        """
        ...


class PlainDialer:
    """TCP alone."""

    async def dial(self, origin: Origin, factory: Callable[[], P]) -> Dialled[P]:
        """See `Dials`."""
        loop = asyncio.get_running_loop()
        try:
            _, protocol = await loop.create_connection(factory, origin.host, origin.port)
        except OSError as error:
            raise DialError("refused", str(error)) from None
        return Dialled(protocol)


def new_dialer(network: object) -> PlainDialer:
    return PlainDialer()


def check_certificates() -> None:
    pass
