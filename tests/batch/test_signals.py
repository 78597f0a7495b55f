"""A run that is told to stop, or is killed: nothing is lost, and nothing is paid for twice."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections.abc import Callable

import pytest

from relaydance_async.sandbox import Fault, RateLimit, TaskScript
from tests.batch.support import Prompts, Shell, Start, ended
from tests.kit.routes import CHAT, SUBMIT


def wait_for(look: Callable[[], object], seconds: float = 30) -> None:
    ends = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < ends
        time.sleep(0.01)


def begun(shell: Shell, prompts: Prompts, count: int, *arguments: str) -> subprocess.Popen[str]:
    """A run of which so many submits have come in and are not answered yet."""
    process = shell.start("run", *arguments, "--out", str(shell.out))
    wait_for(lambda: len(prompts.accepted) >= count)
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_once_nothing_new_is_sent_and_what_is_on_the_wire_is_kept(start: Start, number: signal.Signals) -> None:
    prompts = Prompts()
    shell = start(tasks=prompts.plan(), faults=[Fault(SUBMIT, delay=2)])
    rows = shell.prompts(20)
    process = begun(shell, prompts, 3, rows, "--in-flight", "3")
    process.send_signal(number)
    done = ended(process)
    assert done.code == 128 + number
    assert "Stopping: nothing new is sent" in done.out
    assert len(prompts.accepted) == 3
    assert shell.errors() == {}
    assert "3 accepted" in shell("status", str(shell.out)).out
    shell.sandbox.faults.clear()
    assert shell.run(rows).code == 0
    assert sorted(prompts.accepted) == sorted(f"Boat {n}" for n in range(20))


def test_the_answer_of_a_chat_on_the_wire_is_kept(start: Start) -> None:
    shell = start(faults=[Fault(CHAT, delay=2)])
    rows = shell.csv([{"id": "a", "prompt": "Why?", "model": "grok-4.3"}])
    process = shell.start("run", rows, "--out", str(shell.out), "--kind", "chat")
    wait_for(lambda: shell.sandbox.ledger.billed(CHAT) or shell.out.exists())
    time.sleep(1.5)
    process.send_signal(signal.SIGINT)
    assert ended(process).code == 130
    shell.sandbox.faults.clear()
    assert shell.run(rows, "--kind", "chat").code == 0
    assert shell.sandbox.ledger.billed(CHAT) == 1


def test_clips_that_are_waited_for_are_left_at_once(start: Start) -> None:
    prompts = Prompts(default=TaskScript(queue=0, run=3600))
    shell = start(tasks=prompts.plan())
    rows = shell.prompts(5)
    process = begun(shell, prompts, 5, rows)
    time.sleep(0.5)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert ended(process).code == 130
    assert time.monotonic() - began < 10
    shell.sandbox.clock.advance(3600)
    assert shell.run(rows).code == 0
    assert len(prompts.accepted) == 5


def test_twice_it_ends_now_and_says_what_is_in_doubt(start: Start) -> None:
    prompts = Prompts()
    shell = start(tasks=prompts.plan(), faults=[Fault(SUBMIT, delay=50)])
    rows = shell.prompts(5)
    process = begun(shell, prompts, 2, rows, "--in-flight", "2")
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert ended(process).code == 130
    assert time.monotonic() - began < 20
    shell.sandbox.faults.clear()
    assert shell.run(rows).code == 3
    assert len(prompts.accepted) == 5
    assert set(shell.errors()) == {"r0", "r1"}


def test_a_signal_before_anything_was_sent(start: Start) -> None:
    shell = start(faults=[Fault("GET /api/pricing", delay=2)])
    process = shell.start("run", shell.prompts(3), "--out", str(shell.out))
    wait_for(lambda: (shell.out / "run.json").exists())
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    assert ended(process).code in (143, -signal.SIGTERM)
    assert shell.sandbox.ledger.billed() == 0


def kill_and_resume(start: Start, rows: int, kills: int, seed: int) -> None:
    dice = random.Random(seed)
    failing = {f"Boat {n}": TaskScript(queue=0, run=0.1, outcome="failed", code="InvalidParameter") for n in (1, 5)}
    prompts = Prompts(failing, TaskScript(queue=0.1, run=0.5))
    limit = RateLimit(rate=60, burst=20, retry_after="1")
    shell = start(tasks=prompts.plan(), rate_limit=limit, faults=[Fault(SUBMIT, status=502, every=9)], seed=seed)
    path = shell.prompts(rows)
    for _ in range(kills):
        process = shell.start("run", path, "--out", str(shell.out), "--in-flight", "20")
        time.sleep(dice.uniform(0.6, 2.5))
        process.kill()
        process.communicate()
    done = shell.run(path)
    errors = shell.errors()
    doubts = {name for name, error in errors.items() if error["why"] == "doubt"}
    assert done.code == (3 if doubts else 1), done
    assert len(doubts) <= 20 * kills
    assert {name for name, error in errors.items() if error["why"] == "input"} <= {"r1", "r5"}
    # None twice, and none lost: what has no result has an error, and what is in doubt was never sent again.
    assert len(prompts.accepted) == len(set(prompts.accepted))
    assert set(shell.results()) | set(errors) == {f"r{n}" for n in range(rows)}
    for result in shell.results().values():
        (name,) = result["files"]
        assert (shell.out / name).read_bytes()[4:8] == b"ftyp"
    assert shell.run(path).code == done.code
    assert len(prompts.accepted) == len(set(prompts.accepted))


def test_killed_again_and_again_it_pays_for_each_row_once(start: Start) -> None:
    kill_and_resume(start, rows=60, kills=4, seed=1)


@pytest.mark.torture
@pytest.mark.parametrize("seed", range(5))
def test_killed_again_and_again_at_length(start: Start, seed: int) -> None:
    kill_and_resume(start, rows=400, kills=12, seed=seed)
