"""Which proxy leads to an origin: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY of the environment, in either case.

    loopback, or exempt ──► none
    http://, https://   ──► for an https origin a tunnel (CONNECT); for an http one the proxy is asked itself
    socks5://, socks5h: ──► a tunnel (SOCKS 5); the proxy looks the name up, in both cases

They are read for each connection, as the standard library does, so a change of the environment is seen at once. How
the tunnel is made is in `_tunnel.py`.
"""

from __future__ import annotations

import os
import sys
from base64 import b64encode
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from .._sansio.addresses import is_loopback
from ..errors import ConfigurationError

_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy. Its repr and str show no password.

    Attributes:
        scheme: what is spoken with it: "http", "https" or "socks5".
        user: whom it asks for, with `password`; empty when nobody.
    """

    scheme: str
    host: str
    port: int
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @property
    def is_socks(self) -> bool:
        """Whether it speaks SOCKS 5, and not HTTP."""
        return self.scheme == "socks5"

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """What an HTTP proxy is told besides the request: who we are (RFC 7617, in UTF-8)."""
        if not self.user and not self.password:
            return ()
        return (("Proxy-Authorization", f"Basic {b64encode(f'{self.user}:{self.password}'.encode()).decode()}"),)

    def __str__(self) -> str:
        """For messages."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"the proxy {self.scheme}://{host}:{self.port}"


def proxy_for(scheme: str, host: str, port: int) -> Proxy | None:
    """The proxy to use, or None for a direct connection.

    There is none for loopback: to a proxy that would be its own machine, and it could read the key, which plain
    `http://` to loopback is trusted with because it stays on this one.

    Raises:
        ConfigurationError: a proxy that can't be used, and what to do about it.
    """
    if is_loopback(host) or not _may_be_any():
        return None
    from urllib.request import getproxies

    proxies = getproxies()
    url = proxies.get(scheme) or proxies.get("all")
    if not url or _is_exempt(host, port, proxies.get("no", "")):
        return None
    return parse_proxy(url)


def _may_be_any() -> bool:
    # The module that knows has a web client in it, which most programs never need.
    return sys.platform in ("darwin", "win32") or any(name.lower().endswith("_proxy") for name in os.environ)


def parse_proxy(url: str) -> Proxy:
    """A proxy of its URL, which may lack the scheme.

    Raises:
        ConfigurationError: of another kind, or no URL. The text doesn't show it: it may hold a password.
    """
    kind, mark, rest = url.partition("://")
    if not mark:
        kind, rest = "http", url
    if (kind := kind.lower()) not in _PORTS:
        raise ConfigurationError(f"the environment names a proxy that speaks {kind}; use one of http, https or socks5")
    try:
        parts = urlsplit(f"//{rest}")
        port = _PORTS[kind] if parts.port is None else parts.port
    except ValueError:
        parts, port = urlsplit(""), 0
    if not parts.hostname:
        raise ConfigurationError(f"the environment names a proxy whose URL can't be read; write {kind}://HOST:PORT")
    return Proxy(
        "socks5" if kind == "socks5h" else kind,
        parts.hostname,
        port,
        unquote(parts.username or ""),
        unquote(parts.password or ""),
    )


def _is_exempt(host: str, port: int, exempt: str) -> bool:
    from urllib.request import proxy_bypass

    # The standard library knows "*" only when it stands alone; curl and httpx know it in a list too.
    if "*" in (name.strip() for name in exempt.split(",")):
        return True
    return bool(proxy_bypass(f"{host}:{port}") or proxy_bypass(host))
