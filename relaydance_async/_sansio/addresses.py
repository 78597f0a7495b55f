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


def _networks(*networks: str) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    return tuple(map(ipaddress.ip_network, networks))


# IANA's registries of special-purpose addresses (RFC 6890), as of 2026, and not what `ipaddress` knows of them: that
# differs by Python's release, and 3.11 takes some private networks for public ones. The few addresses in 192.0.0.0/24
# and 2001::/23 that anyone may reach are of protocols (anycast of PCP, TURN, AS112), not of hosts that serve files.
_SPECIAL_IPV4 = _networks(
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24"),
    *("192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
    *("224.0.0.0/4", "240.0.0.0/4"),  # multicast, and reserved with broadcast
)
# All that has been given out for global unicast; loopback, local, multicast and documentation networks lie outside.
_GLOBAL_IPV6 = ipaddress.IPv6Network("2000::/3")
_SPECIAL_IPV6 = _networks("2001::/23", "2001:db8::/32", "3fff::/20")

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


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
    if isinstance(parsed, ipaddress.IPv4Address):
        return _is_public_ipv4(parsed)
    inner = _embedded(parsed)
    if inner:
        return all(map(_is_public_ipv4, inner))
    return parsed in _GLOBAL_IPV6 and not any(parsed in network for network in _SPECIAL_IPV6)


def check_public(host: str, address: str) -> None:
    """That the address which a host name has led to is a public one, for a request that may go to no other.

    It is checked as it is connected to: a name can have another address a moment after it was looked up.

    Raises:
        DownloadError: it is not.
    """
    if not is_public(address):
        raise DownloadError(f"the host {host} has the private address {address}", kind="refused host")


def _is_public_ipv4(address: ipaddress.IPv4Address) -> bool:
    return not any(address in network for network in _SPECIAL_IPV4)


def _embedded(address: ipaddress.IPv6Address) -> tuple[ipaddress.IPv4Address, ...]:
    """The IPv4 addresses that it stands for."""
    if address in _NAT64:
        return (ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF),)
    if address.teredo is not None:
        return address.teredo  # the server and the client
    inner = address.ipv4_mapped or address.sixtofour
    return () if inner is None else (inner,)
