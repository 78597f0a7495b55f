"""What nobody closes, in a loop that goes on: clients and streams that become garbage give back what they hold."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import Any

import anyio
import httpx
import pytest

from relaydance_async import AsyncRelayDance, ChatStream
from relaydance_async.sandbox import FaultyProxy, Sandbox
from tests.kit.calls import HELLO, client_of, list_models
from tests.kit.probe import look_at
from tests.kit.waiting import wait_until


async def open_endless(client: AsyncRelayDance) -> ChatStream:
    """A stream that goes on for longer than any test."""
    slow = {"sandbox_chunks": 10_000, "sandbox_chunk_delay": 0.01}
    return await client.chat.completions.create(model="grok-4.3", messages=HELLO, stream=True, extra_body=slow)


@pytest.mark.anyio
async def test_a_client_that_is_dropped_in_a_loop_that_goes_on_leaves_no_connection(
    sandbox: Sandbox, transport: Any
) -> None:
    with FaultyProxy(sandbox.root_url) as proxy:
        for _ in range(5):
            client = client_of(sandbox, base_url=proxy.base_url, transport=transport)
            await asyncio.gather(*(list_models(client) for _ in range(5)))
            assert proxy.open_connections == 5
            del client
            await wait_until(lambda: proxy.open_connections == 0)


@pytest.mark.anyio
async def test_a_client_that_is_dropped_in_another_thread_leaves_no_connection(
    sandbox: Sandbox, transport: Any
) -> None:
    with FaultyProxy(sandbox.root_url) as proxy:
        held = [client_of(sandbox, base_url=proxy.base_url, transport=transport)]
        await list_models(held[0])
        thread = threading.Thread(target=held.clear)
        thread.start()
        await wait_until(lambda: proxy.open_connections == 0)
        thread.join()
        assert not held


@pytest.mark.anyio
async def test_a_stream_outlives_the_variable_of_its_client(sandbox: Sandbox, transport: Any) -> None:
    async def ask() -> ChatStream:
        client = client_of(sandbox, transport=transport)
        return await client.chat.completions.create(model="grok-4.3", messages=HELLO, stream=True)

    stream = await ask()
    gc.collect()
    assert (await stream.get_final_completion()).choices[0].message.content


async def forget_streams(sandbox: Sandbox, *, read: bool, **options: Any) -> None:
    with FaultyProxy(sandbox.root_url) as proxy:
        client = client_of(sandbox, base_url=proxy.base_url, max_concurrency=3, **options)
        for _ in range(5):
            streams = [await open_endless(client) for _ in range(2)]
            if read:
                await streams[0].__anext__()
            del streams
            gc.collect()
            with anyio.fail_after(5):
                assert (await client.models.list()).data  # there is a permit again
            await wait_until(lambda: look_at(client).permits == 0 and look_at(client).connections <= 1)
        await wait_until(lambda: proxy.open_connections <= 1)
        await client.aclose()


@pytest.mark.anyio
@pytest.mark.parametrize("read", [False, True], ids=["unread", "partly read"])
async def test_a_forgotten_stream_gives_permit_and_connection_back(
    sandbox: Sandbox, transport: Any, read: bool
) -> None:
    await forget_streams(sandbox, read=read, transport=transport)


def test_a_forgotten_stream_gives_permit_and_connection_back_under_trio(sandbox: Sandbox) -> None:
    async def both() -> None:
        async with httpx.AsyncClient() as http:
            await forget_streams(sandbox, read=False, http_client=http)

    anyio.run(both, backend="trio")


@pytest.mark.anyio
async def test_closing_a_client_closes_the_streams_that_nobody_reads_any_more(sandbox: Sandbox, transport: Any) -> None:
    with FaultyProxy(sandbox.root_url) as proxy:
        client = client_of(sandbox, base_url=proxy.base_url, transport=transport)
        stream = await open_endless(client)
        await client.aclose()
        await wait_until(lambda: proxy.open_connections == 0)
        await stream.aclose()


@pytest.mark.anyio
@pytest.mark.parametrize("steps", range(5))
async def test_closing_a_client_that_is_cancelled_closes_every_stream_even_so(
    sandbox: Sandbox, transport: Any, steps: int
) -> None:
    with FaultyProxy(sandbox.root_url) as proxy:
        client = client_of(sandbox, base_url=proxy.base_url, transport=transport)
        streams = [await open_endless(client) for _ in range(3)]
        closing = asyncio.create_task(client.aclose())
        for _ in range(steps):
            await asyncio.sleep(0)
        closing.cancel()
        await asyncio.wait([closing])
        if not steps:  # it had not begun
            await client.aclose()
        await wait_until(lambda: proxy.open_connections == 0)
        for stream in streams:
            await stream.aclose()
