"""A short overload amid many calls, on real sockets: the client gives way, and is back at once."""

from __future__ import annotations

import anyio
import pytest

from relaydance_async import AsyncRelayDance, RetryPolicy
from relaydance_async._sansio.overload import Overload
from relaydance_async.sandbox import Fault, Sandbox
from tests.kit.calls import ask_chat

pytestmark = pytest.mark.anyio

CHAT = "POST /v1/chat/completions"
BUSY = Fault(CHAT, status=503, code="system_cpu_overloaded")
SLOW = Fault(CHAT, delay=1.0)


async def test_a_third_of_a_second_of_overload_leaves_a_quarter_and_goes_as_it_came() -> None:
    seen: list[int] = []
    lasted = 0.0
    patient = RetryPolicy(max_attempts=1000)  # on a busy machine the overload lasts for longer
    async with (
        Sandbox(faults=[BUSY]) as sandbox,
        AsyncRelayDance(sandbox.api_key, base_url=sandbox.base_url, retry=patient) as client,
    ):

        async def keep_calling() -> None:
            while True:
                await ask_chat(client)

        async with anyio.create_task_group() as group:
            began = anyio.current_time()
            for _ in range(120):
                group.start_soon(keep_calling)
            await anyio.sleep(0.35)
            sandbox.faults.clear()
            lasted = anyio.current_time() - began
            sandbox.faults.add(SLOW)
            seen.append(client.limits.snapshot().in_flight_limit)
            with anyio.fail_after(30):
                while (limit := client.limits.snapshot().in_flight_limit) < 80:
                    seen.append(limit)
                    await anyio.sleep(0.05)
            group.cancel_scope.cancel()
    assert min(seen) >= 25 or lasted > 0.8


def test_what_lasts_longer_gets_less() -> None:
    overload, now = Overload(100), 10.0
    for _ in range(30):
        overload.overloaded(now, now - 0.01, 3)
        now += 0.26
    assert overload.limit(now) == 1
    assert overload.limit(now + 8.0) == 100


def test_all_that_one_overload_refuses_is_one_piece_of_news() -> None:
    overload = Overload(100)
    assert overload.overloaded(10.0, 9.0, 100)
    assert [overload.overloaded(10.01, 9.0, count) for count in range(99, 0, -1)] == [False] * 99
    assert overload.limit(10.01) == 70
