"""Which transport a client uses.

The caller's client, if there is one; else aiohttp where it is installed, as new as the extra asks for, and the loop is
asyncio's; else httpx. Measured by `benchmarks/`: aiohttp takes about a third of httpx's CPU for a request.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Callable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

from .._sansio.target import Network
from .._threads import in_thread
from ..errors import ConfigurationError
from ._base import Transport
from ._proxy import has_socks_proxy
from ._tls import check_certificates

if TYPE_CHECKING:
    from ._aiohttp import AiohttpTransport
    from ._httpx import HttpxTransport

T = TypeVar("T")

OLDEST_AIOHTTP = (3, 14, 4)
"""As the extra has it. Older ones read headers without end, and leave blanks in them."""

TransportName: TypeAlias = Literal["auto", "aiohttp", "httpx"]


def check_transport(name: object, http_client: object) -> None:
    """Whether the two fit together and what they need is installed.

    Raises:
        ConfigurationError: an unknown name, a missing extra, a client that is no `AsyncClient` of httpx or httpx2, or,
            without one, certificates that aren't there.
    """
    if name not in ("auto", "aiohttp", "httpx"):
        raise ConfigurationError(f"transport must be 'auto', 'aiohttp' or 'httpx', not {name!r}")
    if name == "aiohttp" and not has_aiohttp():
        raise ConfigurationError('transport="aiohttp" needs the extra: pip install -U "relaydance-async[aiohttp]"')
    if http_client is None:
        check_certificates()
        return
    if name == "aiohttp":
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
    """
    if http_client is None and (name == "aiohttp" or (name == "auto" and _aiohttp_fits())):
        return (await _load("aiohttp", _import_aiohttp))(network)
    httpx_transport = await _load("httpcore", _import_httpx)
    if http_client is not None:
        return httpx_transport.of_caller(http_client)
    return httpx_transport.of_slots(max_idle=max_idle, network=network)


async def _load(library: str, importer: Callable[[], T]) -> T:
    # On first need, so that importing this package stays quick; in a thread, so that the event loop isn't held up.
    return importer() if library in sys.modules else await in_thread(importer)


def _import_aiohttp() -> type[AiohttpTransport]:
    from ._aiohttp import AiohttpTransport

    return AiohttpTransport


def _import_httpx() -> type[HttpxTransport]:
    from ._httpx import HttpxTransport

    return HttpxTransport


def _aiohttp_fits() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False  # trio
    return has_aiohttp() and not has_socks_proxy()


@cache
def has_aiohttp() -> bool:
    """Whether it is installed, as new as the extra asks for."""
    try:
        found = version("aiohttp")
    except PackageNotFoundError:
        return False
    return tuple(map(int, re.findall(r"\d+", found)[:3])) >= OLDEST_AIOHTTP
