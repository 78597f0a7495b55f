"""Every kind of limit, in virtual time, and what its 429 says on the wire."""

from __future__ import annotations

import threading
import time
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from relaydance_async.sandbox import Account, Fault, RateLimit
from relaydance_async.sandbox._clock import Clock
from relaydance_async.sandbox._limits import Limiter, RefusedByLimit
from tests.kit.routes import MODELS, SUBMIT
from tests.kit.waiting import block_until
from tests.sandbox.support import CHAT_REQUEST, Starter

WINDOWS = pytest.mark.parametrize("policy", ["fixed_window", "sliding_log", "sliding_counter"])


class Bench:
    """A limiter on a clock that stands at the beginning of a window until it is moved."""

    def __init__(self, *limits: RateLimit, window: float = 60) -> None:
        self.clock = Clock(0)
        self.clock.advance(window - self.clock.now() % window)
        self.limiter = Limiter(limits, self.clock)

    def call(self, key: str = "k", model: str = "m", *, succeeded: bool = True) -> float:
        """0.0 when the call passes (and is over at once), else the wait."""
        try:
            ticket = self.limiter.admit(key, model, "r")
        except RefusedByLimit as refused:
            return refused.wait
        self.limiter.leave(ticket, succeeded=succeeded)
        return 0.0

    def calls(self, number: int) -> int:
        """How many of `number` calls pass."""
        return sum(self.call() == 0 for _ in range(number))


def test_a_bucket_fills_to_its_burst_and_no_further() -> None:
    bench = Bench(RateLimit(rate=8, burst=3))
    assert [bench.call() for _ in range(4)] == [0, 0, 0, 0.125]
    bench.clock.advance(0.125)
    assert [bench.call() for _ in range(2)] == [0, pytest.approx(0.125, abs=1e-3)]
    bench.clock.advance(3600)
    assert bench.calls(9) == 3


def test_a_fixed_window_opens_for_everybody_at_once() -> None:
    bench = Bench(RateLimit(policy="fixed_window", limit=5, window=60))
    bench.clock.advance(50)
    assert bench.calls(9) == 5
    assert bench.call() == pytest.approx(10, abs=1e-3)
    bench.clock.advance(10)
    # Twice the limit in ten seconds: what such a limiter is known for.
    assert bench.calls(9) == 5


def test_a_sliding_log_lets_no_more_through_in_any_window() -> None:
    bench = Bench(RateLimit(policy="sliding_log", limit=5, window=60))
    bench.clock.advance(50)
    assert bench.calls(3) == 3
    bench.clock.advance(20)
    assert bench.calls(9) == 2
    assert bench.call() == pytest.approx(40, abs=1e-3)
    bench.clock.advance(40)
    assert bench.calls(9) == 3


def test_a_sliding_counter_counts_the_last_window_in_part() -> None:
    bench = Bench(RateLimit(policy="sliding_counter", limit=10, window=60))
    assert bench.calls(20) == 10
    assert bench.call() == pytest.approx(66, abs=1e-3)
    bench.clock.advance(60)
    assert bench.calls(20) == 0
    bench.clock.advance(30)
    assert bench.calls(20) == 5
    assert bench.call() == pytest.approx(6, abs=1e-3)
    bench.clock.advance(600)
    assert bench.calls(20) == 10


@WINDOWS
@pytest.mark.parametrize("limit", [1, 2, 7])
def test_a_call_that_waits_as_long_as_it_is_told_passes(policy: Any, limit: int) -> None:
    bench = Bench(RateLimit(policy=policy, limit=limit, window=7), window=7)
    for _ in range(50):
        bench.clock.advance(0.4)
        while (wait := bench.call()) == 0:
            pass
        bench.clock.advance(wait)
        assert bench.call() == 0


@WINDOWS
def test_a_window_holds_no_more_than_its_limit(policy: Any) -> None:
    bench = Bench(RateLimit(policy=policy, limit=9, window=60))
    for _ in range(20):
        assert bench.calls(30) <= 9
        bench.clock.advance(60)


@pytest.mark.parametrize("policy", ["fixed_window", "sliding_log", "sliding_counter", "token_bucket"])
@pytest.mark.parametrize("counts", ["admitted", "all"])
def test_who_knocks_all_the_time_comes_in_unless_knocking_counts(policy: Any, counts: Any) -> None:
    bench = Bench(RateLimit(rate=0.1, burst=2, policy=policy, limit=2, window=20, counts=counts), window=20)
    assert bench.calls(2) == 2
    passed = 0
    for _ in range(20):
        bench.clock.advance(4)
        passed += bench.calls(1)
    # A fixed window forgets what was refused, too.
    assert (passed > 0) is (counts == "admitted" or policy == "fixed_window")
    bench.clock.advance(60)
    assert bench.call() == 0


def test_successes_alone_may_count() -> None:
    bench = Bench(RateLimit(policy="sliding_log", limit=2, window=60, counts="successes"))
    assert [bench.call(succeeded=False) for _ in range(5)] == [0.0] * 5
    assert bench.calls(5) == 2


def test_calls_under_way_are_bounded_until_they_are_over() -> None:
    bench = Bench(RateLimit(policy="under_way", limit=2))
    tickets = [bench.limiter.admit("k", "m", "r") for _ in range(2)]
    assert bench.call() == 1.0
    bench.limiter.leave(tickets[0], succeeded=False)
    bench.limiter.leave(tickets[0], succeeded=False)
    assert bench.call() == 0
    bench.limiter.leave(tickets[1], succeeded=True)
    assert bench.calls(5) == 5


@pytest.mark.parametrize(
    ("per", "passed"),
    [("key", [1, 0, 1, 0]), ("model", [1, 1, 0, 0]), ("key_and_model", [1, 1, 1, 1]), ("all", [1, 0, 0, 0])],
)
def test_calls_are_counted_by_key_and_by_model(per: Any, passed: list[int]) -> None:
    bench = Bench(RateLimit(policy="fixed_window", limit=1, per=per))
    calls = [("a", "x"), ("a", "y"), ("b", "x"), ("b", "y")]
    assert [int(bench.call(key, model) == 0) for key, model in calls] == passed


def test_several_limits_hold_at_once_and_a_refusal_frees_the_places() -> None:
    bench = Bench(RateLimit(policy="under_way", limit=1), RateLimit(policy="fixed_window", limit=3))
    assert bench.calls(9) == 3
    bench.clock.advance(60)
    assert bench.calls(9) == 3


def test_a_limit_in_real_time_is_not_moved_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(RateLimit(policy="sliding_log", limit=1, real_time=True))
    assert bench.call() == 0
    bench.clock.advance(3600)
    assert bench.call() > 0
    later = time.monotonic() + 60
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert bench.call() == 0


def test_the_gateways_own_limit_never_says_when_to_come_back(start: Starter) -> None:
    caller = start(rate_limit=RateLimit.of_gateway(requests=4, successes=2, minutes=3), time_scale=0)
    bad = [caller.submit(prompt="").status_code for _ in range(2)]
    good = [caller.models() for _ in range(4)]
    assert (bad, [answer.status_code for answer in good]) == ([400, 400], [200, 200, 429, 429])
    assert not {"retry-after", "retry-after-ms"} & set(good[3].headers)
    caller.sandbox.clock.advance(179)
    assert caller.models().status_code == 429
    caller.sandbox.clock.advance(2)
    assert caller.models().status_code == 200


def test_a_provider_limits_its_models_only(start: Starter) -> None:
    limit = RateLimit(policy="fixed_window", limit=1, window=1e6, models={"grok-imagine-video"}, per="model")
    caller = start(rate_limit=limit, time_scale=0)
    assert [caller.submit(model="grok-imagine-video").status_code for _ in range(3)] == [200, 429, 429]
    assert [caller.submit().status_code for _ in range(3)] == [200] * 3
    assert caller.models().status_code == 200


def test_calls_under_way_count_until_their_answer_is_sent(start: Starter) -> None:
    caller = start(rate_limit=RateLimit(policy="under_way", limit=1), faults=[Fault(SUBMIT, stall=True)])
    with httpx.Client(trust_env=False, verify=False) as other:
        headers = {"authorization": f"Bearer {caller.sandbox.api_key}"}

        def stay() -> None:
            with pytest.raises(httpx.ReadTimeout):
                other.post(f"{caller.sandbox.base_url}/video/generations", json={}, headers=headers, timeout=0.5)

        thread = threading.Thread(target=stay)
        thread.start()
        block_until(lambda: caller.sandbox.ledger.count(SUBMIT) == 1)
        assert caller.models().status_code == 429
        thread.join()
    block_until(lambda: caller.models().status_code == 200)
    assert caller.chat().status_code == 200
    assert caller.call("POST", "/v1/chat/completions", json={**CHAT_REQUEST, "stream": True}).status_code == 200
    assert caller.models().status_code == 200


@pytest.mark.parametrize(
    ("retry_after", "header", "least", "most"),
    [("exact", "retry-after", 60, 60), ("long", "retry-after", 600, 600), ("ms", "retry-after-ms", 59_000, 60_000)],
)
def test_a_window_says_when_it_opens(start: Starter, retry_after: str, header: str, least: int, most: int) -> None:
    limit = RateLimit(policy="sliding_log", limit=1, retry_after=retry_after)
    caller = start(rate_limit=limit, time_scale=0)
    caller.models()
    assert least <= int(caller.models().headers[header]) <= most


def test_a_faster_clock_opens_its_window_sooner_and_says_so(start: Starter) -> None:
    limit = RateLimit(policy="sliding_log", limit=1, window=3600, retry_after="exact")
    caller = start(rate_limit=limit, time_scale=100)
    caller.models()
    assert int(caller.models().headers["retry-after"]) <= 36
    limit = RateLimit(policy="sliding_log", limit=1, window=3600, retry_after="date")
    caller = start(rate_limit=limit, time_scale=100)
    caller.models()
    date = parsedate_to_datetime(caller.models().headers["retry-after"]).timestamp()
    assert 30 < date - time.time() < 38


def test_keys_are_counted_apart_in_each_policy(start: Starter) -> None:
    limit = RateLimit(policy="fixed_window", limit=1, window=1e6, routes={MODELS})
    caller = start(rate_limit=limit, accounts={"one": Account(), "two": Account()})
    for key, expected in (("one", 200), ("one", 429), ("two", 200)):
        headers = {"authorization": f"Bearer {key}"}
        assert caller.call("GET", "/v1/models", headers=headers).status_code == expected


def test_a_body_that_names_no_model_is_counted_without_one(start: Starter) -> None:
    caller = start(rate_limit=RateLimit(policy="fixed_window", limit=9, window=1e6, per="model"))
    for content in (b'{"model"', b'["model"]', b'{"model": 3}'):
        assert caller.call("POST", "/v1/chat/completions", content=content).status_code == 400


@pytest.mark.parametrize(
    "fields", [{"policy": "leaky"}, {"per": "group"}, {"counts": "none"}, {"limit": 0}, {"window": 0}]
)
def test_a_limit_of_no_known_kind_is_a_mistake(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        RateLimit(**fields)


def test_a_limit_is_read_from_json() -> None:
    limit = RateLimit.from_json({"policy": "under_way", "limit": 3})
    assert (limit.policy, limit.limit) == ("under_way", 3)
    wrong: list[object] = [[], {"speed": 3}]
    for value in wrong:
        with pytest.raises(ValueError, match="a limit"):
            RateLimit.from_json(value)
