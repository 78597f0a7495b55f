"""Proxies of the environment: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY, in either case.

httpx reads them only for its own transport, so a transport of ours reads them itself, as the standard library does.
"""

from __future__ import annotations

from urllib.request import getproxies, proxy_bypass

from .._sansio.addresses import is_loopback


def proxy_for(scheme: str, host: str, port: int) -> str | None:
    """The URL of the proxy to use, or None for a direct connection.

    There is none for loopback: to a proxy that would be its own machine, and it could read the key, which plain
    `http://` to loopback is trusted with because it stays on this one.
    """
    if is_loopback(host):
        return None
    proxies = getproxies()
    proxy = proxies.get(scheme) or proxies.get("all")
    if not proxy or proxy_bypass(f"{host}:{port}") or proxy_bypass(host):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def has_socks_proxy() -> bool:
    """Whether a proxy of the environment speaks SOCKS, which aiohttp doesn't."""
    return any(proxy.startswith("socks") for proxy in getproxies().values())
