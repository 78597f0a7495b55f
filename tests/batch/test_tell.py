"""`batch status` and `batch export`, and what a run says of itself on the way."""

from __future__ import annotations

import csv

import pytest

from relaydance_async.cli.batch._records import import_arrow
from relaydance_async.sandbox import Fault
from tests.batch.support import MODEL, Shell, lines_of
from tests.kit.routes import SUBMIT


def mixed(shell: Shell) -> None:
    """A run with one of each."""
    shell.sandbox.faults.add(Fault(SUBMIT, status=500, code="sensitive_words_detected", at=(2,)))
    shell.sandbox.faults.add(Fault(SUBMIT, stranger="nginx", status=504, after_accept=True, at=(3,)))
    rows = [{"id": f"r{n}", "prompt": f"Böat {n}", "model": MODEL, "city": "Rome"} for n in range(4)]
    shell.run(shell.csv(rows), "--in-flight", "1")


def test_status(shell: Shell) -> None:
    mixed(shell)
    done = shell("status", str(shell.out))
    assert done.code == 0
    assert "2 of 4 rows are done, 0 are left; $1.50 spent" in done.out
    assert "1 content" in done.out
    assert "2 accepted" in done.out
    (facts,) = shell("status", str(shell.out), "--json").events
    assert facts["why"] == {"content": 1, "doubt": 1}
    assert facts["requests"] == {"accepted": 2, "refused": 1, "in doubt": 1}


def test_export_to_csv_and_jsonl(shell: Shell) -> None:
    mixed(shell)
    path = shell.folder / "all.csv"
    assert shell("export", str(shell.out), "--to", str(path)).code == 0
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["state"] for row in rows] == ["done", "failed", "in doubt", "done"]
    assert rows[0]["prompt"] == "Böat 0"
    assert (rows[0]["city"], rows[0]["files"], rows[1]["why"]) == ("Rome", "r0.mp4", "content")
    path = shell.folder / "all.jsonl"
    assert shell("export", str(shell.out), "--to", str(path), "--format", "jsonl").code == 0
    assert [line["state"] for line in lines_of(path)] == ["done", "failed", "in doubt", "done"]


def test_export_to_parquet_and_openais_format(shell: Shell) -> None:
    pytest.importorskip("pyarrow")
    _, parquet = import_arrow()
    mixed(shell)
    path = shell.folder / "all.parquet"
    assert shell("export", str(shell.out), "--to", str(path), "--format", "parquet").code == 0
    assert parquet.read_table(path).column("state").to_pylist() == ["done", "failed", "in doubt", "done"]
    folder = shell.folder / "openai"
    assert shell("export", str(shell.out), "--to", str(folder), "--format", "openai").code == 0
    assert [line["custom_id"] for line in lines_of(folder / "output.jsonl")] == ["r0", "r3"]
    assert [line["custom_id"] for line in lines_of(folder / "error.jsonl")] == ["r1", "r2"]


def test_an_export_that_cannot_be_written(shell: Shell) -> None:
    shell.run(shell.prompts(1))
    done = shell("export", str(shell.out), "--to", str(shell.folder / "no" / "all.csv"))
    assert (done.code, "can't write" in done.err) == (2, True)


def test_events(shell: Shell) -> None:
    shell.sandbox.faults.add(Fault(SUBMIT, status=500, code="sensitive_words_detected", at=(1,)))
    events = shell.run(shell.prompts(3), "--json").events
    names = [event["event"] for event in events]
    assert (names[0], names[-1]) == ("begin", "end")
    rows = {event["id"]: event for event in events if event["event"] == "row"}
    assert set(rows) == {"r0", "r1", "r2"}
    assert sum("why" in row for row in rows.values()) == 1
    progress = [event for event in events if event["event"] == "progress"][-1]
    expected = {"total": 3, "done": 2, "failed": 1, "in_doubt": 0, "under_way": 0, "queued": 0, "spent_usd": 1.0}
    assert {name: progress[name] for name in expected} == expected
    assert {"per_second", "learned_limit", "seconds_left"} <= set(progress)
    assert events[-1]["exit_code"] == 1


def test_on_a_pipe_there_are_plain_lines(shell: Shell) -> None:
    done = shell.run(shell.prompts(3))
    assert "\x1b" not in done.out
    assert "\r" not in done.out
