"""A process that works for long holds no more at the end than it did when it was warm: memory, files, tasks.

The sandbox runs in a process of its own, so that only the client is measured. A short slice runs with the ordinary
tests; `nox -s soak` does 200,000 requests and 10,000 waits.
"""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest

from relaydance_async import AsyncRelayDance
from relaydance_async._config import Clock
from relaydance_async.sandbox import Sandbox
from tests.kit.apart import TIME_SCALE, sandbox_apart
from tests.kit.calls import ask_chat, fetch_model, make_image, open_stream
from tests.kit.inside import make_client
from tests.kit.probe import held
from tests.kit.waiting import open_files

pytestmark = pytest.mark.anyio

CONCURRENCY = 64
WAITS_AT_ONCE = 250
TOLERANCE = 0.02

MIX = (fetch_model, ask_chat, fetch_model, make_image, ask_chat, fetch_model, ask_chat, open_stream)


@dataclass(frozen=True)
class Footprint:
    """What this process holds while no call is under way."""

    memory: int
    """Bytes of resident memory."""
    files: int
    tasks: int

    @classmethod
    def now(cls) -> Footprint:
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return cls(pages * os.sysconf("SC_PAGE_SIZE"), open_files(), len(asyncio.all_tasks()))

    def __str__(self) -> str:
        return f"{self.memory / 2**20:.1f} MiB, {self.files} files, {self.tasks} tasks"

    def check(self, later: Footprint) -> None:
        """The later one is not larger, give or take 2 %."""
        for name in ("memory", "files", "tasks"):
            before, after = getattr(self, name), getattr(later, name)
            assert after <= before * (1 + TOLERANCE), f"{name}: {before} when warm, {after} at the end"


@pytest.fixture
def base_url() -> Iterator[str]:
    with sandbox_apart() as url:
        yield url


async def sleep_fast(seconds: float) -> None:
    await anyio.sleep(seconds / TIME_SCALE)


@asynccontextmanager
async def both_clients(base_url: str) -> AsyncGenerator[list[AsyncRelayDance], None]:
    """One for each transport."""
    clients = [
        make_client(
            Sandbox.DEFAULT_KEY,
            base_url=base_url,
            transport=transport,
            max_concurrency=CONCURRENCY,
            clock=Clock(sleep=sleep_fast),
        )
        for transport in ("httpx", "direct")
    ]
    try:
        yield clients
    finally:
        for client in clients:
            await client.aclose()


async def wait_for_clip(client: AsyncRelayDance) -> None:
    task = await client.video.generate(model="happyhorse-1.0-t2v", prompt="a horse")
    assert task.status == "succeeded"


async def run_all(number: int, at_once: int, make: Callable[[int], Coroutine[Any, Any, Any]]) -> None:
    """`make(0)`, `make(1)`, …, so many at once."""
    numbers = iter(range(number))

    async def work() -> None:
        for n in numbers:
            await make(n)

    await asyncio.gather(*(work() for _ in range(at_once)))


async def work(client: AsyncRelayDance, requests: int, waits: int) -> None:
    """Make the requests and the waits, and end without a connection."""
    await run_all(requests, CONCURRENCY, lambda n: MIX[n % len(MIX)](client))
    await run_all(waits, WAITS_AT_ONCE, lambda n: wait_for_clip(client))
    now = await held(client)
    assert (now.permits, now.queued, now.streams, now.tasks) == (0, 0, 0, 0)
    assert now.connections <= CONCURRENCY
    await client.aclose()


async def check_long_run(base_url: str, requests: int, waits: int, *, warm_up: int) -> str:
    """The work, half of it over each transport, after a warm-up of so many requests over each.

    Returns:
        The figures.
    """
    async with both_clients(base_url) as clients:
        for client in clients:
            await work(client, warm_up, WAITS_AT_ONCE)
        warm, began = Footprint.now(), time.monotonic()
        for client in clients:
            await work(client, requests // 2, waits // 2)
        seconds = time.monotonic() - began
        end = Footprint.now()
    warm.check(end)
    return f"{requests:,} requests and {waits:,} waits in {seconds:.0f} s. Warm: {warm}. At the end: {end}."


async def test_a_process_holds_no_more_after_its_work_than_when_it_was_warm(base_url: str) -> None:
    assert await check_long_run(base_url, 2_000, 500, warm_up=1_000)


@pytest.mark.soak
async def test_a_process_holds_no_more_after_long_work_than_when_it_was_warm(
    base_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    # pydantic's decoder keeps up to 16,384 short strings: that cache must be full before the measurement.
    figures = await check_long_run(base_url, 200_000, 10_000, warm_up=25_000)
    with capsys.disabled():
        print(f"\n{figures}")
