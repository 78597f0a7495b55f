"""Those who wait for a connection: how many are made at a time, and whose what becomes free is."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import pytest

from relaydance_async import APIConnectionError, APITimeoutError
from relaydance_async._engine import Dialer, _line
from relaydance_async._sansio.timeout import Timeout
from relaydance_async._transports import Transport
from tests.kit.waiting import wait_until
from tests.transports.conftest import OURS, Maker
from tests.transports.support import OK, Peer, closed_port, fetch, over_every_transport, serve, silent_port

pytestmark = [*over_every_transport, pytest.mark.parametrize("kind", OURS)]


class Dials:
    """Counts the connections that are being made; each but the first ones waits until it may go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at_once: int, *, free: int = 0, beat: float = 600.0) -> None:
        self.under_way = 0
        self.most = 0
        self.begun = 0
        self.go_on = asyncio.Event()
        monkeypatch.setattr(_line, "DIALS", at_once)
        monkeypatch.setattr(_line, "BEAT", beat)
        dial = Dialer.dial

        async def counted(dialer: Dialer, *arguments: Any) -> Any:
            self.under_way += 1
            self.begun += 1
            self.most = max(self.most, self.under_way)
            try:
                if self.begun > free:
                    await self.go_on.wait()
                return await dial(dialer, *arguments)
            finally:
                self.under_way -= 1

        monkeypatch.setattr(Dialer, "dial", counted)


async def test_many_calls_at_once_make_a_bounded_number_of_connections_at_a_time(
    transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    dials = Dials(monkeypatch, 4)
    hold = anyio.Event()

    async def holding(peer: Peer) -> None:
        await server.read(peer)
        await hold.wait()
        await peer.send(OK)

    async with serve(holding) as server, anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(fetch, transport, server.url)
        await wait_until(lambda: dials.under_way == 4)
        assert transport.stats().open == 4
        dials.go_on.set()
        await wait_until(lambda: len(server.heads) == 20)  # the bound is one of dials, not of connections
        hold.set()
    assert (dials.most, server.connections) == (4, 20)


async def test_connections_that_take_long_to_make_hold_up_nobody_for_long(
    transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    dials = Dials(monkeypatch, 2, beat=0.02)
    async with serve() as server, anyio.create_task_group() as group:
        for _ in range(6):
            group.start_soon(fetch, transport, server.url)
        await wait_until(lambda: dials.under_way == 6)
        dials.go_on.set()
    assert len(server.heads) == 6


async def test_what_becomes_idle_is_the_firsts_who_waits(transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    dials = Dials(monkeypatch, 1, free=1)
    hold = anyio.Event()

    async def holding(peer: Peer) -> None:
        await server.read(peer)
        await hold.wait()
        await peer.send(OK)
        await server.answering(OK)(peer)

    async with serve(holding) as server, anyio.create_task_group() as group:
        group.start_soon(fetch, transport, server.url + "/0")
        await wait_until(lambda: len(server.heads) == 1)
        for number in range(1, 6):  # the first of them makes a connection, which takes long
            group.start_soon(fetch, transport, f"{server.url}/{number}")
            await wait_until(lambda: dials.begun == 2)
            await anyio.sleep(0.001)
        hold.set()
        await wait_until(lambda: len(server.heads) == 5)
        dials.go_on.set()
    assert [head.target[-1] for head in server.heads] == ["0", "2", "3", "4", "5", "1"]
    assert server.connections == 2


async def test_a_connection_that_can_not_be_made_costs_its_own_call_alone(
    transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    Dials(monkeypatch, 1).go_on.set()
    errors: list[APIConnectionError] = []

    async def call() -> None:
        with pytest.raises(APIConnectionError) as caught:
            await fetch(transport, url)
        errors.append(caught.value)

    url = closed_port()
    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(call)
    assert len(errors) == 5
    assert not any(error.maybe_accepted for error in errors)
    assert transport.stats() == (0, 0)


async def test_the_time_in_the_line_is_part_of_the_time_for_a_connection(
    transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    Dials(monkeypatch, 1).go_on.set()
    timeout = Timeout(0.2, 5.0, 5.0)

    async def call() -> None:
        with pytest.raises(APITimeoutError, match=r"no connection within 0\.2 s"):
            await fetch(transport, url, timeout=timeout)

    with silent_port() as url, anyio.fail_after(1):
        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(call)
    assert transport.stats() == (0, 0)


@pytest.mark.parametrize("turns", range(6))
async def test_whoever_leaves_the_line_takes_nothing_along(
    transport: Transport, monkeypatch: pytest.MonkeyPatch, turns: int
) -> None:
    """Also in the very turn in which something was handed over: what becomes idle, or the turn to make one."""
    dials = Dials(monkeypatch, 1, free=1)
    hold = anyio.Event()

    async def holding(peer: Peer) -> None:
        await server.read(peer)
        await hold.wait()
        await peer.send(OK)
        await server.answering(OK)(peer)

    async with serve(holding) as server, anyio.create_task_group() as group:
        group.start_soon(fetch, transport, server.url)
        await wait_until(lambda: len(server.heads) == 1)
        making = asyncio.ensure_future(fetch(transport, server.url))
        await wait_until(lambda: dials.begun == 2)
        first, second, third = (asyncio.ensure_future(fetch(transport, server.url)) for _ in range(3))
        await asyncio.sleep(0)
        making.cancel()  # its turn is the first one's now
        for _ in range(turns):
            await asyncio.sleep(0)
        first.cancel()
        await wait_until(lambda: dials.begun >= 3)
        hold.set()
        await asyncio.wait([third])
        second.cancel()
        await asyncio.wait([making, first, second])
        assert third.result() == (200, b"ok")
    assert transport.stats().open <= 1


async def test_closing_ends_the_line(maker: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    dials = Dials(monkeypatch, 1)
    transport = await maker.transport()
    async with serve() as server:
        calls = [asyncio.ensure_future(fetch(transport, server.url)) for _ in range(3)]
        await wait_until(lambda: dials.begun == 1)
        await transport.aclose()
        dials.go_on.set()
        done, _ = await asyncio.wait(calls, timeout=5)
    assert len(done) == 3
    for call in calls:
        error = call.exception()
        assert isinstance(error, APIConnectionError)
        assert (error.retryable, error.maybe_accepted) == (True, False)
    assert not server.heads
