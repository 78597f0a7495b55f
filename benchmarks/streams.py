"""Everything that is measured by streams: each opens a client and gives an iterator over one answer's typed chunks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeAlias

from .ours import OURS, OURS_FAST, make_client
from .payloads import API_KEY, MESSAGES, MODEL, STREAM_REQUEST
from .peers import HEADERS, OPENAI, OPENAI_AIOHTTP, PATH, PATIENCE
from .shapes import Chunk

Stream: TypeAlias = Callable[[], AsyncIterator[Any]]
Streamer: TypeAlias = Callable[[str], AbstractAsyncContextManager[Stream]]


def _relaydance(*, fast: bool) -> Streamer:
    @asynccontextmanager
    async def streamer(origin: str) -> AsyncIterator[Stream]:
        async with make_client(origin, 4, fast=fast) as client:

            async def stream() -> AsyncIterator[Any]:
                async with await client.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True) as chunks:
                    async for chunk in chunks:
                        yield chunk

            yield stream

    return streamer


def _openai(*, aiohttp: bool) -> Streamer:
    @asynccontextmanager
    async def streamer(origin: str) -> AsyncIterator[Stream]:
        from openai import AsyncOpenAI, DefaultAioHttpClient

        http_client = DefaultAioHttpClient() if aiohttp else None
        async with AsyncOpenAI(api_key=API_KEY, base_url=f"{origin}/v1", http_client=http_client) as client:
            messages: Any = MESSAGES

            async def stream() -> AsyncIterator[Any]:
                async with await client.chat.completions.create(model=MODEL, messages=messages, stream=True) as chunks:
                    async for chunk in chunks:
                        yield chunk

            yield stream

    return streamer


@asynccontextmanager
async def _httpx_sse(origin: str) -> AsyncIterator[Stream]:
    import httpx
    from httpx_sse import aconnect_sse

    async with httpx.AsyncClient(timeout=PATIENCE, headers=HEADERS) as client:

        async def stream() -> AsyncIterator[Any]:
            async with aconnect_sse(client, "POST", origin + PATH, json=STREAM_REQUEST) as source:
                async for event in source.aiter_sse():
                    if event.data != "[DONE]":
                        yield Chunk.model_validate_json(event.data)

        yield stream


@asynccontextmanager
async def _httpx(origin: str) -> AsyncIterator[Stream]:
    import httpx

    async with httpx.AsyncClient(timeout=PATIENCE, headers=HEADERS) as client:

        async def stream() -> AsyncIterator[Any]:
            async with client.stream("POST", origin + PATH, json=STREAM_REQUEST) as response:
                async for chunk in _split(response.aiter_bytes()):
                    yield chunk

        yield stream


@asynccontextmanager
async def _aiohttp(origin: str) -> AsyncIterator[Stream]:
    import aiohttp

    async with aiohttp.ClientSession(headers=HEADERS) as session:

        async def stream() -> AsyncIterator[Any]:
            async with session.post(origin + PATH, json=STREAM_REQUEST) as response:
                async for chunk in _split(response.content.iter_any()):
                    yield chunk

        yield stream


async def _split(pieces: AsyncIterator[bytes]) -> AsyncIterator[Chunk]:
    """The least that can be called a parser: it knows LF LF and `data: `, and nothing else of the standard."""
    rest = b""
    async for piece in pieces:
        *events, rest = (rest + piece).split(b"\n\n")
        for event in events:
            if event != b"data: [DONE]":
                yield Chunk.model_validate_json(event[6:])


BARE_HTTPX = "bare parser, httpx"
BARE_AIOHTTP = "bare parser, aiohttp"
HTTPX_SSE = "httpx-sse + pydantic"

STREAMERS: dict[str, Streamer] = {
    OURS: _relaydance(fast=False),
    OURS_FAST: _relaydance(fast=True),
    BARE_AIOHTTP: _aiohttp,
    BARE_HTTPX: _httpx,
    HTTPX_SSE: _httpx_sse,
    OPENAI: _openai(aiohttp=False),
    OPENAI_AIOHTTP: _openai(aiohttp=True),
}
