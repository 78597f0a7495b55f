"""Clips come from thousands of hosts; what is remembered for each must not pile up."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

from typing import Any

import anyio
import pytest

from relaydance_async import APIConnectionError
from relaydance_async._sansio.timeout import Timeout
from relaydance_async._transports import WireRequest, _aiohttp
from relaydance_async._transports._aiohttp import AiohttpTransport
from relaydance_async._transports._pool import Key, SlotPool

HOSTS = 10_000


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.anyio
async def test_the_proxies_of_10_000_hosts_are_not_all_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def proxy_for(scheme: str, host: str, port: int, *, can_socks: bool) -> str | None:
        asked.append(host)
        return None

    monkeypatch.setattr(_aiohttp, "proxy_for", proxy_for)
    transport = AiohttpTransport()

    def refuse(*_: object, **__: object) -> Any:
        raise ConnectionError("nobody is asked")

    monkeypatch.setattr(transport, "_open_session", refuse)
    for number in range(HOSTS):
        for _ in range(2):
            request = WireRequest("GET", f"https://host-{number}.example/clip.mp4", {}, None, Timeout())
            with pytest.raises(APIConnectionError):
                await transport.send(request)
    assert len(asked) == HOSTS  # the second time it is known
    assert transport._find_proxy.cache_info().currsize <= 256


class IdleSlot:
    """What the pool asks of a connection that was used up or closed meanwhile."""

    def __init__(self, key: Key, *, usable: bool) -> None:
        self.key = key
        self._usable = usable

    def is_idle(self) -> bool:
        return True

    def is_usable(self) -> bool:
        return self._usable

    async def close(self) -> None:
        await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize("usable", [True, False])
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.anyio
async def test_the_pool_keeps_nothing_of_a_host_whose_last_idle_connection_is_gone(
    monkeypatch: pytest.MonkeyPatch, usable: bool
) -> None:
    pool: Any = SlotPool(max_idle=100)

    async def connect(key: Key) -> IdleSlot:
        return IdleSlot(key, usable=usable)

    monkeypatch.setattr(pool, "_connect", connect)
    for number in range(HOSTS):
        key = (b"https", f"host-{number}.example".encode(), 443)
        first = await pool._take(key, carefully=False)
        await pool.give_back(first, whole=True)
        second = await pool._take(key, carefully=False)
        assert (second is first) is usable
        await pool._drop(second)
        assert pool._idle == {}
    assert pool.stats().open == 0


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.anyio
async def test_the_pool_keeps_max_idle_connections_of_10_000_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    pool: Any = SlotPool(max_idle=100)

    async def connect(key: Key) -> IdleSlot:
        return IdleSlot(key, usable=True)

    monkeypatch.setattr(pool, "_connect", connect)
    for number in range(HOSTS):
        key = (b"https", f"host-{number}.example".encode(), 443)
        await pool.give_back(await pool._take(key, carefully=False), whole=True)
    assert len(pool._idle) == pool.stats().open == 100
    assert next(iter(pool._idle))[1] == f"host-{HOSTS - 100}.example".encode()
