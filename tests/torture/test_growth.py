"""However many calls of a kind a program makes, what it holds levels off: the third batch adds nothing to the second.

Live objects are counted, not bytes: a list that grows by one entry a call is seen after a hundred calls. The sandbox
runs in a process of its own. `nox -s soak` makes 100,000 calls in the same way.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Any

import anyio
import pytest

from relaydance_async import AsyncRelayDance
from relaydance_async._config import Clock
from relaydance_async.hooks import HookEvent
from relaydance_async.sandbox import Sandbox
from tests.kit.apart import TIME_SCALE, sandbox_apart
from tests.kit.inside import make_client
from tests.kit.kinds import KEYS, KINDS, Kind
from tests.kit.probe import NOTHING, look_at
from tests.kit.waiting import wait_until

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]

BATCH = 60
LONG_BATCH = 855
"""Times 3 batches, 3 clients and 13 kinds: 100,000 calls."""
MOST = 10
"""Objects that may be more by chance, however large the batch. One object left in 10 calls is more."""


def ignore(event: HookEvent) -> None:
    """A hook."""


CLIENTS: dict[str, dict[str, Any]] = {
    "direct": {"transport": "direct"},
    "hooks": {"transport": "direct", "hooks": [ignore]},
    "httpx": {"transport": "httpx"},
}


async def sleep_fast(seconds: float) -> None:
    await anyio.sleep(seconds / TIME_SCALE)


FAST = Clock(monotonic=lambda: time.monotonic() * TIME_SCALE, sleep=sleep_fast)


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    with sandbox_apart(*KEYS) as url:
        yield url


@pytest.fixture(autouse=True)
def _no_log(caplog: pytest.LogCaptureFixture) -> None:
    """pytest keeps its records, and half of the lists of models are an outage."""
    caplog.set_level(logging.CRITICAL, "relaydance_async")


@pytest.fixture(params=list(CLIENTS.values()), ids=list(CLIENTS))
async def client(base_url: str, request: pytest.FixtureRequest) -> AsyncGenerator[AsyncRelayDance, None]:
    async with make_client(Sandbox.DEFAULT_KEY, base_url=base_url, clock=FAST, **request.param) as client:
        yield client


async def live_objects(client: AsyncRelayDance) -> Counter[str]:
    """How many there are of each type while nothing is under way and no connection is open."""
    gc.collect()  # what was dropped unclosed is given back in the loop
    await wait_until(lambda: _is_at_rest(client), 30)
    await client.aclose()
    await _forget_cancelled_timers()
    await _collect_what_closes_in_turns()
    return Counter(type(one).__qualname__ for one in gc.get_objects())


def _is_at_rest(client: AsyncRelayDance) -> bool:
    now = look_at(client)
    return (now.permits, now.queued, now.streams, now.tasks) == (0, 0, 0, 0)


async def _forget_cancelled_timers() -> None:
    """asyncio keeps up to 100 of them, and more while they are fewer than half; so give it many, and it drops all."""
    loop = asyncio.get_running_loop()
    for timer in [loop.call_later(3600, print) for _ in range(1000)]:
        timer.cancel()
    await asyncio.sleep(0.001)


async def _collect_what_closes_in_turns() -> None:
    """A dropped generator is closed by the loop, some turns after it was collected; only then is what it held free."""
    for _ in range(3):
        gc.collect()
        for _ in range(10):
            await asyncio.sleep(0)
    gc.collect()


async def growth(client: AsyncRelayDance, use: Callable[[AsyncRelayDance, int], Any], batch: int) -> Counter[str]:
    """The objects that the third batch of calls has left, by type; what it has freed is negative."""
    counts: list[Counter[str]] = []
    for _ in range(3):
        for number in range(batch):
            await use(client, number)
        counts.append(await live_objects(client))
    counts[2].subtract(counts[1])
    return counts[2]


async def check_growth(client: AsyncRelayDance, kind: Kind, batch: int) -> None:
    left = await growth(client, kind, batch)
    assert left.total() <= MOST, f"{batch} calls left {[one for one in left.most_common() if one[1] > 0]}"
    assert look_at(client) == NOTHING


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
async def test_calls_leave_nothing(client: AsyncRelayDance, kind: Kind) -> None:
    await check_growth(client, kind, BATCH)


@pytest.mark.soak
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
async def test_many_calls_leave_nothing(client: AsyncRelayDance, kind: Kind) -> None:
    await check_growth(client, kind, LONG_BATCH)


async def test_an_object_in_three_calls_is_seen(client: AsyncRelayDance) -> None:
    leak: list[object] = []

    async def leaky(client: AsyncRelayDance, number: int) -> None:
        if number % 3 == 0:
            leak.append([number])
        await client.models.retrieve("grok-4.3")

    with pytest.raises(AssertionError, match="60 calls left"):
        await check_growth(client, leaky, BATCH)
