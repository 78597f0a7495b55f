"""Proxies of the environment: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY, in either case.

httpx reads them only for its own transport, so a transport of ours reads them itself, as the standard library does.
"""

from __future__ import annotations

from importlib.util import find_spec
from urllib.request import getproxies, proxy_bypass

from .._sansio.addresses import is_loopback
from ..errors import ConfigurationError


def proxy_for(scheme: str, host: str, port: int, *, can_socks: bool) -> str | None:
    """The URL of the proxy to use, or None for a direct connection.

    There is none for loopback: to a proxy that would be its own machine, and it could read the key, which plain
    `http://` to loopback is trusted with because it stays on this one.

    Args:
        can_socks: whether the transport speaks SOCKS 5.

    Raises:
        ConfigurationError: a proxy that can't be used, and what to do about it.
    """
    if is_loopback(host):
        return None
    proxies = getproxies()
    proxy = proxies.get(scheme) or proxies.get("all")
    if not proxy or _is_exempt(host, port, proxies.get("no", "")):
        return None
    if "://" not in proxy:
        return f"http://{proxy}"
    _check_kind(proxy.partition("://")[0].lower(), can_socks=can_socks)
    return proxy


def has_socks_proxy() -> bool:
    """Whether a proxy of the environment speaks SOCKS, which aiohttp doesn't."""
    return any(proxy.lower().startswith("socks") for proxy in getproxies().values())


def _is_exempt(host: str, port: int, exempt: str) -> bool:
    # The standard library knows "*" only when it stands alone; curl and httpx know it in a list too.
    if "*" in (name.strip() for name in exempt.split(",")):
        return True
    return bool(proxy_bypass(f"{host}:{port}") or proxy_bypass(host))


def _check_kind(kind: str, *, can_socks: bool) -> None:
    if kind in ("http", "https"):
        return
    if kind not in ("socks5", "socks5h"):
        raise ConfigurationError(f"the environment names a proxy that speaks {kind}; use one of http, https or socks5")
    if not can_socks:
        raise ConfigurationError(
            "the environment names a SOCKS proxy, which aiohttp can't use: "
            'leave transport out, or pass transport="httpx"'
        )
    if find_spec("socksio") is None:
        raise ConfigurationError(
            'the environment names a SOCKS proxy, which needs another package: pip install "httpx[socks]"'
        )
