"""Sockets: listening, and closing rudely."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import struct
from contextlib import suppress
from typing import Any

LINGER_RESET = struct.pack("ii", 1, 0)
BACKLOG = 4096
ACCEPT_TURNS = 3
"""Turns of the loop from an accepted socket to a connection that is known."""


def bind_socket(host: str, port: int, *, listen: bool = True) -> socket.socket:
    """A listening socket; bound before any thread starts, so that the port is known and no early caller is refused.

    Without `listen` it only holds the port: whoever connects is refused, and nobody else can take it.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named: asyncio sets TCP_NODELAY only on sockets that say TCP, and without it each answer on a
    # kept connection waits 40 ms for an acknowledgement.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        if listen:
            sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise OSError(error.errno, f"cannot listen on {host}:{port}: {error.strerror}") from None
    return sock


async def stop_accepting(*sockets: socket.socket) -> None:
    """Let what is accepted become a connection: once its server is closed, asyncio drops such a socket unclosed."""
    with suppress(NotImplementedError):  # Windows
        for sock in sockets:
            asyncio.get_running_loop().remove_reader(sock)
    for _ in range(ACCEPT_TURNS):
        await asyncio.sleep(0)


def origin_of(sock: socket.socket, scheme: str = "http") -> str:
    """Such as "http://127.0.0.1:8080"."""
    host, port = sock.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine: "localhost", or a literal address of it."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def reset_transport(transport: asyncio.WriteTransport) -> None:
    """Close with a TCP RST instead of a FIN."""
    sock: Any = transport.get_extra_info("socket")
    if sock is not None and not transport.is_closing() and sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RESET)
    transport.abort()
