"""What the doctor looks at without asking RelayDance: versions, settings, and the way to the API."""

from __future__ import annotations

import asyncio
import platform
import socket
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any
from urllib.parse import urlsplit

from .. import AsyncRelayDance, __version__
from .._config import origin_of
from .._engine._dial_error import as_dial_error
from .._engine._proxy import proxy_for
from .._engine._tls import tls_context
from .._sansio.addresses import is_loopback
from ..errors import ConfigurationError
from ._exits import CannotBeginError
from ._output import short
from ._profiles import config_folder
from ._session import Session

_SECONDS = 10.0
"""For each thing on the way."""
_DAY = 86_400.0
_LIBRARIES = ("httptools", "httpx", "pydantic")


@dataclass(frozen=True)
class Line:
    """One thing that was looked at.

    Attributes:
        check: its name.
        found: what it is like.
        todo: what to do about it; "" when nothing.
        is_wrong: whether nothing works without it.
    """

    check: str
    found: str
    todo: str = ""
    is_wrong: bool = False

    def record(self) -> dict[str, str]:
        """For the output."""
        state = "wrong" if self.is_wrong else "look" if self.todo else "ok"
        return {"check": self.check, "state": state, "found": self.found, "what_to_do": self.todo}


def check_settings(session: Session) -> list[Line]:
    """What is installed here, and what is set."""
    return [
        Line("versions", _versions(), "" if _installed("httptools") else 'pip install "relaydance-async[fast]"'),
        _told("profile", lambda: f"{session.name} of {short(config_folder() / 'config.toml')}", "Repair the file"),
        _told("key", lambda: session.key.source, "Get one at relaydance.com, console, API keys"),
        _told("base URL", lambda: _address(session), "It is like https://relaydance.com/v1"),
    ]


def _versions() -> str:
    known = [f"{name} {found}" for name in _LIBRARIES if (found := _installed(name))]
    return f"relaydance-async {__version__}, Python {platform.python_version()}, {', '.join(known)}"


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _address(session: Session) -> str:
    AsyncRelayDance("unused", base_url=session.base_url)  # it knows what can be one
    return session.base_url


def _told(check: str, look: Callable[[], str], todo: str) -> Line:
    try:
        return Line(check, look())
    except (CannotBeginError, ConfigurationError) as error:
        return Line(check, str(error), todo, is_wrong=True)


async def check_way(base_url: str) -> list[Line]:
    """Proxy, names and TLS."""
    parts = urlsplit(origin_of(base_url))
    host, secure = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    try:
        proxy = proxy_for(parts.scheme, host, port)
    except ConfigurationError as error:
        return [Line("proxy", error.message, "Mend HTTPS_PROXY, HTTP_PROXY or ALL_PROXY", is_wrong=True)]
    lines = [Line("proxy", str(proxy) if proxy else "none")]
    name, door = (proxy.host, proxy.port) if proxy else (host, port)
    lines.append(await _within("DNS", lambda: _resolve(name, door), f"Is {name} spelt right, and is there a network?"))
    if lines[-1].is_wrong:
        return lines
    if proxy is not None:
        return [*lines, Line("TLS", "through the proxy: see `API`")]
    if secure:
        todo = "A firewall, or a program that reads along? SSL_CERT_FILE names other authorities"
        return [*lines, await _within("TLS", lambda: _shake_hands(host, port), todo)]
    return [*lines, await _within("TLS", lambda: _knock(host, port), "Does it run, and on that port?")]


async def _within(check: str, look: Callable[[], Awaitable[Line]], todo: str) -> Line:
    try:
        return await asyncio.wait_for(look(), _SECONDS)
    except TimeoutError:
        return Line(check, f"no answer in {_SECONDS:g} s", todo, is_wrong=True)
    except ConfigurationError as error:
        return Line(check, error.message, todo, is_wrong=True)
    except socket.gaierror as error:
        return Line(check, error.strerror or str(error), todo, is_wrong=True)
    except OSError as error:
        return Line(check, as_dial_error(error).text, todo, is_wrong=True)


async def _resolve(host: str, port: int) -> Line:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(address[4][0]) for address in found))
    return Line("DNS", f"{host}: {', '.join(addresses[:4])}")


async def _knock(host: str, port: int) -> Line:
    _, writer = await asyncio.open_connection(host, port)
    writer.transport.abort()
    return Line("TLS", "none: http://", "" if is_loopback(host) else "Use https://")


async def _shake_hands(host: str, port: int) -> Line:
    context = await tls_context()
    began = time.monotonic()
    _, writer = await asyncio.open_connection(host, port, ssl=context)
    seconds = time.monotonic() - began
    certificate: dict[str, Any] = writer.get_extra_info("peercert") or {}
    version: str = writer.get_extra_info("ssl_object").version()
    writer.transport.abort()
    days = (ssl.cert_time_to_seconds(certificate["notAfter"]) - time.time()) / _DAY
    found = f"{version} in {seconds * 1000:.0f} ms, the certificate is good for {days:.0f} days"
    return Line("TLS", found, "The certificate ends soon: tell RelayDance" if days < 3 else "")
