"""Everything that we need of other packages' private names, one small function for each need.

Each name has a test in `tests/transports/test_private_names.py`, which fails by that name when a release drops it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import aiohttp


# aiohttp


@cache
def checking_connector() -> Callable[..., aiohttp.TCPConnector]:
    """A connector that asks before it lends out a connection.

    Its first argument is `usable(transport)`: whether an idle connection may be lent out. Its second is
    `connected(connection)`, called, and awaited unless it returns None, just before a request is written to that
    connection. What this raises gives the connection back.
    """
    import aiohttp

    class Connector(aiohttp.TCPConnector):
        def __init__(self, usable: Callable[[Any], bool], connected: Callable[[Any], Any], **options: Any) -> None:
            super().__init__(**options)  # pyright: ignore[reportUnknownMemberType]
            self._is_usable = usable
            self._tell = connected

        async def connect(self, req: Any, traces: Any, timeout: Any) -> Any:  # noqa: ASYNC109  (aiohttp's signature)
            connection = await super().connect(req, traces, timeout)
            try:
                waiting = self._tell(connection)
                if waiting is not None:
                    await waiting
            except BaseException:
                connection.release()
                raise
            return connection

        async def _get(self, key: Any, traces: Any) -> Any:
            # aiohttp looks for bytes after an answer only when it puts a connection back. What comes while it is idle
            # (a 408 of a server that has waited long enough) would be taken for the next answer.
            while (connection := await super()._get(key, traces)) is not None:
                protocol = connection.protocol
                if protocol is not None and not protocol.should_close and self._is_usable(protocol.transport):
                    break
                connection.close()
            return connection

    return Connector


def open_transports(session: aiohttp.ClientSession) -> list[asyncio.Transport]:
    """The connections of a session, idle ones included."""
    connector: Any = session.connector
    if connector is None:
        return []
    protocols: list[Any] = list(connector._acquired)
    protocols += [protocol for idle in connector._conns.values() for protocol, _ in idle]
    transports = [getattr(protocol, "transport", None) for protocol in protocols]
    return [transport for transport in transports if transport is not None]


def count_connections(session: aiohttp.ClientSession) -> tuple[int, int]:
    """How many connections a session has open, idle ones included, and how many of them are idle."""
    connector: Any = session.connector
    if connector is None:
        return 0, 0
    idle = sum(map(len, connector._conns.values()))
    return idle + len(connector._acquired), idle


def close_now(session: aiohttp.ClientSession) -> None:
    """What `close()` begins with, without the task that `close()` goes on in. Some releases renamed it."""
    connector: Any = session.connector
    session.detach()
    close = getattr(connector, "_close", None) or connector._close_immediately
    close()


def send_only_once(session: aiohttp.ClientSession) -> None:
    """Have it not send a GET a second time by itself, unseen by the list of attempts and the back-off.

    There is no public switch; aiohttp's own test client turns it off like this.
    """
    session._retry_connection = False  # pyright: ignore[reportPrivateUsage]


# httpcore


def has_leftovers(connection: Any) -> bool:
    """Whether bytes came after the last answer. httpcore would take them for the next one; it has no public look."""
    while connection is not None:
        if (parser := getattr(connection, "_h11_state", None)) is not None:
            return bool(parser.trailing_data[0])
        inner = getattr(connection, "_connection", None)
        connection = inner or next(iter(getattr(connection, "connections", ())), None)
    return False


# httpx and httpx2


def tells_when_it_sends(client: Any) -> bool:
    """Whether all transports of a client are its library's own, which tell the `trace` extension what they do."""
    mounts: dict[Any, Any] = getattr(client, "_mounts", {})
    others = [transport for transport in mounts.values() if transport is not None]
    return all(_is_librarys_own(transport) for transport in [getattr(client, "_transport", None), *others])


def _is_librarys_own(transport: object) -> bool:
    kind = type(transport)
    return kind.__name__ == "AsyncHTTPTransport" and kind.__module__.partition(".")[0] in ("httpx", "httpx2")


# asyncio


def transport_of(loop: asyncio.AbstractEventLoop, fileno: int) -> Any:
    """The loop's transport for this descriptor, or None. Some loops (uvloop, Windows) keep no such table."""
    return getattr(loop, "_transports", {}).get(fileno)


def finish_closing(transport: Any) -> None:
    """Do what an aborted transport leaves to a callback, which a closed loop has dropped."""
    with suppress(RuntimeError):  # somebody still waits for it, in a loop that never goes on
        transport._call_connection_lost(None)
