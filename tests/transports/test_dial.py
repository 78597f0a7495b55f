"""Connections to a host of several addresses."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from relaydance_async._transports import _dial
from relaydance_async._transports._dial import dial
from tests.kit.waiting import open_files, wait_until

pytestmark = pytest.mark.anyio

REFUSING, LISTENING = "127.0.0.2", "127.0.0.1"


@pytest.fixture
def kind() -> str:
    return "httpx"


@pytest.fixture
async def port() -> AsyncIterator[int]:
    # It never closes a connection first.
    server = await asyncio.get_running_loop().create_server(asyncio.Protocol, LISTENING, 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def resolve_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    async def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)


async def peer_of(port: int) -> str:
    transport, _ = await dial(asyncio.Protocol, "gateway.test", port, None)
    peer: str = transport.get_extra_info("peername")[0]
    transport.abort()
    return peer


async def test_after_an_address_that_refuses_comes_the_next(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_to(monkeypatch, REFUSING, LISTENING)
    assert await peer_of(port) == LISTENING


async def test_beside_an_address_that_is_silent_the_next_is_tried(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_to(monkeypatch, REFUSING, LISTENING)
    loop = asyncio.get_running_loop()
    connect = loop.create_connection

    async def create_connection(factory: Any, address: str, *args: Any, **options: Any) -> Any:
        if address == REFUSING:
            await asyncio.Event().wait()
        return await connect(factory, address, *args, **options)

    monkeypatch.setattr(loop, "create_connection", create_connection)
    monkeypatch.setattr(_dial, "NEXT_ADDRESS_SECONDS", 0.001)
    before = asyncio.all_tasks()
    assert await peer_of(port) == LISTENING
    await wait_until(lambda: asyncio.all_tasks() == before)


async def test_when_no_address_answers_it_is_an_os_error(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_to(monkeypatch, REFUSING, "127.0.0.3")
    with pytest.raises(ConnectionRefusedError):
        await peer_of(port)


@pytest.mark.parametrize("steps", range(12))
async def test_cancelled_at_any_step_it_leaves_no_socket(
    port: int, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve_to(monkeypatch, LISTENING, LISTENING)
    monkeypatch.setattr(_dial, "NEXT_ADDRESS_SECONDS", 0.0)
    files = open_files()
    task = asyncio.create_task(peer_of(port))
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await wait_until(lambda: open_files() <= files)
