"""A call leaves no reference cycle: at thousands in flight the garbage collector costs more than all else."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from relaydance_async import AsyncRelayDance, NotFoundError, RelayDanceError, Timeout
from relaydance_async._transports import WireRequest
from tests.kit.calls import Call, ask_chat, list_models, open_stream
from tests.transports.conftest import Maker
from tests.transports.support import Peer, as_json, closed_port, over_every_transport, serve

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


@pytest.mark.parametrize("kind", ["direct", "httpx with h11"])
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


async def reset(peer: Peer) -> None:
    await peer.read()
    await peer.reset()


async def say_nothing(peer: Peer) -> None:
    await peer.until_gone()


def with_length(status: str, body: bytes, length: int, kind: str = "application/json") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n".encode() + body


async def cut(peer: Peer) -> None:
    await peer.read()
    await peer.send(with_length("200 OK", b'{"da', 100))
    await peer.close()


async def cut_stream(peer: Peer) -> None:
    await peer.read()
    await peer.send(with_length("200 OK", b"data: {}\n\n", 100, "text/event-stream"))
    await peer.close()


async def ask_nobody(client: AsyncRelayDance) -> None:
    await client.chat.completions.create(model="", messages=[])


FAILURES: dict[str, tuple[Any, Call]] = {
    "a 503 again and again": (with_length("503 Busy", b"{}", 2), list_models),
    "a final error": (with_length("400 Bad", b"{}", 2), list_models),
    "a page": (with_length("200 OK", b"<html>", 6, "text/html"), list_models),
    "a reset": (reset, list_models),
    "a reset of a billed call": (reset, ask_chat),
    "a cut answer": (cut, list_models),
    "a cut stream": (cut_stream, open_stream),
    "silence": (say_nothing, list_models),
    "bad input": (MODELS, ask_nobody),
    "no server": (None, list_models),
}


async def fail(client: AsyncRelayDance, call: Call) -> None:
    try:
        await call(client)
    except RelayDanceError:
        return
    raise AssertionError("it did not fail")


@pytest.mark.parametrize("case", FAILURES)
@pytest.mark.parametrize("kind", ["direct", "httpx with h11"])
@pytest.mark.parametrize("deadline", [None, 60.0])
async def test_a_call_that_fails_leaves_none(maker: Maker, case: str, deadline: float | None) -> None:
    answer, call = FAILURES[case]
    async with serve(answer or MODELS) as server:
        url = closed_port() if answer is None else server.url
        client = maker.client(url, timeout=Timeout(read=0.02 if case == "silence" else 5.0), deadline=deadline)
        await fail(client, call)
        gc.collect()
        gc.garbage.clear()
        for _ in range({"silence": 2, "a reset of a billed call": 5}.get(case, CALLS)):  # fewer than make an outage
            await fail(client, call)
        assert not found()


@pytest.mark.parametrize("kind", ["direct", "httpx with h11"])
async def test_a_request_is_let_go_of_when_its_call_is_over(maker: Maker) -> None:
    before = requests_alive()
    async with serve(MODELS) as server:
        client = maker.client(server.url)
        for _ in range(3):
            await list_models(client)
        gc.collect()
        assert not [request for request in requests_alive() if all(request is not other for other in before)]


def requests_alive() -> list[WireRequest]:
    """Other tests may have left some."""
    objects: list[object] = gc.get_objects()
    return [item for item in objects if isinstance(item, WireRequest)]
