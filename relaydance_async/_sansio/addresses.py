"""Which hosts are this machine, and which addresses are nobody's private ones."""

from __future__ import annotations

import ipaddress

from ..errors import DownloadError


def is_loopback(host: str) -> bool:
    """Whether the host is this machine by name or address."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """Whether anyone may have this address: not private, loopback, link-local, multicast, or reserved.

    An IPv6 address that stands for an IPv4 one (mapped, 6to4, Teredo, NAT64) is as public as that.

    Args:
        address: a literal, with or without a zone; what is none is not public.
    """
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    inner = _embedded(parsed) if isinstance(parsed, ipaddress.IPv6Address) else None
    if inner is not None:
        return _is_public(inner)
    return _is_public(parsed)


def check_public(host: str, address: str) -> None:
    """That the address which a host name has led to is a public one, for a request that may go to no other.

    It is checked as it is connected to: a name can have another address a moment after it was looked up.

    Raises:
        DownloadError: it is not.
    """
    if not is_public(address):
        raise DownloadError(f"the result's host {host} has the private address {address}", kind="refused host")


def _embedded(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo is not None else None)


def _is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address) and address.is_site_local:
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved
