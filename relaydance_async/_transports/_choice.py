"""Which transport a client uses.

The caller's client, if there is one; else our own engine: directly where httptools is installed, or below
`httpx.AsyncClient`. Measured by `benchmarks/`: httpx's objects cost more than all else of a request.
"""

from __future__ import annotations

import asyncio
import sys
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

from .._engine import Dialer, Engine, NewParser, check_certificates
from .._sansio.target import Network
from .._threads import in_thread
from ..errors import ConfigurationError
from ._base import Transport

if TYPE_CHECKING:
    from ._httpx import HttpxTransport

T = TypeVar("T")

TransportName: TypeAlias = Literal["auto", "direct", "httpx", "aiohttp"]
_NAMES = ("auto", "direct", "httpx", "aiohttp")


def check_transport(name: object, http_client: object) -> None:
    """Whether the two fit together and what they need is there.

    Raises:
        ConfigurationError: an unknown name, a client that is no `AsyncClient` of httpx or httpx2, or, without one,
            certificates that aren't there.
    """
    if name not in _NAMES:
        raise ConfigurationError(f"transport must be 'auto', 'direct' or 'httpx', not {name!r}")
    if name == "aiohttp":
        told = 'transport="aiohttp" is now called "direct", and the extra "aiohttp" is called "fast"'
        warnings.warn(told, DeprecationWarning, stacklevel=4)  # past the wrapper around `__init__`
    if http_client is None:
        check_certificates()
        return
    if name in ("direct", "aiohttp"):
        raise ConfigurationError("http_client is a transport of its own; leave transport out")
    is_client = hasattr(http_client, "build_request") and hasattr(http_client, "aclose")
    if not is_client or isinstance(http_client, type):
        raise ConfigurationError(f"http_client must be an httpx.AsyncClient, not {type(http_client).__name__}")


async def build_transport(
    name: TransportName, http_client: Any, *, max_idle: int, network: Network = Network.ANY
) -> Transport:
    """The transport for the running loop. Cancelling it leaves nothing behind.

    Args:
        max_idle: how many idle connections are kept.
        network: which addresses it connects to. A caller's client connects to any.

    Raises:
        ConfigurationError: the loop is trio's, for which there is no transport but a caller's client.
    """
    if http_client is not None:
        return (await _load("httpx", _import_httpx)).of_caller(http_client)
    _check_loop()
    is_fast = has_httptools()
    parser, new_parser = await (_load("httptools", _import_llhttp) if is_fast else _load("h11", _import_h11))
    engine = Engine(f"direct, with {parser}", Dialer(network), new_parser, max_idle=max_idle)
    if name in ("direct", "aiohttp") or (name == "auto" and is_fast):
        return engine
    return (await _load("httpx", _import_httpx)).of_engine(engine, f"httpx over an engine of ours, with {parser}")


def has_httptools() -> bool:
    """Whether the extra `[fast]` is installed."""
    return "httptools" in sys.modules or find_spec("httptools") is not None


def _check_loop() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise ConfigurationError(
            "on trio, give the client an HTTP client that knows it: http_client=httpx.AsyncClient()"
        ) from None


async def _load(library: str, importer: Callable[[], T]) -> T:
    # On first need, so that importing this package stays quick; in a thread, so that the event loop isn't held up.
    return importer() if library in sys.modules else await in_thread(importer)


def _import_llhttp() -> tuple[str, NewParser]:
    from .._engine._llhttp import LlhttpParser

    return "llhttp", LlhttpParser


def _import_h11() -> tuple[str, NewParser]:
    from .._engine._h11 import H11Parser

    return "h11", H11Parser


def _import_httpx() -> type[HttpxTransport]:
    from ._httpx import HttpxTransport

    return HttpxTransport
