"""What is sent is what was given when the call was made."""

from __future__ import annotations

import base64
import gc
import hashlib
import json
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from relaydance_async import AsyncRelayDance, InvalidInputError, RelayDanceError
from relaydance_async._sansio.request import LargeJson, build_json_body
from relaydance_async.sandbox import Fault, Sandbox
from tests.call.support import Start, failure_of
from tests.kit.clocks import HandClock, QuickClock
from tests.kit.inside import close_limits
from tests.kit.probe import look_at
from tests.kit.routes import CHAT
from tests.kit.waiting import wait_until
from tests.transports.support import Peer, Server, as_json, serve

pytestmark = pytest.mark.anyio

ANSWER = as_json(
    b'{"id":"1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"finish_reason":"stop",'
    b'"message":{"role":"assistant","content":"ok"}}]}'
)
SIZES = pytest.mark.parametrize("size", [10, 200_000], ids=["small", "large"])


@pytest.fixture
async def server(anyio_backend: str) -> AsyncIterator[Server]:
    async with serve(ANSWER) as running:
        yield running


def conversation(size: int) -> list[dict[str, Any]]:
    return [
        {"role": "system", "content": "Be short"},
        {"role": "user", "content": [{"type": "text", "text": "x" * size, "more": {"list": [1, None, 2.5]}}]},
    ]


def change(messages: list[dict[str, Any]]) -> None:
    """In every way that a caller may."""
    messages[0]["content"] = "changed"
    messages[1]["content"][0]["text"] = "changed"
    messages[1]["content"][0]["more"]["list"].append(3)
    messages[1]["content"].append({"type": "text", "text": "added"})
    messages.append({"role": "user", "content": "added"})


def sent_to(server: Server) -> Any:
    """The messages of the last request."""
    return json.loads(server.bodies[-1])["messages"]


@SIZES
async def test_messages_that_are_changed_before_the_call_begins_are_sent_as_they_were_given(
    sandbox: Sandbox, start: Start, server: Server, size: int
) -> None:
    messages = conversation(size)
    async with start(sandbox, base_url=f"{server.url}/v1") as client:
        coroutine = client.chat.completions.create(model="m", messages=messages)
        change(messages)
        await coroutine
    assert sent_to(server) == conversation(size)


@SIZES
async def test_messages_that_are_changed_while_the_call_is_queued_are_sent_as_they_were_given(
    sandbox: Sandbox, start: Start, server: Server, size: int
) -> None:
    messages = conversation(size)
    clock = HandClock()
    async with start(sandbox, clock, base_url=f"{server.url}/v1", max_concurrency=1) as client:
        close_limits(client, 9.0)
        async with anyio.create_task_group() as group:

            async def ask() -> None:
                await client.chat.completions.create(model="m", messages=messages)

            group.start_soon(ask)
            await wait_until(lambda: clock.sleeping == 1)
            change(messages)
            clock.advance(9.0)
    assert sent_to(server) == conversation(size)


@SIZES
async def test_messages_that_are_changed_between_two_attempts_are_sent_as_they_were_given(
    sandbox: Sandbox, start: Start, server: Server, size: int
) -> None:
    messages = conversation(size)
    server.run = server.answering(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", ANSWER)
    async with start(sandbox, QuickClock(lambda _: change(messages)), base_url=f"{server.url}/v1") as client:
        await client.chat.completions.create(model="m", messages=messages)
    assert len(server.bodies) == 2
    assert server.bodies[0] == server.bodies[1]
    assert sent_to(server) == conversation(size)


@SIZES
async def test_what_can_be_read_once_is_sent_by_every_attempt(
    sandbox: Sandbox, start: Start, server: Server, size: int
) -> None:
    parts = ({"type": "text", "text": text} for text in ("x" * size, "y"))
    messages: Any = (message for message in [{"role": "user", "content": parts}])
    server.run = server.answering(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", ANSWER)
    async with start(sandbox, QuickClock(), base_url=f"{server.url}/v1") as client:
        await client.chat.completions.create(model="m", messages=messages)
    assert server.bodies[0] == server.bodies[1]
    content = sent_to(server)[0]["content"]
    assert [len(part["text"]) for part in content] == [size, 1]


async def test_the_options_of_a_call_are_as_they_were_given(sandbox: Sandbox, start: Start, server: Server) -> None:
    body, headers, query = {"top_k": 5}, {"x-mine": "1"}, {"a": "1"}
    async with start(sandbox, base_url=f"{server.url}/v1") as client:
        coroutine = client.chat.completions.create(
            model="m", messages=conversation(1), extra_body=body, extra_headers=headers, extra_query=query
        )
        for given in (body, headers, query):
            given.clear()
        await coroutine
    assert json.loads(server.bodies[0])["top_k"] == 5
    assert server.heads[0].get("x-mine") == "1"
    assert server.heads[0].target == "/v1/chat/completions?a=1"


async def test_references_that_are_changed_before_the_submit_begins_are_sent_as_they_were_given(
    sandbox: Sandbox, start: Start, server: Server
) -> None:
    references: list[Any] = ["https://a.example/1.jpg"]
    metadata: dict[str, Any] = {"nested": {"seed": 1}}
    server.run = server.answering(as_json(b'{"task_id":"t1","status":"queued"}'))
    async with start(sandbox, base_url=f"{server.url}/v1") as client:
        coroutine = client.video.submit(model="m", prompt="p", references=references, metadata=metadata)
        references.append("https://a.example/2.jpg")
        metadata["nested"]["seed"] = 2
        await coroutine
    assert b"2.jpg" not in server.bodies[0]
    assert b'"seed":1' in server.bodies[0]


async def test_a_large_body_is_the_same_in_every_attempt_down_to_the_byte(sandbox: Sandbox, start: Start) -> None:
    picture = base64.b64encode(bytes(range(256)) * 400).decode()
    sandbox.faults.add(Fault(CHAT, status=503, times=3))
    async with start(sandbox, QuickClock()) as client:
        await client.chat.completions.create(
            model="grok-4.3", messages=[{"role": "user", "content": f"é \U0001f600 {picture}"}], temperature=0.1
        )
    assert sandbox.ledger.count(CHAT) == 4
    assert len({(entry.body_sha256, entry.body_bytes) for entry in sandbox.ledger.entries}) == 1


ODD: dict[str, Any] = {
    "nothing": None,
    "bytes": b"text",
    "tuple": (1, 2),
    "numbers": {1: 1e22, 2: 0.1, 3: 10**30},
    "texts": "é \u2028 \U0001f600 \x00",
    "nested": {"a": {"b": [None, {"c": None}]}},
    "long": "x" * 100_000,
}


def test_bytes_that_are_made_anew_are_those_that_were_let_go() -> None:
    body = build_json_body(ODD)
    assert isinstance(body, LargeJson)
    first = body.take()
    again = body.take()
    body.rest()
    assert hashlib.sha256(first).digest() == hashlib.sha256(again).digest() == hashlib.sha256(body.take()).digest()


# Bad input.

BAD: dict[str, dict[str, Any]] = {
    "no model": {"model": "", "messages": conversation(1)},
    "no messages": {"model": "m", "messages": []},
    "a text for messages": {"model": "m", "messages": "Hi"},
    "not JSON": {"model": "m", "messages": [{"role": "user", "content": float("nan")}]},
    "an object": {"model": "m", "messages": [{"role": "user", "content": object()}]},
    "a header that is a number": {"model": "m", "messages": conversation(1), "extra_headers": {"x-a": 1}},
    "a header without a name": {"model": "m", "messages": conversation(1), "extra_headers": {1: "a"}},
    "a header with a line break": {"model": "m", "messages": conversation(1), "extra_headers": {"x-a": "1\r\nx-b: 2"}},
    "a header that is no ASCII": {"model": "m", "messages": conversation(1), "extra_headers": {"x-a": "é"}},
    "headers that are a list": {"model": "m", "messages": conversation(1), "extra_headers": ["x-a"]},
    "a query that is a text": {"model": "m", "messages": conversation(1), "extra_query": "a=1"},
    "a body that is a list": {"model": "m", "messages": conversation(1), "extra_body": ["a"]},
    "a timeout of nothing": {"model": "m", "messages": conversation(1), "timeout": 0},
    "a timeout that is a text": {"model": "m", "messages": conversation(1), "timeout": "5"},
}


@pytest.mark.parametrize("case", BAD)
async def test_bad_input_is_raised_where_it_is_awaited_and_nothing_is_sent(
    sandbox: Sandbox, start: Start, case: str
) -> None:
    async with start(sandbox) as client:
        create: Any = client.chat.completions.create
        coroutine = create(**BAD[case])
        with pytest.raises(RelayDanceError) as caught:
            await coroutine
        assert isinstance(caught.value, ValueError)
        assert look_at(client).permits == 0
    assert sandbox.ledger.count() == 0


async def test_bad_input_of_a_submit_is_raised_where_it_is_awaited_too(sandbox: Sandbox, start: Start) -> None:
    async with start(sandbox) as client:
        coroutine = client.video.submit(model="m", prompt="p", references=["cat.jpg"])
        assert type(await failure_of(coroutine)) is InvalidInputError
    assert sandbox.ledger.count() == 0


# What waits holds little.


async def test_large_bodies_that_wait_for_their_turn_hold_no_bytes(sandbox: Sandbox, start: Start) -> None:
    picture = "x" * 1_000_000
    clock = HandClock()

    async def ask(client: AsyncRelayDance) -> None:
        messages = [{"role": "user", "content": picture}]
        await client.chat.completions.create(model="grok-4.3", messages=messages)

    async with start(sandbox, clock, max_concurrency=1) as client:
        close_limits(client, 60.0)
        held = 0
        tracemalloc.start()
        try:
            async with anyio.create_task_group() as group:
                for _ in range(20):
                    group.start_soon(ask, client)
                await wait_until(lambda: look_at(client).queued == 20)
                held, _ = tracemalloc.get_traced_memory()
                group.cancel_scope.cancel()
        finally:
            tracemalloc.stop()
    assert held < 1_000_000


async def test_large_bodies_hold_no_bytes_between_two_attempts(sandbox: Sandbox, start: Start, server: Server) -> None:
    async def refuse(peer: Peer) -> None:
        while True:
            await peer.read()
            await peer.send(b"HTTP/1.1 503 Busy\r\nX-Oneapi-Request-Id: 1\r\nContent-Length: 0\r\n\r\n")

    server.run = refuse
    picture = "x" * 1_000_000
    clock = HandClock()

    async def ask(client: AsyncRelayDance) -> None:
        await client.chat.completions.create(model="m", messages=[{"role": "user", "content": picture}])

    async with start(sandbox, clock, base_url=f"{server.url}/v1", max_concurrency=1) as client:
        held = 0
        tracemalloc.start()
        try:
            async with anyio.create_task_group() as group:
                for _ in range(5):
                    group.start_soon(ask, client)
                await wait_until(lambda: clock.sleeping == 5)
                gc.collect()  # what the server has of the last one
                held, _ = tracemalloc.get_traced_memory()
                group.cancel_scope.cancel()
        finally:
            tracemalloc.stop()
    assert held < 2_500_000
