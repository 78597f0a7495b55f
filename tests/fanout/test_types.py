"""What mypy and pyright know of a fan-out. They check this file; running it checks that the values are as they say."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import assert_type

import pytest

from relaydance_async import AsyncRelayDance, FanOut, Outcome, VideoTask, fan_out, fan_out_list
from relaydance_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio


async def length(text: str) -> int:
    return len(text)


async def wide(item: int | str) -> list[int | str]:
    return [item]


async def rows() -> AsyncIterator[dict[str, str]]:
    yield {"prompt": "A boat"}


async def test_the_types_are_known() -> None:
    async with fan_out(length, ["a", "bc"]) as outcomes:
        assert_type(outcomes, FanOut[str, int])
        async for outcome in outcomes:
            assert_type(outcome, Outcome[str, int])
            assert_type(outcome.item, str)
            assert_type(outcome.value, int)
            assert_type(outcome.error, BaseException | None)
            assert_type(outcome.index, int)
            assert_type(outcome.seconds, float)
    assert_type(outcomes.untaken, list[Outcome[str, int]])
    words = ["a", "bc"]
    assert_type(await fan_out_list(length, words), list[Outcome[str, int]])
    for one in await fan_out_list(wide, [1, 2]):
        assert_type(one.value, list[int | str])


async def test_the_types_of_calls_of_the_client_are_known() -> None:
    with Sandbox() as sandbox:
        async with AsyncRelayDance(sandbox.api_key, base_url=sandbox.base_url) as client:

            async def submit(row: dict[str, str]) -> VideoTask:
                return await client.video.submit(model="grok-imagine-video", prompt=row["prompt"])

            async with fan_out(submit, rows()) as outcomes:
                async for outcome in outcomes:
                    assert_type(outcome.item, dict[str, str])
                    assert_type(outcome.value, VideoTask)
                    assert outcome.value.task_id

            for one in await fan_out_list(lambda prompt: client.video.submit(model="m", prompt=prompt), ["A boat"]):
                assert_type(one.item, str)
