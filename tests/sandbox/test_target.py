"""The sandbox as a target: what a web page in the developer's browser, or nonsense in an option, can do to it."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from relaydance_async.sandbox import Account, ConnectionFault, Fault, RateLimit, Sandbox, TaskPlan, TaskScript
from relaydance_async.sandbox._clock import Clock
from tests.kit.routes import MODELS
from tests.kit.waiting import block_until
from tests.sandbox.support import Starter

ENDLESS = ["1e400", "-1e400", "NaN", "Infinity", "-1", "1e18", "1" + "0" * 400, '"60"', "true", "null", "[" * 100_000]
NO_NUMBERS = [float("inf"), float("nan"), -1.0]


@pytest.mark.parametrize("value", ENDLESS, ids=lambda value: value[:12])
def test_the_clock_takes_no_number_that_would_stop_it(start: Starter, value: str) -> None:
    caller = start(time_scale=0)
    now = caller.sandbox.clock.now()
    root = caller.sandbox.root_url
    answer = caller.http.post(f"{root}/_sandbox/clock", content=f'{{"advance": {value}}}')
    assert (answer.status_code, caller.sandbox.clock.now()) == (400, now)
    assert caller.models().status_code == 200
    assert caller.http.get(f"{root}/_sandbox/tasks").status_code == 200


def test_the_clock_is_moved_a_century_in_all() -> None:
    clock = Clock(0)
    clock.advance(3e9)
    with pytest.raises(ValueError, match="moved"):
        clock.advance(3e9)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e400"])
def test_a_fault_over_http_takes_no_endless_number(start: Starter, value: str) -> None:
    caller = start()
    for field in ("delay", "probability", "every", "status", "cut_body_after"):
        content = f'{{"route": "{MODELS}", "{field}": {value}}}'
        answer = caller.http.post(f"{caller.sandbox.root_url}/_sandbox/faults", content=content)
        assert answer.status_code == 400
    assert caller.models().status_code == 200


@pytest.mark.parametrize("value", NO_NUMBERS)
def test_no_option_takes_an_endless_number(value: Any) -> None:
    makers: list[Any] = [
        lambda: Sandbox(time_scale=value),
        lambda: Sandbox(clip_bytes=value),
        lambda: Sandbox(max_body_bytes=value),
        lambda: Sandbox(ledger_limit=value),
        lambda: Sandbox(keep_alive=value),
        lambda: Account(balance_usd=value * 1e10),
        lambda: Fault(delay=value),
        lambda: Fault(probability=value),
        lambda: Fault(times=value),
        lambda: RateLimit(rate=value),
        lambda: RateLimit(burst=value),
        lambda: TaskScript(queue=value),
        lambda: TaskScript(run=value),
        lambda: TaskPlan(jitter=value),
        lambda: ConnectionFault("drip", interval=value),
        lambda: ConnectionFault("drip", rate=value),
    ]
    for make in makers:
        with pytest.raises(ValueError, match="must be"):
            make()


def test_what_has_another_type_is_refused_where_it_is_given() -> None:
    wrong: Any = "fast"
    makers: list[Any] = [
        lambda: TaskPlan(wrong),
        lambda: TaskPlan(scripts={1: wrong}),
        lambda: Sandbox(tasks=wrong),
        lambda: Sandbox(faults=[wrong]),
        lambda: Sandbox(rate_limit=[wrong]),
        lambda: Sandbox(accounts={"sk-one": wrong}),
    ]
    for make in makers:
        with pytest.raises(TypeError, match=r"must be a .*, not 'fast'"):
            make()


def test_limits_and_faults_may_come_one_by_one(start: Starter) -> None:
    caller = start(rate_limit=iter([RateLimit(1.0, 1)]), faults=iter([Fault(MODELS, status=503, at=(1,))]))
    assert [caller.models().status_code for _ in range(2)] == [503, 429]


@pytest.mark.parametrize("value", ["NaN", "-Infinity"])
def test_a_request_with_what_is_no_json_number_is_malformed(start: Starter, value: str) -> None:
    caller = start()
    body = f'{{"model": "grok-4.3", "messages": [{{"role": "user", "content": "a"}}], "top_p": {value}}}'
    assert caller.call("POST", "/v1/chat/completions", content=body.encode()).status_code == 400
    assert caller.chat(sandbox_chunk_delay=10**400).json()["error"]["param"] == "sandbox_chunk_delay"


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:8080", ""])
@pytest.mark.parametrize(("method", "path"), [("POST", "reset"), ("POST", "clock"), ("GET", "ledger")])
def test_a_web_page_turns_nothing(start: Starter, origin: str, method: str, path: str) -> None:
    caller = start()
    caller.models()
    url = f"{caller.sandbox.root_url}/_sandbox/{path}"
    answer = caller.http.request(method, url, headers={"origin": origin})
    assert answer.status_code == 403
    assert "web page" in answer.json()["error"]
    assert caller.sandbox.ledger.count() == 1


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost.evil.example", "[", "10.0.0.1"]
)
def test_a_name_that_was_rebound_to_this_machine_is_refused(start: Starter, host: str) -> None:
    caller = start()
    caller.models()
    answer = caller.http.post(f"{caller.sandbox.root_url}/_sandbox/reset", headers={"host": host})
    assert answer.status_code in (400, 403)
    assert caller.sandbox.ledger.count() == 1


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:1", "[::1]:8080", "LOCALHOST:9"])
def test_names_of_this_machine_are_taken(start: Starter, host: str) -> None:
    caller = start()
    url = f"{caller.sandbox.root_url}/_sandbox/ledger"
    assert caller.http.get(url, headers={"host": host}).status_code == 200


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_a_webhook_never_calls_the_sandbox_itself(start: Starter, name: str) -> None:
    caller = start(tasks=TaskPlan(TaskScript(0, 1)), time_scale=0)
    urls = [
        caller.sandbox.root_url.replace("127.0.0.1", name) + "/_sandbox/reset",
        caller.sandbox.cdn_url,
        "http://[",
        "http://127.0.0.1:99999",
    ]
    for url in urls:
        caller.submitted(metadata={"callback_url": url})
    caller.sandbox.clock.advance(1)
    block_until(lambda: len(caller.sandbox.ledger.webhooks) == len(urls))
    errors = [delivery.error for delivery in caller.sandbox.ledger.webhooks]
    assert ["itself" in error for error in errors] == [True, True, False, False]
    assert {delivery.status for delivery in caller.sandbox.ledger.webhooks} == {0}
    assert caller.sandbox.ledger.count() == len(urls)


@pytest.mark.parametrize(("host", "warned"), [("0.0.0.0", True), ("127.0.0.1", False), ("localhost", False)])
def test_listening_where_others_can_call_is_warned_of(
    start: Starter, caplog: pytest.LogCaptureFixture, host: str, warned: bool
) -> None:
    caplog.set_level(logging.WARNING, "relaydance_async.sandbox")
    caller = start(host=host)
    assert ("other machines can reach it" in caplog.text) is warned
    assert caller.sandbox.api_key not in caplog.text
    assert caller.http.get(f"{caller.sandbox.root_url}/_sandbox/ledger").status_code == 200
