"""The key's own books (wire 9): a second account of what was charged, for a caller that never heard the answer."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from relaydance_async.sandbox import Account, Fault, RateLimit, TaskPlan, TaskScript
from tests.kit.routes import CHAT, SUBMIT
from tests.sandbox.support import Caller, Json, Starter


def log(caller: Caller) -> list[Json]:
    body: Json = caller.call("GET", "/api/log/token").json()
    assert body["success"] is True
    rows: list[Json] = body["data"]
    return rows


def used(caller: Caller) -> int:
    total: int = caller.call("GET", "/api/usage/token/").json()["data"]["total_used"]
    return total


def test_a_charge_is_a_row_with_the_id_of_its_answer(start: Starter) -> None:
    caller = start(time_scale=0)
    answer = caller.submit()
    (row,) = log(caller)
    assert (row["type"], row["quota"], row["model_name"]) == (2, 250_000, "doubao-seedance-2-0-720p")
    assert row["request_id"] == answer.headers["x-oneapi-request-id"]
    assert row["created_at"] == int(caller.sandbox.clock.now())
    other = json.loads(row["other"])
    assert (other["is_task"], other["request_path"], other["model_price"]) == (True, "/v1/video/generations", 0.5)
    assert used(caller) == 250_000


def test_rows_are_newest_first_and_of_each_kind(start: Starter) -> None:
    plan = TaskPlan(TaskScript(0, 10, "failed"))
    caller = start(tasks=plan, time_scale=0, faults=[Fault(CHAT, status=502, code="bad_response", at=(1,))])
    task = caller.submit()
    caller.chat()
    tokens = caller.chat(stream=True)
    caller.images()
    assert used(caller) > 250_000
    before = used(caller)
    caller.sandbox.clock.advance(10)
    rows = log(caller)
    assert [row["type"] for row in rows] == [6, 2, 2, 5, 2]
    assert (rows[0]["quota"], rows[0]["request_id"]) == (250_000, task.headers["x-oneapi-request-id"])
    assert rows[0]["created_at"] - rows[4]["created_at"] == 10
    assert (rows[2]["is_stream"], rows[2]["request_id"]) == (True, tokens.headers["x-oneapi-request-id"])
    assert (rows[3]["quota"], rows[3]["model_name"]) == (0, "grok-4.3")
    assert used(caller) == before - 250_000
    charged = sum(row["quota"] for row in rows if row["type"] == 2)
    assert charged / 500_000 == caller.sandbox.ledger.charged_usd


@pytest.mark.parametrize("fault", [{"stranger": "cloudflare"}, {"status": 504, "body": "html"}, {}], ids=str)
def test_what_was_accepted_and_never_answered_is_in_the_log(start: Starter, fault: dict[str, Any]) -> None:
    caller = start(faults=[Fault(SUBMIT, after_accept=True, **fault)])
    try:
        assert caller.submit().status_code >= 500
    except httpx.ReadError:
        assert fault == {}
    (row,) = log(caller)
    assert (row["type"], row["request_id"]) == (2, caller.sandbox.ledger.entries[0].request_id)


def test_what_the_gateway_never_handed_on_is_not_in_the_log(start: Starter) -> None:
    limit = RateLimit(policy="fixed_window", limit=3, window=1e6, routes={SUBMIT})
    caller = start(faults=[Fault(SUBMIT, stranger="nginx", at=(1,))], rate_limit=limit)
    caller.submit()
    caller.models()
    caller.call("POST", "/v1/video/generations", json={}, headers={"authorization": "Bearer wrong"})
    assert log(caller) == []
    statuses = [caller.submit(prompt=prompt).status_code for prompt in ("", "a", "b")]
    assert statuses == [400, 200, 429]
    assert [row["type"] for row in log(caller)] == [2, 5]


def test_the_log_has_a_thousand_rows_at_most(start: Starter) -> None:
    caller = start(ledger_limit=5, accounts={"k": Account(unlimited=True)})
    for _ in range(1010):
        caller.chat(model="none-such")
    last = caller.submit()
    rows = log(caller)
    assert len(rows) == 1000
    assert rows[0]["request_id"] == last.headers["x-oneapi-request-id"]


def test_a_row_may_come_late_and_without_an_id(start: Starter) -> None:
    account = Account(log_delay=2, log_request_ids=False)
    caller = start(accounts={"k": account}, time_scale=0)
    caller.submit()
    assert log(caller) == []
    caller.sandbox.clock.advance(2)
    (row,) = log(caller)
    assert "request_id" not in row


def test_each_key_has_its_own_log_and_a_reset_empties_it(start: Starter) -> None:
    caller = start(accounts={"one": Account(name="same"), "two": Account(name="same")})
    caller.submit()
    other = caller.call("GET", "/api/log/token", headers={"authorization": "Bearer two"})
    assert other.json()["data"] == []
    assert len(log(caller)) == 1
    caller.sandbox.reset()
    assert log(caller) == []


@pytest.mark.parametrize(("offer", "status"), [("404", 404), ("401", 401), ("false", 200)])
@pytest.mark.parametrize("dialect", ["gateway", "documented"])
def test_the_books_can_be_switched_off(start: Starter, dialect: str, offer: Any, status: int) -> None:
    caller = start(dialect=dialect, pricing=offer, accounts={"k": Account(log=offer)})
    for path in ("/api/log/token", "/api/pricing"):
        answer = caller.call("GET", path)
        assert answer.status_code == status
        assert answer.json().get("success", False) is False
        assert "data" not in answer.json()


def test_the_log_needs_the_key_and_the_prices_do_not(start: Starter) -> None:
    caller = start(extra_models={"my-model": "video"})
    assert caller.http.get(f"{caller.sandbox.root_url}/api/log/token").status_code == 401
    body = caller.http.get(f"{caller.sandbox.root_url}/api/pricing").json()
    prices = {row["model_name"]: row for row in body["data"]}
    assert (prices["my-model"]["quota_type"], prices["my-model"]["model_price"]) == (1, 0.5)
    assert prices["grok-imagine-image"]["model_price"] == 0.02
    assert (prices["grok-4.3"]["quota_type"], prices["grok-4.3"]["model_ratio"]) == (0, 1)
    assert body["group_ratio"] == {"default": 1}


def test_an_offer_of_no_known_kind_is_a_mistake(start: Starter) -> None:
    wrong: Any = "off"
    with pytest.raises(ValueError, match="log must be one of"):
        Account(log=wrong)
    with pytest.raises(ValueError, match="pricing must be one of"):
        start(pricing=wrong)
