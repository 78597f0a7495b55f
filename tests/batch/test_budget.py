"""`--max-cost`, `--price` and `--dry-run`."""

from __future__ import annotations

import pytest

from relaydance_async.sandbox import Fault, TaskPlan, TaskScript
from tests.batch.support import MODEL, Shell, Start
from tests.kit.routes import CHAT, SUBMIT

FAILED = TaskScript(queue=0, run=0, outcome="failed", code="OutputVideoSensitiveContentDetected")


def test_it_stops_before_the_cap_and_goes_on_with_a_higher_one(shell: Shell) -> None:
    rows = shell.prompts(10)
    done = shell.run(rows, "--max-cost", "2.20")
    assert done.code == 4
    assert "$2.00 of $2.20 are spent, and the next row may cost $0.50" in done.out
    assert "4/10 done; 6 queued" in done.out
    assert shell.sandbox.ledger.charged_usd == 2.0
    assert shell.errors() == {}
    again = shell.run(rows, "--max-cost", "2.20")
    assert (again.code, shell.sandbox.ledger.charged_usd) == (4, 2.0)
    assert shell.run(rows, "--max-cost", "5").code == 0
    assert shell.sandbox.ledger.charged_usd == 5.0


def test_what_is_refused_or_fails_is_given_back(start: Start) -> None:
    shell = start(tasks=TaskPlan(TaskScript(queue=0, run=0), {2: FAILED, 3: FAILED}))
    shell.sandbox.faults.add(Fault(SUBMIT, status=500, code="sensitive_words_detected", at=(1,)))
    done = shell.run(shell.prompts(6), "--max-cost", "1.50")
    assert done.code == 1
    assert len(shell.results()) == 3
    ledger = shell.sandbox.ledger
    assert ledger.charged_usd - ledger.refunded_usd == 1.5
    assert shell.report()["spent_usd"] == 1.5


def test_what_is_paid_for_is_fetched_whatever_the_cap(start: Start) -> None:
    shell = start(tasks=TaskPlan(TaskScript(queue=0, run=0)))
    shell.sandbox.faults.add(Fault("CDN /clips/{name}", status=410))
    rows = shell.prompts(4)
    shell.run(rows, "--max-cost", "2")
    assert len(shell.errors()) == 4
    shell.sandbox.faults.clear()
    assert shell.run(rows, "--max-cost", "0.01").code == 0
    assert shell.sandbox.ledger.charged_usd == 2.0


def test_what_may_have_been_accepted_counts(shell: Shell) -> None:
    shell.sandbox.faults.add(Fault(SUBMIT, stranger="nginx", status=504, after_accept=True, at=(1,)))
    rows = shell.prompts(3)
    assert shell.run(rows, "--max-cost", "1", "--in-flight", "1").code == 4
    assert shell.sandbox.ledger.charged_usd == 1.0
    assert shell.run(rows, "--max-cost", "1", "--in-flight", "1").code == 4
    assert shell.sandbox.ledger.charged_usd == 1.0


@pytest.mark.parametrize("pricing", ["404", "false"])
def test_without_a_price_list_a_price_is_asked_for(start: Start, pricing: str) -> None:
    shell = start(pricing=pricing)
    rows = shell.prompts(4)
    done = shell.run(rows, "--max-cost", "1")
    assert done.code == 2
    assert f"line 2: nobody knows what {MODEL} may cost" in done.err
    assert shell.sandbox.ledger.billed() == 0
    done = shell.run(rows, "--max-cost", "1", "--price", "0.50")
    assert (done.code, shell.sandbox.ledger.billed()) == (4, 2)


def test_a_price_for_each_second(shell: Shell) -> None:
    done = shell.run(shell.prompts(4), "--seconds", "5", "--max-cost", "2", "--price", "0.20/s")
    assert (done.code, shell.sandbox.ledger.billed()) == (4, 2)


def test_a_chat_needs_a_limit(shell: Shell) -> None:
    rows = shell.csv({"id": n, "prompt": "Why is the sea salty?", "model": "grok-4.3"} for n in range(3))
    done = shell.run(rows, "--kind", "chat", "--max-cost", "1")
    assert (done.code, "max_tokens, or --price" in done.err) == (2, True)
    out = str(shell.folder / "chats")
    assert shell("run", rows, "--out", out, "--kind", "chat", "--max-cost", "1", "--max-tokens", "50").code == 0
    assert shell.sandbox.ledger.billed(CHAT) == 3


def test_a_price_that_is_none(shell: Shell) -> None:
    done = shell.run(shell.prompts(1), "--price", "cheap")
    assert (done.code, "--price" in done.err) == (2, True)
    assert not shell.out.exists()


def test_a_dry_run_sends_nothing(shell: Shell) -> None:
    rows = [{"id": f"r{n}", "prompt": "A boat", "model": MODEL if n < 3 else "happyhorse-1.0-t2v"} for n in range(5)]
    path = shell.csv(rows)
    done = shell.run(path, "--dry-run")
    assert done.code == 0
    assert "5 rows: nothing is sent" in done.out
    assert f"{MODEL}: 3 rows, at most $1.50" in done.out
    assert "Cost: at most $2.50" in done.out
    assert "Time: " in done.out
    assert not shell.out.exists()
    assert shell.sandbox.ledger.billed() == 0
    shell.run(path, "--max-cost", "1")
    assert "3 rows are left of 5" in shell("run", "--out", str(shell.out), "--dry-run").out


def test_a_dry_run_shows_faults_and_needs_no_key(shell: Shell) -> None:
    del shell.environment["RELAYDANCE_API_KEY"]
    done = shell.run(shell.prompts(2), "--dry-run")
    assert (done.code, "nobody knows the cost" in done.out) == (0, True)
    assert shell.run(shell.csv([{"prompt": ""}]), "--model", MODEL, "--dry-run").code == 2
