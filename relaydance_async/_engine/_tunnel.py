"""A way through a proxy to an origin: CONNECT (RFC 9110 section 9.3.6) or SOCKS 5 (RFC 1928, RFC 1929).

    CONNECT:  request ──► head of an answer ──2xx──► the tunnel is there
                              │ ▲ 1xx: the next head      else: refused, with its status
                              └─┘
    SOCKS 5:  methods ──► the one it wants ──► [user and password ──► yes] ──► CONNECT ──► address ──► the tunnel

The proxy is a stranger: the head of its answer is bounded in bytes and the whole talk in seconds, and what it says
reaches a message as one line without our password. In a tunnel the client speaks first, so bytes that come before are
refused: they would be taken for the origin's.

SOCKS 5 is written out here. `socksio`, which httpx uses, takes only whole messages, so that the framing, which is most
of the work, would be ours all the same; its last release is of 2020.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re

from .._sansio.breakage import as_line, is_passing_refusal
from ._dial_error import DialError
from ._proxy import Proxy
from ._wire import Wire

MOST_HEAD_BYTES = 32 * 1024
MOST_INTERIM_ANSWERS = 5
TALK_SECONDS = 30.0
"""For the whole talk: the proxy looks the name up and connects meanwhile."""

_STATUS_LINE = re.compile(rb"HTTP/1\.[0-9] ([1-9][0-9]{2})(?: ([^\r\n]*))?\r\n")


async def open_tunnel(wire: Wire, proxy: Proxy, host: str, port: int) -> None:
    """Have the proxy connect to the origin; from then on the wire leads there.

    Raises:
        DialError: of the kind "proxy". The wire is then of no more use; whoever made it aborts it.
    """
    talk = _socks if proxy.is_socks else _connect
    try:
        async with asyncio.timeout(TALK_SECONDS):
            await talk(wire, proxy, host, port)
    except TimeoutError:
        raise DialError("proxy", f"no answer within {TALK_SECONDS:g} s") from None
    except EOFError:
        raise DialError("proxy", "it closed the connection without an answer") from None
    if wire.has_arrivals:
        raise _refusal("it sent bytes of its own through the tunnel")


async def _connect(wire: Wire, proxy: Proxy, host: str, port: int) -> None:
    authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}"]
    lines += [f"{name}: {value}" for name, value in proxy.headers]
    wire.send("\r\n".join([*lines, "", ""]).encode())
    status, reason = await _final_answer(wire)
    if status >= 300:
        raise DialError("proxy", _told(f"{status} {reason}", proxy), retryable=is_passing_refusal(status))


async def _final_answer(wire: Wire) -> tuple[int, str]:
    """Status and reason of the answer, after some interim ones."""
    left = MOST_HEAD_BYTES
    for _ in range(MOST_INTERIM_ANSWERS + 1):
        head = await wire.read_until(b"\r\n\r\n", left)
        if head is None:
            raise _refusal(f"its answer's head has more than {MOST_HEAD_BYTES} bytes")
        left -= len(head)
        line = _STATUS_LINE.match(head)
        if line is None:
            raise _refusal("it answered with something else than HTTP/1.1")
        status, reason = int(line[1]), (line[2] or b"").decode("latin-1")
        if status >= 200:
            return status, reason
    raise _refusal(f"it gave more than {MOST_INTERIM_ANSWERS} interim answers")


_NO_PASSWORD, _PASSWORD = 0, 2

_SOCKS_REFUSALS = {
    1: "general failure",
    2: "not allowed by its rules",
    3: "network unreachable",
    4: "host unreachable",
    5: "connection refused",
    6: "time to live expired",
    7: "it can't connect",
    8: "it knows no such address",
}
_PASSING = (1, 3, 4, 5, 6)


async def _socks(wire: Wire, proxy: Proxy, host: str, port: int) -> None:
    has_password = bool(proxy.user or proxy.password)
    methods = bytes([_NO_PASSWORD, _PASSWORD] if has_password else [_NO_PASSWORD])
    wire.send(bytes([5, len(methods)]) + methods)
    version, method = await wire.read(2)
    if version != 5:
        raise _refusal("it answered with something else than SOCKS 5")
    if method == _PASSWORD and has_password:
        await _log_in(wire, proxy)
    elif method != _NO_PASSWORD:
        raise DialError("proxy", "it wants another way of authentication", retryable=False)
    wire.send(b"\x05\x01\x00" + _socks_address(host) + port.to_bytes(2, "big"))
    version, reply, _, kind = await wire.read(4)
    if version != 5:
        raise _refusal("it answered with something else than SOCKS 5")
    if reply != 0:
        text = f"SOCKS error {reply}, {_SOCKS_REFUSALS.get(reply, 'unknown')}"
        raise DialError("proxy", text, retryable=reply in _PASSING)
    # The address that it connects from is of no interest, but has to be read.
    lengths = {1: 4, 4: 16}
    length = (await wire.read(1))[0] if kind == 3 else lengths.get(kind)
    if length is None:
        raise _refusal("it answered with an unknown kind of address")
    await wire.read(length + 2)


async def _log_in(wire: Wire, proxy: Proxy) -> None:
    user, password = proxy.user.encode(), proxy.password.encode()
    if max(len(user), len(password)) > 255:
        raise DialError("proxy", "SOCKS takes no user or password of more than 255 bytes", retryable=False)
    wire.send(bytes([1, len(user)]) + user + bytes([len(password)]) + password)
    _, status = await wire.read(2)
    if status != 0:
        raise DialError("proxy", "it does not take the user and password", retryable=False)


def _socks_address(host: str) -> bytes:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        name = host.encode("ascii")
        if len(name) > 255:
            raise DialError("proxy", "SOCKS takes no name of more than 255 bytes", retryable=False) from None
        return bytes([3, len(name)]) + name
    return bytes([1 if address.version == 4 else 4]) + address.packed


def _refusal(text: str) -> DialError:
    return DialError("proxy", text)


def _told(text: str, proxy: Proxy) -> str:
    """What it says, as one line of bounded length, without what may be our own password."""
    for secret in (proxy.password, *(value.removeprefix("Basic ") for _, value in proxy.headers)):
        if secret:
            text = text.replace(secret, "***")
    return as_line("".join(character for character in text if character.isprintable()))
