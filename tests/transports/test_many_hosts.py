"""Clips come from thousands of hosts; what is remembered for each must not pile up."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import asyncio
import contextvars
from typing import Any

import pytest

from relaydance_async._engine._dial import Origin
from relaydance_async._engine._outgoing import Heads
from relaydance_async._engine._pool import IdleLimits, Pool
from tests.transports.support import wire

pytestmark = pytest.mark.anyio

HOSTS = 10_000


@pytest.fixture
def kind() -> str:
    return "direct"


def origin_of(number: int) -> Origin:
    return Origin("https", f"host-{number}.example", 443)


def test_what_is_remembered_of_the_heads_of_10_000_hosts_is_bounded() -> None:
    heads = Heads()
    for number in range(HOSTS):
        request = wire(f"https://host-{number}.example/clip.mp4", headers={"x-number": str(number)})
        origin, host, target = heads.split(request.url)
        assert (origin, target) == (origin_of(number), "/clip.mp4")
        assert f"host: {host}\r\n".encode() in heads.build(request, target, host, ())
    assert len(heads._origins) <= 256
    assert len(heads._fields) <= 256


def test_what_is_learnt_of_the_idle_limits_of_10_000_hosts_is_bounded() -> None:
    limits = IdleLimits()
    for number in range(HOSTS):
        limits.was_closed(origin_of(number), 1.0, 0.0)
    assert len(limits._learnt) <= 256
    assert limits.seconds(origin_of(HOSTS - 1), None, 1.0) == 0.5


class IdleConnection:
    """What the pool asks of a connection."""

    def __init__(self, pool: Pool, origin: Origin, *, is_open: bool = True) -> None:
        self.origin = origin
        self.is_open = is_open
        self.is_readable = False
        self.idle_since = 0.0
        self.expires = 0.0
        self._pool = pool

    def close(self) -> None:
        self._pool.gone(self)  # type: ignore[arg-type]


def pool_of(max_idle: int) -> Any:
    return Pool(asyncio.get_running_loop(), contextvars.Context(), max_idle)


@pytest.mark.parametrize("is_open", [True, False])
async def test_the_pool_keeps_nothing_of_a_host_whose_last_idle_connection_is_gone(is_open: bool) -> None:
    pool = pool_of(100)
    for number in range(HOSTS):
        connection = IdleConnection(pool, origin_of(number), is_open=is_open)
        pool.add(connection)
        pool.put_back(connection, None)
        assert (pool.take(connection.origin) is connection) is is_open
        connection.close()
        assert pool._idle == {}
    assert pool.count() == (0, 0)
    assert pool.close() == []


async def test_the_pool_keeps_max_idle_connections_of_10_000_hosts() -> None:
    pool = pool_of(100)
    for number in range(HOSTS):
        connection = IdleConnection(pool, origin_of(number))
        pool.add(connection)
        pool.put_back(connection, None)
    assert pool.count() == (100, 100)
    assert len(pool._idle) == 100
    assert next(iter(pool._idle)) == origin_of(HOSTS - 100)
    assert len(pool.close()) == 100
