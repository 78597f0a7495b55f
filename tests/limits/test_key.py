"""One limit of the whole key, met by several models and routes at once, on real sockets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import pytest

from relaydance_async import AsyncRelayDance, RetryPolicy
from relaydance_async.sandbox import RateLimit, Sandbox
from tests.kit.calls import ask_chat

pytestmark = pytest.mark.anyio

RATE, BURST = 60.0, 20
ENOUGH = 200
"""Calls, by when each must have had its turns."""
PATIENT = RetryPolicy(max_attempts=1000)


async def ask_image(client: AsyncRelayDance) -> None:
    await client.images.generate(model="grok-imagine-image", prompt="a kite")


async def ask_other_image(client: AsyncRelayDance) -> None:
    await client.images.generate(model="gpt-image-2", prompt="a kite")


def is_learned(client: AsyncRelayDance) -> bool:
    """Whether the limit is known as one of the key, about."""
    key = client.limits.snapshot().limiters[0]
    return key.name == "the whole key" and 0.7 * RATE < (key.rate or 0.0) < 1.4 * RATE


async def test_models_and_routes_share_a_bucket_of_the_key_as_one() -> None:
    limit = RateLimit(RATE, BURST, retry_after=None, real_time=True)
    counts: dict[str, int] = {}
    async with (
        Sandbox(rate_limit=limit) as sandbox,
        AsyncRelayDance(sandbox.api_key, base_url=sandbox.base_url, retry=PATIENT) as client,
    ):

        async def keep_calling(ask: Callable[[AsyncRelayDance], Awaitable[object]]) -> None:
            while True:
                await ask(client)
                counts[ask.__name__] = counts.get(ask.__name__, 0) + 1

        async with anyio.create_task_group() as group:
            for ask in (ask_chat, ask_image, ask_other_image):
                for _ in range(15):
                    group.start_soon(keep_calling, ask)
            with anyio.fail_after(30):
                while sum(counts.values()) < ENOUGH or not is_learned(client):  # noqa: ASYNC110
                    await anyio.sleep(0.05)
            group.cancel_scope.cancel()

    assert min(counts.values()) >= 0.2 * sum(counts.values())
