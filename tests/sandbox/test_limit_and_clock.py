"""The rate limit in real time, and the clock that is not."""

from __future__ import annotations

import asyncio
import time
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from relaydance_async.sandbox import Account, RateLimit, TaskPlan, TaskScript
from relaydance_async.sandbox._clock import Clock
from tests.kit.routes import MODELS
from tests.sandbox.support import Starter

# So slow that nothing is refilled while a test runs.
TIGHT = RateLimit(rate=0.001, burst=2)


@pytest.mark.parametrize("dialect", ["gateway", "documented"])
def test_calls_beyond_the_burst_are_429s(start: Starter, dialect: str) -> None:
    caller = start(dialect=dialect, rate_limit=TIGHT)
    answers = [caller.models() for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 429, 429]
    expected = "new_api_error" if dialect == "gateway" else "rate_limit_error"
    assert answers[3].json()["error"]["type"] == expected
    assert answers[3].headers["retry-after"] == "1"
    assert caller.sandbox.ledger.accepted(MODELS) == 2


def test_tokens_come_back_at_the_rate(start: Starter) -> None:
    caller = start(rate_limit=RateLimit(rate=200, burst=1))
    statuses: list[int] = []
    ends = time.monotonic() + 2
    while statuses.count(200) < 3 and time.monotonic() < ends:
        statuses.append(caller.models().status_code)
    assert statuses.count(200) == 3


def test_each_key_has_its_own_bucket(start: Starter) -> None:
    caller = start(rate_limit=TIGHT, accounts={"one": Account(), "two": Account()})
    for key, expected in (("one", 200), ("one", 200), ("one", 429), ("two", 200)):
        answer = caller.call("GET", "/v1/models", headers={"authorization": f"Bearer {key}"})
        assert answer.status_code == expected


def test_a_limit_may_cover_some_routes_only(start: Starter) -> None:
    caller = start(rate_limit=RateLimit(rate=0.001, burst=1, routes={MODELS}))
    assert [caller.models().status_code for _ in range(2)] == [200, 429]
    assert [caller.submit().status_code for _ in range(3)] == [200, 200, 200]


def test_results_and_sandbox_routes_are_not_limited(start: Starter) -> None:
    caller = start(rate_limit=RateLimit(rate=0.001, burst=1))
    url = caller.images().json()["data"][0]["url"]
    assert [caller.download(url).status_code for _ in range(3)] == [200] * 3
    assert [caller.call("GET", "/_sandbox/ledger").status_code for _ in range(3)] == [200] * 3


def test_retry_after_as_a_date(start: Starter) -> None:
    caller = start(rate_limit=RateLimit(rate=0.5, burst=1, retry_after="date"))
    caller.models()
    header = caller.models().headers["retry-after"]
    assert 0 < parsedate_to_datetime(header).timestamp() - time.time() <= 4


def test_retry_after_in_milliseconds(start: Starter) -> None:
    caller = start(rate_limit=RateLimit(rate=0.5, burst=1, retry_after="ms"))
    caller.models()
    headers = caller.models().headers
    assert 1000 < int(headers["retry-after-ms"]) <= 2000
    assert "retry-after" not in headers


def test_a_429_may_say_nothing_at_all(start: Starter) -> None:
    caller = start(rate_limit=RateLimit(rate=0.5, burst=1, retry_after=None, empty_body=True))
    caller.models()
    answer = caller.models()
    assert (answer.status_code, answer.content) == (429, b"")
    assert "retry-after" not in answer.headers
    assert "content-type" not in answer.headers


@pytest.mark.parametrize("limit", [{"rate": 0}, {"burst": 0}])
def test_a_limit_that_lets_nothing_through_is_a_mistake(limit: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        RateLimit(**limit)


def test_a_clock_with_scale_0_moves_only_by_hand() -> None:
    clock = Clock(0)
    then = clock.now()
    time.sleep(0.002)
    assert clock.now() == then
    clock.advance(60)
    assert clock.now() == then + 60


def test_a_faster_clock_is_faster() -> None:
    clock = Clock(1000)
    then, real = clock.now(), time.monotonic()
    time.sleep(0.005)
    assert clock.now() - then == pytest.approx((time.monotonic() - real) * 1000, rel=0.2)


def test_a_clock_does_not_go_back() -> None:
    with pytest.raises(ValueError, match="back"):
        Clock().advance(-1)
    with pytest.raises(ValueError, match="time_scale"):
        Clock(-1)


def test_tasks_follow_a_faster_clock_without_being_moved(start: Starter) -> None:
    caller = start(tasks=TaskPlan(TaskScript(50, 50)), time_scale=10_000)
    task_id = caller.submitted()
    ends = time.monotonic() + 5
    while caller.fetch(task_id)["data"]["status"] != "SUCCESS":
        assert time.monotonic() < ends


@pytest.mark.anyio
async def test_a_sleep_ends_when_the_clock_is_advanced() -> None:
    clock = Clock(0)
    sleep = asyncio.ensure_future(clock.sleep(100))
    await asyncio.sleep(0)
    clock.advance(99)
    await asyncio.sleep(0.005)
    assert not sleep.done()
    clock.advance(1)
    await asyncio.wait_for(sleep, 5)
