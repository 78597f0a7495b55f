"""What a client keeps for each of many API keys: little, and only for so many."""

from __future__ import annotations

import asyncio
import gc
import re
import tracemalloc
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import pytest

from relaydance_async import AsyncRelayDance, AuthenticationError

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]

CHAT: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}

_KEY = re.compile(rb"(?i)authorization: bearer (\S+)")
_ANSWER = (
    b'{"id":"1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"finish_reason":"stop",'
    b'"message":{"role":"assistant","content":"ok"}}]}'
)


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Chats, and to those who are unknown the key that they sent. It remembers nothing, as the sandbox would."""
    while head := await _head(reader):
        length = re.search(rb"(?i)content-length: (\d+)", head)
        await reader.readexactly(int(length[1]) if length else 0)
        key = _KEY.search(head)
        assert key
        known = not key[1].startswith(b"sk-nobody")
        body = _ANSWER if known else b'{"error":{"message":"Invalid token %s","code":"invalid"}}' % key[1]
        status = b"200 OK" if known else b"401 Unauthorized"
        told = b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % (status, len(body))
        writer.write(told + body)
    writer.close()


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, asyncio.CancelledError):  # the test is over
        return b""


@asynccontextmanager
async def _client() -> AsyncGenerator[AsyncRelayDance, None]:
    server = await asyncio.start_server(_serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, AsyncRelayDance("sk-mine", base_url=f"http://127.0.0.1:{port}/v1", max_retries=0) as client:
        yield client


@pytest.fixture
def traced() -> Iterator[Callable[[], int]]:
    """The bytes that are in use."""

    def used() -> int:
        re.purge()  # the library's own memory of patterns
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        yield used
    finally:
        tracemalloc.stop()


Way = Callable[[AsyncRelayDance, str, list[object]], Awaitable[None]]
"""Uses a client with a key; what it puts into the list is held."""


async def held(client: AsyncRelayDance, key: str, holds: list[object]) -> None:
    view = client.with_options(api_key=f"sk-user-{key}")
    await view.chat.completions.create(**CHAT)
    holds.append(view)


async def given(client: AsyncRelayDance, key: str, holds: list[object]) -> None:
    await client.chat.completions.create(**CHAT, api_key=f"sk-user-{key}")


async def told(client: AsyncRelayDance, key: str, holds: list[object]) -> None:
    view: Any = client.with_options(api_key=f"sk-user-{key}")
    assert (await view.chat.completions.create(**CHAT)).meta.headers


async def refused(client: AsyncRelayDance, key: str, holds: list[object]) -> None:
    with pytest.raises(AuthenticationError, match=r"\*\*\*"):
        await client.chat.completions.create(**CHAT, api_key=f"sk-nobody-{key[:6]}")  # a longer one takes longer


async def grown(client: AsyncRelayDance, use: Way, used: Callable[[], int], first: int, more: int) -> float:
    """The bytes for each of so many keys, after those that came first. The least of three times: other tests have left
    things in this process that come and go."""
    holds: list[object] = []
    keys = (f"{number:06}-{'x' * 32}" for number in count())

    async def use_some(many: int) -> None:
        for _ in range(0, many, 10):
            await asyncio.gather(*(use(client, next(keys), holds) for _ in range(10)))

    async def growth() -> float:
        before = used()
        await use_some(more)
        return (used() - before) / more

    await use_some(first)
    return min([await growth() for _ in range(3)])


@pytest.mark.parametrize(("use", "more"), [(held, 300), (given, 300), (told, 300), (refused, 60)])
async def test_a_key_that_is_kept_takes_little(use: Way, more: int, traced: Callable[[], int]) -> None:
    async with _client() as client:
        assert 500 < await grown(client, use, traced, 60, more) < 4000  # 1,500 to 3,100, by chance and by Python


@pytest.mark.parametrize(("use", "more"), [(given, 500), (told, 500), (refused, 100)])
async def test_many_keys_take_no_more_than_those_that_are_kept(
    use: Way, more: int, traced: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relaydance_async._call.keys._REMEMBERED", 30)
    async with _client() as client:
        assert await grown(client, use, traced, 100, more) < 1000  # what the engine remembers of heads comes and goes
