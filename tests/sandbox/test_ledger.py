"""What was accepted, billed and repeated."""

from __future__ import annotations

from relaydance_async.sandbox import Fault, LedgerEntry, TaskPlan, TaskScript
from tests.kit.routes import CHAT, MODELS, SUBMIT
from tests.sandbox.support import Starter


def test_an_accepted_submit_is_one_entry_with_its_charge(start: Starter) -> None:
    caller = start()
    task_id = caller.submitted()
    (entry,) = caller.sandbox.ledger.entries
    assert isinstance(entry, LedgerEntry)
    assert (entry.n, entry.method, entry.route, entry.path) == (1, "POST", SUBMIT, "/v1/video/generations")
    assert (entry.status, entry.accepted, entry.fault, entry.task_id) == (200, True, None, task_id)
    assert entry.charge_usd == 0.5
    assert entry.body_sha256 is not None


def test_counts_filter_by_route_status_and_acceptance(start: Starter) -> None:
    caller = start()
    caller.submit()
    caller.submit(prompt="")
    caller.models()
    ledger = caller.sandbox.ledger
    assert ledger.count() == 3
    assert (ledger.count(SUBMIT), ledger.count(SUBMIT, status=400), ledger.count(SUBMIT, accepted=False)) == (2, 1, 1)
    assert (ledger.accepted(SUBMIT), ledger.accepted(), ledger.billed(SUBMIT), ledger.billed()) == (1, 2, 1, 1)
    assert ledger.billed(MODELS) == 0


def test_only_accepted_bodies_that_come_again_are_duplicates(start: Starter) -> None:
    caller = start(faults=[Fault(SUBMIT, status=503, at=(1,))])
    for prompt in ("a", "a", "b", "a", "a"):
        caller.submit(prompt=prompt)
    assert caller.sandbox.ledger.accepted(SUBMIT) == 4
    assert caller.sandbox.ledger.duplicates(SUBMIT) == 2
    assert caller.sandbox.ledger.duplicates() == 2


def test_reading_the_same_thing_twice_is_no_duplicate(start: Starter) -> None:
    caller = start()
    caller.models()
    caller.models()
    assert caller.sandbox.ledger.duplicates() == 0


def test_an_upload_repeated_is_a_duplicate_whatever_its_boundary(start: Starter) -> None:
    caller = start()
    caller.upload(b"same", "a.jpg")
    caller.upload(b"same", "b.jpg")
    assert caller.sandbox.ledger.duplicates("POST /v1/files") == 1


def test_failed_tasks_are_refunded_when_they_fail(start: Starter) -> None:
    plan = TaskPlan(TaskScript(1, 9), scripts={2: TaskScript(1, 4, "failed")})
    caller = start(tasks=plan, time_scale=0)
    task_ids = [caller.submitted(), caller.submitted()]
    ledger = caller.sandbox.ledger
    caller.sandbox.clock.advance(4)
    assert (ledger.charged_usd, ledger.refunded_usd) == (1.0, 0.0)
    caller.sandbox.clock.advance(100)
    assert (ledger.charged_usd, ledger.refunded_usd) == (1.0, 0.5)
    assert [(charge.reason, charge.usd, charge.task_id) for charge in ledger.charges] == [
        ("charge", 0.5, task_ids[0]),
        ("charge", 0.5, task_ids[1]),
        ("refund", -0.5, task_ids[1]),
    ]
    assert ledger.billed(SUBMIT) == 2


def test_chat_is_charged_by_token(start: Starter) -> None:
    caller = start()
    tokens = caller.chat().json()["usage"]["total_tokens"]
    assert caller.sandbox.ledger.billed(CHAT) == 1
    assert round(caller.sandbox.ledger.charged_usd * 500_000) == tokens


def test_a_limited_ledger_forgets_entries_and_keeps_counts(start: Starter) -> None:
    caller = start(ledger_limit=3)
    for _ in range(10):
        caller.submit()
    ledger = caller.sandbox.ledger
    assert [entry.n for entry in ledger.entries] == [8, 9, 10]
    assert (ledger.count(SUBMIT), ledger.billed(SUBMIT), ledger.duplicates(SUBMIT)) == (10, 10, 9)
    assert ledger.charged_usd == 5.0


def test_reset_forgets_everything_but_the_clock(start: Starter) -> None:
    caller = start(time_scale=0, faults=[Fault(MODELS, status=500, at=(1,))])
    task_id = caller.submitted()
    caller.sandbox.clock.advance(1000)
    then = caller.sandbox.clock.now()
    assert caller.models().status_code == 500
    caller.sandbox.reset()
    assert (caller.sandbox.ledger.count(), caller.sandbox.ledger.entries, caller.sandbox.faults.fired) == (0, [], {})
    assert caller.sandbox.clock.now() == then
    assert caller.fetch(task_id)["code"] == "task_not_exist"
    assert caller.models().status_code == 500
    assert caller.call("GET", "/api/usage/token/").json()["data"]["total_used"] == 0
