"""Everything that is measured by requests: ours, other SDKs, and HTTP clients with pydantic.

A peer opens a client and gives a function that makes one call and checks that a completion came. To add one: a
function, and a line in PEERS. Each imports its library itself, because each runs in a process of its own.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from .ours import OURS, OURS_FAST, make_client
from .payloads import API_KEY, MESSAGES, MODEL, REQUEST

Call: TypeAlias = Callable[[], Awaitable[None]]
Peer: TypeAlias = Callable[[str, int], AbstractAsyncContextManager[Call]]

PATH = "/v1/chat/completions"
HEADERS = {"authorization": f"Bearer {API_KEY}", "accept": "application/json"}
PATIENCE = 600.0
"""Seconds; the timeout of all peers: none should meet it."""


def _relaydance(*, fast: bool) -> Peer:
    @asynccontextmanager
    async def peer(origin: str, in_flight: int) -> AsyncIterator[Call]:
        async with make_client(origin, in_flight, fast=fast) as client:

            async def call() -> None:
                answer = await client.chat.completions.create(model=MODEL, messages=MESSAGES)
                assert answer.choices[0].message.content

            yield call

    return peer


def _openai(*, aiohttp: bool) -> Peer:
    @asynccontextmanager
    async def peer(origin: str, in_flight: int) -> AsyncIterator[Call]:
        from openai import AsyncOpenAI, DefaultAioHttpClient

        http_client = DefaultAioHttpClient() if aiohttp else None
        url = f"{origin}/v1"
        async with AsyncOpenAI(
            api_key=API_KEY, base_url=url, http_client=http_client, max_retries=0, timeout=PATIENCE
        ) as client:
            messages: Any = MESSAGES

            async def call() -> None:
                answer = await client.chat.completions.create(model=MODEL, messages=messages)
                assert answer.choices[0].message.content

            yield call

    return peer


@asynccontextmanager
async def _httpx(origin: str, in_flight: int) -> AsyncIterator[Call]:
    import httpx

    limits = httpx.Limits(max_connections=in_flight, max_keepalive_connections=in_flight)
    async with httpx.AsyncClient(limits=limits, timeout=PATIENCE, headers=HEADERS) as client:
        yield _httpx_call(client, origin)


@asynccontextmanager
async def _httpx2(origin: str, in_flight: int) -> AsyncIterator[Call]:
    import httpx2

    limits = httpx2.Limits(max_connections=in_flight, max_keepalive_connections=in_flight)
    async with httpx2.AsyncClient(limits=limits, timeout=PATIENCE, headers=HEADERS) as client:
        yield _httpx_call(client, origin)


@asynccontextmanager
async def _httpx_aiohttp(origin: str, in_flight: int) -> AsyncIterator[Call]:
    import httpx
    from httpx_aiohttp import AiohttpTransport

    limits = httpx.Limits(max_connections=in_flight, max_keepalive_connections=in_flight)
    transport = AiohttpTransport(limits=limits)
    async with httpx.AsyncClient(transport=transport, timeout=PATIENCE, headers=HEADERS) as client:
        yield _httpx_call(client, origin)


def _httpx_call(client: Any, origin: str) -> Call:
    from .shapes import Completion

    url = origin + PATH

    async def call() -> None:
        response = await client.post(url, json=REQUEST)
        assert response.status_code == 200
        assert Completion.model_validate_json(response.content).choices[0].message.content

    return call


@asynccontextmanager
async def _aiohttp(origin: str, in_flight: int) -> AsyncIterator[Call]:
    import aiohttp

    from .shapes import Completion

    url = origin + PATH
    timeout = aiohttp.ClientTimeout(total=PATIENCE)
    connector = aiohttp.TCPConnector(limit=in_flight)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, headers=HEADERS) as session:

        async def call() -> None:
            async with session.post(url, json=REQUEST) as response:
                body = await response.read()
                assert response.status == 200
            assert Completion.model_validate_json(body).choices[0].message.content

        yield call


@asynccontextmanager
async def _socket(origin: str, in_flight: int) -> AsyncIterator[Call]:
    address = urlsplit(origin)
    host, port = address.hostname or "", address.port or 80
    idle: deque[_Socket] = deque()
    opened: list[_Socket] = []
    loop = asyncio.get_running_loop()

    async def call() -> None:
        if idle:
            connection = idle.pop()
        else:
            _, connection = await loop.create_connection(_Socket, host, port)
            opened.append(connection)
        body = json.dumps(REQUEST).encode()
        answer = await connection.ask(
            b"POST %b HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b" % (_PATH, len(body), body)
        )
        assert answer.startswith(b"HTTP/1.1 200")
        idle.append(connection)

    try:
        yield call
    finally:
        for connection in opened:
            connection.transport.close()


_PATH = PATH.encode()


class _Socket(asyncio.Protocol):
    """Takes it that the server says `content-length`, and parses nothing else: the floor under all clients."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self._buffer = b""
        self._answer: asyncio.Future[bytes] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        at = self._buffer.find(b"content-length: ")
        if end < 0 or len(self._buffer) < end + 4 + int(self._buffer[at + 16 : self._buffer.find(b"\r", at)]):
            return
        answer, self._buffer = self._buffer, b""
        assert self._answer is not None
        self._answer.set_result(answer)

    async def ask(self, request: bytes) -> bytes:
        self._answer = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await self._answer


SOCKET = "asyncio socket"
AIOHTTP = "aiohttp + pydantic"
HTTPX = "httpx + pydantic"
HTTPX_AIOHTTP = "httpx-aiohttp + pydantic"
HTTPX2 = "httpx2 + pydantic"
OPENAI = "openai"
OPENAI_AIOHTTP = "openai[aiohttp]"

PEERS: dict[str, Peer] = {
    OURS: _relaydance(fast=False),
    OURS_FAST: _relaydance(fast=True),
    SOCKET: _socket,
    AIOHTTP: _aiohttp,
    HTTPX: _httpx,
    HTTPX_AIOHTTP: _httpx_aiohttp,
    HTTPX2: _httpx2,
    OPENAI: _openai(aiohttp=False),
    OPENAI_AIOHTTP: _openai(aiohttp=True),
}
