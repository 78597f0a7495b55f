"""Calls of each main kind, as programs make and leave them. Each does one call, numbered from 0, and says nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress

import pytest

from relaydance_async import AsyncRelayDance, ChatStream, NotFoundError
from tests.kit.calls import HELLO, ask_chat, fetch_model, list_models, open_stream, submit_clip

Kind = Callable[[AsyncRelayDance, int], Awaitable[object]]

KEYS = [f"sk-other-{number}" for number in range(5)]
"""Of other users; the sandbox takes them."""

LONG = {"sandbox_chunks": 40}


async def create(client: AsyncRelayDance, n: int) -> None:
    await ask_chat(client)


async def stream(client: AsyncRelayDance, n: int) -> None:
    await open_stream(client)


async def _half_read(client: AsyncRelayDance) -> ChatStream:
    opened = await client.chat.completions.create(model="grok-4.3", messages=HELLO, stream=True, extra_body=LONG)
    await anext(aiter(opened))
    return opened


async def stream_left(client: AsyncRelayDance, n: int) -> None:
    async with await _half_read(client):
        pass


async def stream_dropped(client: AsyncRelayDance, n: int) -> None:
    await _half_read(client)


async def streaming_response_unread(client: AsyncRelayDance, n: int) -> None:
    async with client.chat.completions.with_streaming_response.create(model="grok-4.3", messages=HELLO):
        pass


async def raw_response(client: AsyncRelayDance, n: int) -> None:
    raw = await client.chat.completions.with_raw_response.create(model="grok-4.3", messages=HELLO)
    assert raw.parse().choices


async def failing(client: AsyncRelayDance, n: int) -> None:
    with pytest.raises(NotFoundError):
        await client.models.retrieve(f"none-{n}")


async def retried(client: AsyncRelayDance, n: int) -> None:
    await list_models(client)


async def cancelled(client: AsyncRelayDance, n: int) -> None:
    task = asyncio.create_task(ask_chat(client))
    for _ in range(n % 12):
        await asyncio.sleep(0)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def tracked(client: AsyncRelayDance, n: int) -> None:
    with client.track_usage() as usage:
        await ask_chat(client)
    assert usage.requests == 1


async def own_key(client: AsyncRelayDance, n: int) -> None:
    await client.models.retrieve("grok-4.3", api_key=KEYS[n % len(KEYS)])


async def view(client: AsyncRelayDance, n: int) -> None:
    await fetch_model(client.with_options(timeout=30 + n % 7, max_retries=1))


async def watched(client: AsyncRelayDance, n: int) -> None:
    """Two viewers, who leave before the end: one in order, one cancelled."""
    task = await submit_clip(client)

    async def look() -> None:
        async for _ in client.video.watch(task):
            pass

    other = asyncio.create_task(look())
    async with aclosing(client.video.watch(task)) as updates:
        await anext(updates)
    other.cancel()
    with suppress(asyncio.CancelledError):
        await other


KINDS: tuple[Kind, ...] = (
    create,
    stream,
    stream_left,
    stream_dropped,
    streaming_response_unread,
    raw_response,
    failing,
    retried,
    cancelled,
    tracked,
    own_key,
    view,
    watched,
)
