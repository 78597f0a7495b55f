"""Many calls, many faults, many cancellations at once: nothing is lost, nothing is paid twice, nothing leaks.

A short slice runs with the ordinary tests; `nox -s torture` runs the same for longer.
"""

from __future__ import annotations

import asyncio
import gc
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2
import pytest

from relaydance_async import AsyncRelayDance, RelayDanceError, RetryPolicy
from relaydance_async._config import Clock
from relaydance_async._transports import TransportName
from relaydance_async.sandbox import ConnectionFault, Fault, FaultyProxy, Sandbox
from tests.kit.inside import make_client
from tests.kit.probe import held
from tests.kit.routes import CHAT, SUBMIT
from tests.kit.waiting import open_files

pytestmark = pytest.mark.anyio

CONNECTIONS = 10
SPEED = 20
"""How much faster the client's clock runs in a storm: the pauses after a 429 are most of its time."""
FAST = RetryPolicy(max_attempts=4, base=0.002, cap=0.01)


@pytest.fixture(params=["httpx", "direct"])
def transport(request: pytest.FixtureRequest) -> TransportName:
    name: TransportName = request.param
    return name


@pytest.fixture(params=["httpx", "direct", "a caller's httpx2.AsyncClient"])
async def way(request: pytest.FixtureRequest) -> AsyncIterator[dict[str, Any]]:
    """What the client sends with, as its options; with no more connections than there are permits."""
    if request.param in ("httpx", "direct"):
        yield {"transport": request.param}
        return
    limits = httpx2.Limits(max_connections=CONNECTIONS)
    async with httpx2.AsyncClient(limits=limits, trust_env=False) as http_client:
        yield {"http_client": http_client}


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(time_scale=100) as running:
        yield running


async def ask(client: AsyncRelayDance, text: str) -> None:
    await client.chat.completions.create(model="grok-4.3", messages=[{"role": "user", "content": text}])


async def churn(client: AsyncRelayDance, seconds: float, seed: int) -> int:
    """Keep 40 tasks contending for the connections, and cancel them at random moments."""
    chance = random.Random(seed)
    ends = time.monotonic() + seconds
    cancelled = 0
    while time.monotonic() < ends:
        tasks = [asyncio.create_task(ask(client, "churn")) for _ in range(40)]
        while not all(task.done() for task in tasks):
            chance.choice(tasks).cancel()
            await asyncio.sleep(chance.random() * 0.001)
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        cancelled += sum(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
    return cancelled


async def check_cancel_churn(sandbox: Sandbox, way: dict[str, Any], seconds: float) -> None:
    tasks = asyncio.all_tasks()
    async with AsyncRelayDance(
        sandbox.api_key, base_url=sandbox.base_url, max_concurrency=CONNECTIONS, retry=FAST, **way
    ) as client:
        await ask(client, "warm")
        gc.collect()
        files = open_files()
        assert await churn(client, seconds, seed=1) > 10
        await asyncio.gather(*(ask(client, f"after {n}") for n in range(100)))
        now = await held(client)
        assert (now.permits, now.queued) == (0, 0)
        gc.collect()
        assert open_files() <= files + 2 * CONNECTIONS  # both ends of the connections are in this process
    await asyncio.sleep(0.005)
    assert asyncio.all_tasks() == tasks


async def test_after_a_churn_of_cancellations_100_of_100_requests_succeed(
    sandbox: Sandbox, way: dict[str, Any]
) -> None:
    await check_cancel_churn(sandbox, way, 0.5)


@pytest.mark.torture
async def test_after_3_seconds_of_cancellations_100_of_100_requests_succeed(
    sandbox: Sandbox, way: dict[str, Any]
) -> None:
    await check_cancel_churn(sandbox, way, 3)


def storm_faults() -> list[Fault]:
    return [
        Fault("*", status=503, code="system_cpu_overloaded", probability=0.05),
        Fault("*", status=500, code="bad_response", body="flat", probability=0.03),
        Fault("*", status=502, body="html", probability=0.03),
        Fault("*", status=429, retry_after="0", body="empty", probability=0.02),
        Fault(CHAT, after_accept=True, probability=0.03),
        Fault(SUBMIT, after_accept=True, probability=0.03),
        Fault(SUBMIT, after_accept=True, body="truncated", probability=0.02),
        Fault("*", body="html", probability=0.01),
    ]


def storm_connections() -> list[ConnectionFault]:
    return [
        ConnectionFault("refuse", probability=0.03),
        ConnectionFault("reset_before_request", probability=0.03),
        ConnectionFault("reset_after_request", probability=0.03),
        ConnectionFault("cut_response", after_bytes=40, probability=0.03),
    ]


async def sleep_fast(seconds: float) -> None:
    await asyncio.sleep(seconds / SPEED)


async def check_storm(sandbox: Sandbox, transport: TransportName, calls: int, seed: int) -> None:
    for fault in storm_faults():
        sandbox.faults.add(fault)
    outcomes: Counter[str] = Counter()
    with FaultyProxy(sandbox.root_url, storm_connections(), seed=seed) as proxy:
        async with make_client(
            sandbox.api_key,
            base_url=proxy.base_url,
            transport=transport,
            max_concurrency=20,
            retry=FAST,
            deadline=20 * SPEED,
            clock=Clock(monotonic=lambda: time.monotonic() * SPEED, sleep=sleep_fast),
        ) as client:

            async def one(number: int) -> None:
                try:
                    if number % 2:
                        await ask(client, f"call {number}")
                    else:
                        await client.video.submit(model="happyhorse-1.0-t2v", prompt=f"call {number}")
                except RelayDanceError as error:
                    outcomes[type(error).__name__] += 1
                else:
                    outcomes["ok"] += 1

            await asyncio.gather(*(one(number) for number in range(calls)))
            sandbox.faults.clear()
            proxy.clear()
            await asyncio.gather(*(ask(client, f"after {n}") for n in range(100)))
            now = await held(client)
            assert (now.permits, now.queued) == (0, 0)
    assert sum(outcomes.values()) == calls
    assert outcomes["ok"] > calls * 0.7, outcomes
    # Every call has a text of its own: a text accepted twice was paid for twice.
    assert sandbox.ledger.duplicates(CHAT) == 0, outcomes
    assert sandbox.ledger.duplicates(SUBMIT) == 0, outcomes
    assert sandbox.ledger.accepted(CHAT) + sandbox.ledger.accepted(SUBMIT) >= outcomes["ok"] + 100


async def test_in_a_storm_of_faults_nothing_is_paid_twice(sandbox: Sandbox, transport: TransportName) -> None:
    await check_storm(sandbox, transport, 200, seed=7)


@pytest.mark.torture
@pytest.mark.parametrize("seed", range(3))
async def test_in_a_long_storm_of_faults_nothing_is_paid_twice(
    sandbox: Sandbox, transport: TransportName, seed: int
) -> None:
    await check_storm(sandbox, transport, 1000, seed=seed)
