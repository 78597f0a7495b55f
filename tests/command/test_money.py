"""Nothing is paid for twice by mistake, and nothing that was paid for is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from relaydance_async.sandbox import Fault, TaskPlan, TaskScript
from tests.command.support import Desk, Sit, ended, in_terminal
from tests.kit.routes import EDITS, FILES, IMAGES, SUBMIT
from tests.kit.waiting import block_until

CLIP = ("video", "generate", "A boat", "-o", "boat.mp4")


def test_the_same_command_again_is_not_paid_for_again_and_says_so(desk: Desk) -> None:
    first, second = desk(*CLIP), desk(*CLIP)
    assert (first.code, second.code) == (0, 0)
    assert first.out == second.out
    assert "accepted: relaydance video wait task_" in first.err
    assert "that is used. --again pays for another one" in second.err
    assert desk.sandbox.ledger.billed(SUBMIT) == 1


def test_again_pays_for_another_one(desk: Desk) -> None:
    assert desk(*CLIP).code == 0
    again = desk(*CLIP, "--again", "--overwrite")
    assert again.code == 0
    assert "that is used" not in again.err
    assert desk.sandbox.ledger.billed(SUBMIT) == 2


@pytest.mark.parametrize(
    "other",
    [
        ("video", "generate", "A ship", "--out", "boat.mp4", "--overwrite"),
        ("video", "generate", "A boat", "--out", "other.mp4", "-m", "doubao-seedance-2-0-fast-260128"),
        ("video", "generate", "A boat", "--seconds", "5"),
        ("video", "submit", "A boat"),
        ("video", "generate", "A boat", "--model", "grok-imagine-video"),
    ],
)
def test_another_command_is_another_clip(desk: Desk, other: tuple[str, ...]) -> None:
    assert desk(*CLIP).code == 0
    assert desk(*other).code == 0
    assert desk.sandbox.ledger.billed(SUBMIT) == 2


def test_another_user_of_the_machine_gets_a_clip_of_their_own(sit: Sit) -> None:
    from relaydance_async.sandbox import Account

    desk = sit(accounts={"sk-first-0001": Account(), "sk-second-0002": Account()})
    assert desk(*CLIP).code == 0
    desk.set(RELAYDANCE_API_KEY="sk-second-0002")
    (desk.home / "boat.mp4").unlink()
    assert desk(*CLIP).code == 0
    assert desk.sandbox.ledger.billed(SUBMIT) == 2


def test_a_key_of_ones_own_and_no_journal(desk: Desk) -> None:
    assert desk("video", "submit", "A boat", "--idempotency-key", "k").code == 0
    assert desk("video", "submit", "A boat", "--idempotency-key", "k").code == 0
    assert desk.sandbox.ledger.billed(SUBMIT) == 1
    reused = desk("video", "submit", "A ship", "--idempotency-key", "k", "--model", "grok-imagine-video")
    assert (reused.code, "IdempotencyKeyReusedError" in reused.err) == (2, True)
    for _ in range(2):
        assert desk("video", "submit", "A boat", "--no-journal").code == 0
    assert desk.sandbox.ledger.billed(SUBMIT) == 3
    refused = desk("video", "submit", "A boat", "--no-journal", "--idempotency-key", "k")
    assert (refused.code, refused.err.count("\n")) == (2, 1)


def test_a_failed_clip_is_made_anew(sit: Sit) -> None:
    scripts = iter([TaskScript(queue=0, run=0, outcome="failed", reason="no GPU"), TaskScript(queue=0, run=0)])
    desk = sit(tasks=TaskPlan(choose=lambda number, body: next(scripts)))
    failed = desk(*CLIP)
    assert (failed.code, failed.out) == (1, "")
    assert "no GPU" in failed.err
    assert desk(*CLIP).code == 0
    assert (desk.home / "boat.mp4").exists()


def test_nothing_is_paid_for_what_could_not_be_saved(desk: Desk) -> None:
    (desk.home / "boat.mp4").write_text("mine")
    there = desk(*CLIP)
    assert (there.code, "--overwrite" in there.err) == (2, True)
    nowhere = desk("video", "generate", "A boat", "--out", "nowhere/boat.mp4")
    assert (nowhere.code, "no directory nowhere" in nowhere.err) == (2, True)
    missing = desk("video", "generate", "A boat", "--reference", "cat.png")
    assert (missing.code, "can't read cat.png" in missing.err) == (2, True)
    os.mkfifo(desk.home / "pipe")
    for name in ("pipe", "/dev/zero", "."):
        for words in (
            ["video", "generate", "A boat", "--reference"],
            ["image", "A boat", "--edit"],
            ["chat", "Who?", "--image"],
        ):
            odd = desk(*words, name)
            assert (odd.code, f"{name} is not a file" in odd.err) == (2, True)
    assert desk("image", "A boat", "--out", "boat.mp4").code == 2
    assert desk.sandbox.ledger.count() == 0
    assert (desk.home / "boat.mp4").read_text() == "mine"


def test_a_clip_that_is_in_doubt_is_not_sent_again(desk: Desk) -> None:
    desk.sandbox.faults.add(Fault(SUBMIT, stranger="nginx", status=504, after_accept=True, at=(1,)))
    first, second = desk(*CLIP), desk(*CLIP)
    assert (first.code, second.code) == (3, 3)
    for told in (first, second):
        assert "relaydance logs" in told.err
        assert "await" not in told.err
        assert "RetryPolicy" not in told.err
    assert desk.sandbox.ledger.billed(SUBMIT) == 1
    (row,) = json.loads(desk("video", "list", "--output", "json").out)
    assert row["state"] == "in doubt"
    assert desk(*CLIP, "--again").code == 0


def test_references_are_uploaded_once_for_each_content(desk: Desk) -> None:
    desk.write("cat.png", "a picture")
    command = ("video", "submit", "@image1 runs", "--reference", "cat.png")
    assert desk(*command).code == desk(*command).code == 0
    assert desk(*command, "--seconds", "5").code == 0
    assert (desk.sandbox.ledger.accepted(FILES), desk.sandbox.ledger.billed(SUBMIT)) == (1, 2)
    desk.write("cat.png", "another picture")
    assert desk(*command).code == 0
    assert (desk.sandbox.ledger.accepted(FILES), desk.sandbox.ledger.billed(SUBMIT)) == (2, 3)


def test_a_clip_with_everything(desk: Desk) -> None:
    desk.write("first.png", "a picture")
    done = desk(
        *("video", "submit", "A boat", "--seconds", "5", "--ratio", "16:9", "--resolution", "720p", "--no-audio"),
        *("--first-frame", "first.png", "--last-frame", "https://example.com/last.png", "--metadata", '{"seed": 7}'),
    )
    assert done.code == 0
    assert desk.sandbox.ledger.billed(SUBMIT) == 1
    wrong = desk("video", "submit", "A boat", "--metadata", "[1]")
    assert (wrong.code, "--metadata takes a JSON object" in wrong.err) == (2, True)


def test_pictures(desk: Desk) -> None:
    done = desk("image", "A boat", "--n", "2", "--out", "boat.png", "--output", "json")
    assert done.code == 0
    assert [Path(one["file"]).name for one in json.loads(done.out)] == ["boat-1.png", "boat-2.png"]
    edited = desk.home / "boat-1.png"
    edited.write_text("edited by hand")
    assert desk("image", "A boat", "--n", "2", "--out", "boat.png").code == 0
    assert edited.read_text() == "edited by hand"
    assert desk.sandbox.ledger.billed(IMAGES) == 1
    assert desk("image", "Bluer", "--edit", "boat-2.png").code == 0
    assert desk.sandbox.ledger.billed(EDITS) == 1
    assert len(list(desk.home.glob("image-*"))) == 1


def slow(sit: Sit) -> Desk:
    """Clips that take an hour."""
    return sit(tasks=TaskPlan(TaskScript(queue=0, run=3600)))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_the_clip_and_says_how_to_go_on(sit: Sit, number: signal.Signals) -> None:
    desk = slow(sit)
    process = desk.start(*CLIP)
    block_until(lambda: desk.sandbox.ledger.billed(SUBMIT) == 1, 30)
    time.sleep(0.3)
    process.send_signal(number)
    done = ended(process)
    assert done.code == 128 + number
    (entry,) = [entry for entry in desk.sandbox.ledger.entries if entry.task_id and entry.accepted][:1]
    assert f"relaydance video wait {entry.task_id}" in done.err
    desk.sandbox.clock.advance(3600)
    assert desk(*CLIP).code == 0
    assert desk("video", "wait", entry.task_id or "", "--out", "copy.mp4").code == 0
    assert (desk.home / "copy.mp4").read_bytes() == (desk.home / "boat.mp4").read_bytes()
    assert desk.sandbox.ledger.billed(SUBMIT) == 1


def test_a_signal_while_the_submit_is_on_the_wire_waits_for_its_answer(sit: Sit) -> None:
    desk = slow(sit)
    desk.sandbox.faults.add(Fault(SUBMIT, delay=1.5))
    process = desk.start(*CLIP)
    block_until(lambda: (desk.home / "state/relaydance/journal.db").exists(), 30)
    time.sleep(0.8)
    process.send_signal(signal.SIGINT)
    done = ended(process)
    assert done.code == 130
    assert "what is on the wire is finished" in done.err
    if desk.sandbox.ledger.billed(SUBMIT):
        assert "accepted: relaydance video wait task_" in done.err
    else:
        assert "nothing was accepted" in done.err


def test_the_second_signal_ends_it_at_once_and_it_is_in_doubt(sit: Sit) -> None:
    desk = slow(sit)
    desk.sandbox.faults.add(Fault(SUBMIT, delay=40))
    process = desk.start(*CLIP, stderr=subprocess.PIPE)
    block_until(lambda: bool(list((desk.home / "state/relaydance").glob("journal.db-wal"))), 30)
    time.sleep(1.0)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    time.sleep(0.4)
    process.send_signal(signal.SIGINT)
    done = ended(process)
    assert (done.code, time.monotonic() - began < 20) == (130, True)
    desk.sandbox.faults.clear()
    assert desk(*CLIP).code == 3


def test_without_a_journal_nothing_is_claimed(sit: Sit) -> None:
    desk = slow(sit)
    process = desk.start("video", "submit", "A boat", "--no-journal")
    desk.sandbox.faults.add(Fault(SUBMIT, delay=20, after_accept=True))
    block_until(lambda: bool(desk.sandbox.faults.fired), 30)
    process.send_signal(signal.SIGINT)
    done = ended(process)
    assert (done.code, "nobody knows" in done.err) == (130, True)
    assert "nothing is paid" not in done.err


def test_ctrl_c_on_a_terminal(sit: Sit) -> None:
    desk = slow(sit)
    said, code = in_terminal(*CLIP, types=(("video wait", b"\x03"),), columns=200)
    assert code == 130
    assert "accepted: relaydance video wait task_" in said
    assert "interrupted" in said
    assert desk.sandbox.ledger.billed(SUBMIT) == 1


def test_a_reader_that_has_gone_loses_no_id(desk: Desk) -> None:
    process = desk.start("video", "submit", "A boat", stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = open(os.devnull)  # noqa: SIM115
    done = ended(process)
    assert done.code == 141
    assert "accepted: relaydance video wait task_" in done.err
    assert "Traceback" not in done.err


def test_a_journal_that_cannot_be_kept(desk: Desk) -> None:
    desk.write("file", "")
    done = desk("video", "submit", "A boat", "--journal", "file/journal.db")
    assert (done.code, "--no-journal" in done.err) == (2, True)
    broken = desk.write("broken.db", "this is no database, but it is long enough to be looked at " * 20)
    done = desk("video", "submit", "A boat", "--journal", str(broken))
    assert (done.code, "--journal" in done.err) == (5, True)
    assert desk.sandbox.ledger.count() == 0


def test_the_journal_holds_no_key_and_nobody_else_reads_it(desk: Desk) -> None:
    assert desk(*CLIP).code == 0
    folder = desk.home / "state/relaydance"
    assert folder.stat().st_mode & 0o777 == 0o700
    for path in folder.iterdir():
        assert desk.sandbox.api_key.encode() not in path.read_bytes()
        assert path.stat().st_mode & 0o077 == 0
