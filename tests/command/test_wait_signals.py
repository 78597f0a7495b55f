"""Ctrl-C while clips are waited for or saved: they go on, and the command says how to go on with them."""

from __future__ import annotations

import shlex
import signal

import pytest

from relaydance_async.sandbox import Fault, TaskPlan, TaskScript
from tests.command.support import Desk, Sit, ended
from tests.kit.routes import CLIPS, FETCH, SUBMIT
from tests.kit.waiting import block_until


def submitted(desk: Desk, prompt: str) -> str:
    done = desk("video", "submit", prompt, "--output", "jsonl")
    assert done.code == 0
    return done.out.split('"task_id": "')[1].split('"')[0]


@pytest.fixture
def desk(sit: Sit) -> Desk:
    """The first clip is ready at once, and no other ever."""
    return sit(tasks=TaskPlan(TaskScript(outcome="hang"), {1: TaskScript(queue=0, run=0)}))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_says_what_goes_on_with_the_clips_that_are_left(desk: Desk, number: signal.Signals) -> None:
    ready, first, second = (submitted(desk, prompt) for prompt in ("a", "b", "c"))
    process = desk.start("video", "wait", ready, first, second, "--out", "my clips/")
    block_until(lambda: sandbox_saw(desk, first), 30)
    process.send_signal(number)
    done = ended(process)
    assert done.code == 128 + number
    assert ready in done.out
    (line,) = (line for line in done.err.splitlines() if "nothing is lost" in line)
    assert line == f"relaydance: nothing is lost: relaydance video wait --out 'my clips' {first} {second} goes on"
    assert desk.sandbox.ledger.billed(SUBMIT) == 3


def sandbox_saw(desk: Desk, task_id: str) -> bool:
    return any(task_id in entry.path for entry in desk.sandbox.ledger.entries if entry.route == FETCH)


@pytest.mark.parametrize("options", [(), ("--overwrite",)])
def test_what_it_says_goes_on_with_a_file_that_is_half_saved(sit: Sit, options: tuple[str, ...]) -> None:
    desk = sit(tasks=TaskPlan(TaskScript(queue=0, run=0)))
    task_id = submitted(desk, "a")
    faults = desk.sandbox.faults
    faults.add(Fault(CLIPS, cut_body_after=1000, at=(1,)))
    faults.add(Fault(CLIPS, stall=True, at=(2,)))
    if options:
        desk.write("a boat.mp4", "an older one")
    process = desk.start("video", "download", task_id, "--out", "a boat.mp4", *options)
    block_until(lambda: len(faults.fired) == 2, 30)
    process.send_signal(signal.SIGINT)
    done = ended(process)
    assert done.code == 130
    said = done.err.split("nothing is lost: relaydance ")[1].split(" goes on")[0]
    assert desk(*shlex.split(said)).code == 0
    assert (desk.home / "a boat.mp4").read_bytes()[4:8] == b"ftyp"
