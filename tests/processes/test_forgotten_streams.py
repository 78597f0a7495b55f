"""Streams that nobody closes give back what they hold as soon as they are forgotten, without the garbage collector."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import anyio
import pytest

from relaydance_async import AsyncRelayDance, ChatStream, StreamError
from relaydance_async.sandbox import Fault, Sandbox
from tests.kit.calls import HELLO, client_of, list_models
from tests.kit.probe import watch
from tests.kit.routes import CHAT
from tests.kit.waiting import wait_until

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.filterwarnings("default:Unclosed"),  # aiohttp tells of it in debug mode
]

STREAMS = 20


@pytest.fixture(autouse=True)
def without_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


async def open_endless(client: AsyncRelayDance) -> ChatStream:
    """A stream that goes on for longer than any test."""
    slow = {"sandbox_chunks": 10_000, "sandbox_chunk_delay": 0.01}
    return await client.chat.completions.create(model="grok-4.3", messages=HELLO, stream=True, extra_body=slow)


async def forget_unread(client: AsyncRelayDance) -> None:
    await open_endless(client)


async def forget_after_one(client: AsyncRelayDance) -> None:
    await anext(await open_endless(client))


async def forget_after_break(client: AsyncRelayDance) -> None:
    stream = await open_endless(client)
    async for _ in stream:
        break


async def forget_with_a_deadline(client: AsyncRelayDance) -> None:
    await anext(await open_endless(client.with_options(deadline=60)))


async def forget_its_iterator(client: AsyncRelayDance) -> None:
    chunks = aiter(await open_endless(client))
    await anext(chunks)


async def forget_after_an_exception(client: AsyncRelayDance) -> None:
    try:
        async for _ in await open_endless(client):
            raise LookupError
    except LookupError:
        return


async def held(client: AsyncRelayDance) -> Callable[[], tuple[int, int, int]]:
    """Counts permits in use, open connections, and tasks of this loop."""
    look = await watch(client)
    return lambda: (look().permits, look().connections, len(asyncio.all_tasks()))


FORGETFUL = [
    *(forget_unread, forget_after_one, forget_after_break, forget_with_a_deadline),
    *(forget_its_iterator, forget_after_an_exception),
]


@pytest.mark.parametrize("forget", FORGETFUL)
async def test_forgotten_streams_hold_nothing(
    sandbox: Sandbox, transport: Any, forget: Callable[[AsyncRelayDance], Awaitable[None]]
) -> None:
    client = client_of(sandbox, transport=transport)
    now = await held(client)
    tasks = len(asyncio.all_tasks())
    for _ in range(STREAMS):
        await forget(client)
    await wait_until(lambda: now() == (0, 0, tasks))
    await client.aclose()


async def test_many_forgotten_streams_do_not_keep_the_next_call_waiting(sandbox: Sandbox, transport: Any) -> None:
    client = client_of(sandbox, transport=transport, max_concurrency=10)
    with anyio.fail_after(20):
        for _ in range(100):
            await forget_after_break(client)
        assert (await client.models.list()).data
    await client.aclose()


async def fail(client: AsyncRelayDance) -> weakref.ref[ChatStream]:
    stream = await client.chat.completions.create(model="grok-4.3", messages=HELLO, stream=True)
    try:
        await stream.get_final_completion()
    except StreamError:
        return weakref.ref(stream)
    raise AssertionError("it should have failed")


BREAKS = {
    "an error event": Fault(CHAT, stream_error_after=2),
    "a cut connection": Fault(CHAT, cut_stream_after=2),
    "no finish_reason": Fault(CHAT, truncate_stream_after=2),
}


@pytest.mark.parametrize("case", BREAKS)
async def test_an_error_keeps_its_stream_for_no_longer_than_itself(sandbox: Sandbox, transport: Any, case: str) -> None:
    sandbox.faults.add(BREAKS[case])
    client = client_of(sandbox, transport=transport)
    assert (await fail(client))() is None
    await list_models(client)
    gc.set_debug(gc.DEBUG_SAVEALL)
    gc.collect()
    garbage: list[object] = gc.garbage
    ours = [type(item).__name__ for item in garbage if type(item).__module__.startswith("relaydance_async.resources")]
    decoders = [type(item).__name__ for item in garbage if type(item).__module__.endswith("chat_stream")]
    gc.set_debug(0)
    gc.garbage.clear()
    assert ours == decoders == []
    await client.aclose()


async def test_a_cancelled_reader_leaves_no_stream(sandbox: Sandbox, transport: Any) -> None:
    client = client_of(sandbox, transport=transport)
    found: list[weakref.ref[ChatStream]] = []

    async def read() -> None:
        stream = await open_endless(client)
        found.append(weakref.ref(stream))
        async for _ in stream:
            pass

    reader = asyncio.create_task(read())
    await wait_until(lambda: bool(found))
    reader.cancel()
    await asyncio.wait([reader])
    del reader
    await wait_until(lambda: found[0]() is None)
    await client.aclose()
