"""A call leaves no reference cycle: at thousands in flight the garbage collector costs more than all else."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator

import pytest

from relaydance_async import BadRequestError, NotFoundError
from tests.kit.calls import list_models
from tests.transports.conftest import Maker
from tests.transports.support import as_json, over_every_transport, serve

pytestmark = over_every_transport

CALLS = 20
LIBRARIES = ("relaydance_async", "aiohttp", "httpx", "httpcore", "h11")
MODELS = as_json(b'{"object":"list","data":[]}')


@pytest.fixture(autouse=True)
def keep_garbage() -> Iterator[None]:
    """Have the collector keep what it finds, and run only when it is told to."""
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    yield
    gc.set_debug(0)
    gc.garbage.clear()
    gc.enable()


def found() -> Counter[str]:
    """Objects of the client's side among what the collector finds, by their type."""
    gc.collect()
    garbage: list[object] = gc.garbage
    kinds = (type(item) for item in garbage)
    return Counter(f"{kind.__module__}.{kind.__name__}" for kind in kinds if kind.__module__.startswith(LIBRARIES))


@pytest.mark.parametrize("kind", ["httpx", "aiohttp"])
async def test_a_call_that_succeeds_leaves_none(maker: Maker) -> None:
    async with serve(MODELS) as server:
        client = maker.client(server.url)
        await list_models(client)
        gc.collect()
        gc.garbage.clear()
        for _ in range(CALLS):
            await list_models(client)
        assert not found()
        leak = NotFoundError("a cycle of ours")
        leak.__cause__ = leak
        del leak
        assert found()["relaydance_async.errors.NotFoundError"] == 1


REFUSED = b'HTTP/1.1 400 Bad Request\r\nContent-Length: 28\r\n\r\n{"error":{"message":"no!!"}}'


@pytest.mark.parametrize("kind", ["httpx", "aiohttp"])
async def test_a_call_that_is_refused_leaves_neither_itself_nor_its_errors(maker: Maker) -> None:
    async with serve(REFUSED) as server:
        client = maker.client(server.url)
        for _ in range(CALLS):
            with pytest.raises(BadRequestError):
                await list_models(client)
        names = found()
    assert [name for name in names if name.startswith(("relaydance_async.errors", "relaydance_async._call.call"))] == []
