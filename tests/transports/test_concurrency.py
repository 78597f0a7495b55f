"""Many calls at once: no more connections than permits, and in turn."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import anyio
import anyio.abc
import anyio.lowlevel

from relaydance_async import AsyncRelayDance
from relaydance_async._limits import Kind
from relaydance_async._limits._shares import most_of
from tests.kit.probe import look_at
from tests.kit.waiting import wait_until
from tests.transports.conftest import Maker
from tests.transports.support import Peer, Script, Server, as_json, over_every_transport, serve

pytestmark = over_every_transport

MODEL = as_json(b'{"id":"m","object":"model","created":1,"owned_by":"x"}')


def numbers(server: Server) -> list[int]:
    """The calls in the order in which they arrived."""
    return [int(head.target.rpartition("/m")[2]) for head in server.heads]


def holding(server: Server, ready: anyio.Event) -> Script:
    """Answer nobody before `ready`."""

    async def run(peer: Peer) -> None:
        while True:
            await server.read(peer)
            await ready.wait()
            await peer.send(MODEL)

    return run


async def begin_in_order(
    group: anyio.abc.TaskGroup, client: AsyncRelayDance, call: Callable[[int], Coroutine[Any, Any, object]], count: int
) -> None:
    """Begin calls, each once the one before has a permit or waits for one (trio begins tasks in any order)."""
    for number in range(count):
        group.start_soon(call, number)
        while look_at(client).permits + look_at(client).queued <= number:
            await anyio.lowlevel.checkpoint()


async def test_500_calls_at_once_open_no_more_connections_than_there_are_permits(maker: Maker) -> None:
    ready = anyio.Event()
    most = most_of(Kind.POLL, 50)
    async with serve() as server:
        server.run = holding(server, ready)
        client = maker.client(server.url, max_concurrency=50)
        async with anyio.create_task_group() as group:
            await begin_in_order(group, client, lambda number: client.models.retrieve(f"m{number}"), 500)
            await wait_until(lambda: len(server.heads) == most)
            ready.set()
    assert len(server.heads) == 500
    assert server.most_open == most
    if maker.is_ours:
        # httpx's own pool keeps 20 idle ones and opens others for the rest, whose requests fall behind.
        assert server.connections == most
        # Only those that are under way together may overtake each other.
        assert max(abs(place - number) for place, number in enumerate(numbers(server))) < 2 * 50


async def test_no_newcomer_overtakes_those_that_wait(maker: Maker) -> None:
    ready = anyio.Event()
    async with serve() as server:
        server.run = holding(server, ready)
        client = maker.client(server.url, max_concurrency=1)
        async with anyio.create_task_group() as group:

            async def call(number: int) -> None:
                await client.models.retrieve(f"m{number}")
                if number < 10:  # a new one comes at the very moment at which a permit is given back
                    group.start_soon(call, 20 + number)

            await begin_in_order(group, client, call, 20)
            ready.set()
    assert numbers(server) == list(range(30))
