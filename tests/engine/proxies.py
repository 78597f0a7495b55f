"""Proxies: real ones, in a process of their own, and one that says what a test wants."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import anyio
import pytest

from tests.kit.waiting import block_until
from tests.transports.support import Gone, Peer, Server, serve

EVERYWHERE = "0.0.0.0"
"""This machine by an address that is not loopback's, to which proxies are used. Linux connects it to loopback."""

ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"


def free_port() -> int:
    """One that nobody listens at."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port: int = unused.getsockname()[1]
        return port


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def _running(command: Sequence[str], port: int) -> Generator[int, None, None]:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            block_until(lambda: _listens(port))
            yield port
        finally:
            process.terminate()


@contextmanager
def tinyproxy(folder: Path, *lines: str) -> Generator[int, None, None]:
    """The port of a tinyproxy with these lines in its configuration."""
    port = free_port()
    settings = [f"Port {port}", "Listen 127.0.0.1", "Timeout 20", "MaxClients 20", *lines]
    (folder / "tinyproxy.conf").write_text("\n".join([*settings, ""]))
    with _running(["tinyproxy", "-d", "-c", str(folder / "tinyproxy.conf")], port):
        yield port


@contextmanager
def microsocks(*options: str) -> Generator[int, None, None]:
    """The port of a SOCKS proxy with these options."""
    port = free_port()
    with _running(["microsocks", "-i", "127.0.0.1", "-p", str(port), *options], port):
        yield port


Talk = Callable[[Peer], Awaitable[None]]


@asynccontextmanager
async def a_proxy(target: int, talk: Talk, *, tls: ssl.SSLContext | None = None) -> AsyncGenerator[Server, None]:
    """One that says to each connection what `talk` does, and then tunnels it to that port."""

    async def run(peer: Peer) -> None:
        await talk(peer)
        await _tunnel(peer, target)

    async with serve(run, tls=tls) as server:
        yield server


async def _tunnel(peer: Peer, target: int) -> None:
    async with await anyio.connect_tcp("127.0.0.1", target) as upstream, anyio.create_task_group() as group:

        async def back() -> None:
            try:
                async for data in upstream:
                    await peer.send(data)
            except (Gone, anyio.BrokenResourceError, anyio.EndOfStream):  # TLS tells the end by the last of these
                pass
            group.cancel_scope.cancel()

        group.start_soon(back)
        try:
            while True:
                await upstream.send(await peer.receive())
        except (Gone, anyio.BrokenResourceError):
            group.cancel_scope.cancel()


def saying(*pieces: bytes, heads: list[str] | None = None) -> Talk:
    """Read the head of a request, then give these pieces, each in a packet of its own."""

    async def talk(peer: Peer) -> None:
        head = await peer.read_head()
        if heads is not None:
            heads.append("\n".join([f"{head.method} {head.target}", *map(": ".join, head.headers)]))
        for piece in pieces:
            await peer.send(piece)
            await asyncio.sleep(0.001)

    return talk


def one_by_one(data: bytes) -> list[bytes]:
    """Its bytes, each alone."""
    return [data[index : index + 1] for index in range(len(data))]
