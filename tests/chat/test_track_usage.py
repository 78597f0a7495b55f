"""`client.track_usage()`: what a stretch of a program used, and what that costs."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from relaydance_async import (
    APIConnectionError,
    AsyncRelayDance,
    InvalidInputError,
    NotFoundError,
    SqliteJournal,
    StreamError,
    UsageCost,
    fan_out_list,
)
from relaydance_async.models.usage import ModelUsage
from relaydance_async.sandbox import Fault, Sandbox
from tests.chat.support import HELLO, MODEL

pytestmark = pytest.mark.anyio

CLIP: dict[str, Any] = {"model": "grok-imagine-video", "prompt": "a cat", "seconds": 5}
PICTURE: dict[str, Any] = {"model": "grok-imagine-image", "prompt": "a cat"}


async def ask(client: AsyncRelayDance, n: int = 0) -> Any:
    return await client.chat.completions.create(model=MODEL, messages=HELLO)


async def test_it_counts_what_is_below_it_and_nothing_else(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    await ask(client)
    with client.track_usage() as usage:
        first = await ask(client)
        await fan_out_list(lambda n: ask(client.with_options(timeout=60), n), range(3))
        task = asyncio.create_task(ask(client))
    await task
    await ask(client)
    assert usage.requests == 5
    assert usage.total_tokens == 5 * first.usage.total_tokens
    assert usage.prompt_tokens + usage.completion_tokens == usage.total_tokens
    assert usage.untold == 0


async def test_its_cost_is_what_the_gateway_charged(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    with client.track_usage() as usage:
        await ask(client)
        await client.images.generate(**PICTURE, n=2)
        await client.video.submit(**CLIP)
        await client.files.upload(b"x", filename="x.txt")
        await client.models.list()
    cost = await usage.cost()
    balance = await client.account.balance()
    assert cost.usd == pytest.approx(balance.used_usd)
    assert cost.by_model["grok-imagine-image"] == pytest.approx(0.04)
    assert (cost.unpriced, cost.untold) == ((), 0)
    assert usage.by_model.keys() == {MODEL, "grok-imagine-image", "grok-imagine-video"}


async def test_a_stream_counts_at_its_end(client: AsyncRelayDance) -> None:
    with client.track_usage() as usage:
        stream = await client.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
        assert (usage.requests, usage.untold) == (1, 1)
        async with stream:
            completion = await stream.get_final_completion()
    assert completion.usage is not None
    assert (usage.total_tokens, usage.untold) == (completion.usage.total_tokens, 0)


@pytest.mark.parametrize("fault", [Fault("*", stream_error_after=3), Fault("*", cut_stream_after=2)])
async def test_what_nobody_told_is_said(client: AsyncRelayDance, sandbox: Sandbox, fault: Fault) -> None:
    sandbox.faults.add(fault)
    with client.track_usage() as usage:
        async with await client.chat.completions.create(model=MODEL, messages=HELLO, stream=True) as stream:
            with pytest.raises(StreamError):
                await stream.get_final_completion()
    assert (usage.requests, usage.untold) == (1, 1)


async def test_an_answer_without_usage_and_a_lost_one(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    sandbox.chat.reply(raw={"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]})
    sandbox.faults.add(Fault("POST /v1/video/generations", after_accept=True))
    with client.track_usage() as usage:
        await ask(client)
        with pytest.raises(APIConnectionError):
            await client.video.submit(**CLIP)
    assert (usage.requests, usage.untold) == (2, 2)


async def test_what_was_not_accepted_does_not_count(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    with client.track_usage() as usage:
        with pytest.raises(NotFoundError):
            await client.chat.completions.create(model="nothing", messages=HELLO)
        with pytest.raises(InvalidInputError):
            await client.chat.completions.create(model=MODEL, messages=[])
    assert usage.by_model == {}
    assert await usage.cost() == UsageCost(0, {}, (), 0)


async def test_all_ways_to_ask_count_or_say_that_they_do_not_know(client: AsyncRelayDance) -> None:
    body = {"model": MODEL, "messages": HELLO}
    completions = client.chat.completions
    with client.track_usage() as told:
        await completions.with_raw_response.create(model=MODEL, messages=HELLO)
        await client.post("/chat/completions", body=body)
    assert (told.requests, told.untold, told.total_tokens > 0) == (2, 0, True)
    with client.track_usage() as untold:
        await client.post("/chat/completions", body=body, cast_to=bytes)
        async with await client.post("/chat/completions", body={**body, "stream": True}, stream=True) as events:
            assert [event async for event in events]
    assert (untold.requests, untold.untold) == (2, 2)


async def test_a_replay_was_paid_for_before(sandbox: Sandbox, tmp_path: Any) -> None:
    async with (
        SqliteJournal(tmp_path / "run.db") as journal,
        AsyncRelayDance(sandbox.api_key, base_url=sandbox.base_url, journal=journal) as client,
    ):
        for streamed in (False, True):
            asked: dict[str, Any] = {"model": MODEL, "messages": HELLO, "stream": streamed}
            for wanted in (1, 0):
                with client.track_usage() as usage:
                    create: Any = client.chat.completions.create
                    answer = await create(**asked, idempotency_key=f"k{streamed}")
                    if streamed:
                        await answer.get_final_completion()
                assert (usage.requests, usage.untold) == (wanted, 0)


async def test_trackers_in_one_another_and_side_by_side(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    async with AsyncRelayDance(sandbox.api_key, base_url=sandbox.base_url) as other:
        with client.track_usage() as outer, other.track_usage() as others:
            await ask(client)
            with client.track_usage() as inner:
                await ask(client)
            await ask(client)
    assert (outer.requests, inner.requests, others.requests) == (3, 1, 0)

    async def tracked(n: int) -> int:
        with client.track_usage() as usage:
            for _ in range(n):
                await ask(client)
        return usage.requests

    assert await asyncio.gather(*map(tracked, range(4))) == [0, 1, 2, 3]


async def test_a_tracker_is_entered_once(client: AsyncRelayDance) -> None:
    with client.track_usage() as usage, pytest.raises(InvalidInputError, match="once"):
        usage.__enter__()
    assert repr(usage) == "<UsageTracker 0 requests, 0 tokens>"


async def test_models_without_a_price_are_named(client: AsyncRelayDance) -> None:
    usage = client.track_usage()
    usage.add("unheard-of", requests=1, items=1)
    cost = await usage.cost()
    assert (cost.usd, cost.unpriced) == (0, ("unheard-of",))
    assert usage.by_model == {"unheard-of": ModelUsage(requests=1, items=1)}
