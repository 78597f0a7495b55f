"""What the tests of dialling share: a protocol that notes everything, and names that lead where a test says."""

from __future__ import annotations

import asyncio
import logging
import ssl
import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import pytest

from relaydance_async._engine._dial import Dialer, Origin
from relaydance_async._engine._dial_error import DialError
from relaydance_async._engine._resolver import Addresses, Resolver
from relaydance_async._sansio.target import Network
from tests.kit.waiting import wait_until


class Heard(asyncio.Protocol):
    """Notes what its connection tells it."""

    transport: Any

    def __init__(self) -> None:
        self.made = 0
        self.data = b""
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.made += 1
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        assert self.made == 1
        self.data += data

    def connection_lost(self, exc: Exception | None) -> None:
        assert self.made == 1
        self.lost = True

    @property
    def peer(self) -> str:
        """The address that it leads to."""
        address: str = self.transport.get_extra_info("peername")[0]
        return address

    async def ask(self, target: str = "/", host: str = "gateway.test") -> bytes:
        """What comes back for a request, up to the end of the body that all our servers send."""
        self.data = b""
        self.transport.write(f"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        await wait_until(lambda: self.data.endswith(b"ok") or self.lost)
        return self.data

    async def close(self) -> None:
        """Close the connection and wait for its end."""
        self.transport.abort()
        await wait_until(lambda: self.lost)


class Names:
    """A resolver's look-up in which each name has the addresses that a test gives it.

    Attributes:
        asked: the names that were looked up, in the order in which that began.
        go_on: cleared, look-ups hang.
    """

    def __init__(self, addresses: Mapping[str, Addresses | Exception] | None = None) -> None:
        self.addresses = dict(addresses or {})
        self.asked: list[str] = []
        self.go_on = threading.Event()
        self.go_on.set()

    def __call__(self, host: str) -> Addresses:
        self.asked.append(host)
        assert self.go_on.wait(10)
        found = self.addresses[host]
        if isinstance(found, Exception):
            raise found
        return found


def a_dialer(
    *addresses: str, names: Names | None = None, network: Network = Network.ANY, context: ssl.SSLContext | None = None
) -> Dialer:
    """A dialer for which gateway.test has these addresses."""
    resolver = Resolver(names or Names({"gateway.test": addresses}))
    return Dialer(network, context=context, resolver=resolver)


def origin_of(url: str) -> Origin:
    """Of a URL."""
    parts = urlsplit(url)
    return Origin(parts.scheme, parts.hostname or "", parts.port or {"http": 80, "https": 443}[parts.scheme])


async def dialled(dialer: Dialer, url: str) -> Heard:
    """The protocol of a connection that was made."""
    made = await dialer.dial(origin_of(url), Heard)
    assert made.protocol.made == 1
    return made.protocol


async def failure(dialer: Dialer, url: str) -> DialError:
    """Why there is no connection."""
    try:
        await dialer.dial(origin_of(url), Heard)
    except DialError as error:  # in no variable: its traceback has this frame
        return error
    pytest.fail("there is a connection")


def says_nothing(caplog: pytest.LogCaptureFixture) -> bool:
    """Whether asyncio has nothing to tell the app's log."""
    return [record for record in caplog.records if record.name == "asyncio" and record.levelno > logging.DEBUG] == []
