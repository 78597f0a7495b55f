"""`relaydance batch run`: what a file asks for is made, once."""

from __future__ import annotations

import errno
import json
import sys
import time
from pathlib import Path

import pytest

from relaydance_async.cli import main
from relaydance_async.cli.batch._run import Lines
from relaydance_async.sandbox import Account, Fault, RateLimit, TaskPlan, TaskScript
from tests.batch.support import MODEL, Prompts, Shell, Start, ended, lines_of
from tests.kit.routes import CHAT, CLIPS, FETCH, IMAGES, SUBMIT


def test_clips_are_made_and_saved_under_their_names(shell: Shell) -> None:
    rows = shell.csv({"id": n, "animal": f"cat {n}", "city": "New York/Bronx"} for n in range(12))
    done = shell.run(rows, "--model", MODEL, "--prompt", "A {animal} in {city}", "--name", "{id}-{city}")
    assert (done.code, done.err) == (0, "")
    assert "12/12 done" in done.out
    assert "$6.00" in done.out
    results = shell.results()
    assert list(results["3"]["files"]) == ["3-New_York_Bronx.mp4"]
    assert {result["cost"] for result in results.values()} == {0.5}
    for result in results.values():
        (name,) = result["files"]
        assert (shell.out / name).read_bytes()[4:8] == b"ftyp"
    assert shell.sandbox.ledger.billed(SUBMIT) == 12
    assert shell.sandbox.ledger.duplicates() == 0
    assert not list(shell.out.glob("*.part"))
    report = shell.report()
    assert (report["done"], report["exit_code"], report["spent_usd"]) == (12, 0, 6.0)


def test_the_same_command_again_asks_for_nothing(shell: Shell) -> None:
    rows = shell.prompts(5)
    shell.run(rows)
    asked = shell.sandbox.ledger.count()
    began = time.monotonic()
    again = shell.run(rows)
    assert (again.code, shell.sandbox.ledger.count()) == (0, asked)
    assert "5/5 done" in again.out
    assert time.monotonic() - began < 15  # under a second where nothing else runs
    assert shell("run", "--out", str(shell.out), "--resume").code == 0
    assert shell("run", "--out", str(shell.out)).code == 0
    assert shell.sandbox.ledger.count() == asked


def test_images_and_chats(shell: Shell) -> None:
    rows = shell.csv([{"id": "a", "prompt": "A boat", "n": 2}, {"id": "b", "prompt": "A kite", "n": 1}])
    assert shell.run(rows, "--kind", "image", "--model", "grok-imagine-image").code == 0
    results = shell.results()
    assert (results["a"]["files"], results["b"]["files"]) == (["a-1.png", "a-2.png"], ["b.png"])
    assert results["a"]["cost"] == pytest.approx(0.04)
    assert (shell.out / "a-2.png").stat().st_size > 0
    rows = shell.lines([{"id": "q", "prompt": "Why?"}], "chat.jsonl")
    done = shell("run", rows, "--out", str(shell.folder / "chats"), "--kind", "chat", "--model", "grok-4.3")
    assert done.code == 0
    (line,) = (shell.folder / "chats" / "results.jsonl").read_text().splitlines()
    result = json.loads(line)
    assert "Why?" in result["body"]["choices"][0]["message"]["content"]
    assert 0 < result["cost"] < 0.001
    assert shell.sandbox.ledger.billed(CHAT) == shell.sandbox.ledger.billed(CHAT) == 1
    assert shell.sandbox.ledger.billed(IMAGES) == 2


def test_all_faults_are_listed_before_anything_is_sent(shell: Shell) -> None:
    rows = shell.csv(
        [
            {"id": "1", "prompt": "A boat", "seconds": "5"},
            {"id": "2", "prompt": "", "seconds": "5"},
            {"id": "1", "prompt": "A kite", "seconds": "five"},
            {"id": "1", "prompt": "A lamp", "seconds": "5"},
        ]
    )
    done = shell.run(rows, "--model", MODEL)
    assert done.code == 2
    assert [line.partition(":")[0] for line in done.err.splitlines()] == ["line 3", "line 4", "line 5", "relaydance"]
    assert "3 faults; nothing was sent" in done.err
    assert shell.sandbox.ledger.count() == 0
    assert not shell.out.exists()


def test_very_many_faults_are_counted(shell: Shell) -> None:
    done = shell.run(shell.csv({"id": n, "prompt": ""} for n in range(150)), "--model", MODEL)
    assert "… and 50 more" in done.err
    assert "150 faults" in done.err


def test_rows_from_stdin(shell: Shell) -> None:
    typed = f'{{"id": "a", "prompt": "A boat", "model": "{MODEL}"}}\n'
    done = shell.run("-", typed=typed)
    assert (done.code, list(shell.results())) == (0, ["a"])
    assert shell.run("-", typed=typed).code == 0
    assert shell.sandbox.ledger.billed() == 1


@pytest.mark.parametrize(
    ("typed", "what"), [("", "no rows"), ("id,prompt\n", "no rows"), ("{}\n", "there is no prompt")]
)
def test_nothing_to_do_is_told(shell: Shell, typed: str, what: str) -> None:
    done = shell.run("-", "--model", MODEL, typed=typed)
    assert done.code == 2
    assert what in done.err


def test_openais_format_with_its_files(shell: Shell) -> None:
    chat = {"model": "grok-4.3", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 5}
    image = {"model": "grok-imagine-image", "prompt": "A boat"}
    clip = {"model": MODEL, "prompt": "A boat", "seconds": "5", "metadata": {"ratio": "1:1"}}
    wrong = {"model": "no-such-model", "messages": [{"role": "user", "content": "Hi"}]}
    rows = shell.lines(
        {"custom_id": name, "method": "POST", "url": url, "body": body}
        for name, url, body in (
            ("chat", "/v1/chat/completions", chat),
            ("image", "/v1/images/generations", image),
            ("clip", "/v1/video/generations", clip),
            ("wrong", "/v1/chat/completions", wrong),
        )
    )
    assert shell.run(rows).code == 1
    output = {line["custom_id"]: line for line in lines_of(shell.out / "output.jsonl")}
    assert set(output) == {"chat", "image", "clip"}
    response = output["chat"]["response"]
    assert (response["status_code"], output["chat"]["error"]) == (200, None)
    assert response["body"]["object"] == "chat.completion"
    assert output["clip"]["response"]["body"]["files"] == ["clip.mp4"]
    (error,) = lines_of(shell.out / "error.jsonl")
    assert (error["custom_id"], error["response"]) == ("wrong", None)
    assert error["error"]["code"] == "model_not_found"


def test_other_rows_for_the_same_run_are_told(shell: Shell) -> None:
    shell.run(shell.prompts(3))
    asked = shell.sandbox.ledger.count()
    changed = shell.csv(
        [{"id": "r0", "prompt": "Boat 0", "model": MODEL}, {"id": "r1", "prompt": "Kite", "model": MODEL}], "other.csv"
    )
    done = shell.run(changed)
    assert done.code == 2
    assert "1 changed, 1 gone" in done.err
    assert "line 3, id 'r1'" in done.err
    assert "batch retry" in done.err
    assert "other columns" in shell.run(shell.prompts(3), "--name", "x-{id}").err
    assert shell.sandbox.ledger.count() == asked


def test_a_run_is_of_one_api(shell: Shell) -> None:
    rows = shell.prompts(1)
    shell.run(rows)
    shell.environment["RELAYDANCE_BASE_URL"] = "http://127.0.0.1:9/v1"
    for command in (
        ["run", rows, "--out", str(shell.out)],
        ["run", "--out", str(shell.out)],
        ["retry", str(shell.out)],
    ):
        done = shell(*command)
        assert done.code == 2
        assert "is a run at" in done.err


def test_a_new_run_overwrites_nobodys_files(shell: Shell) -> None:
    shell.out.mkdir()
    (shell.out / "r0.mp4").write_text("mine")
    done = shell.run(shell.prompts(1))
    assert (done.code, "other files, such as r0.mp4" in done.err) == (2, True)
    assert (shell.out / "r0.mp4").read_text() == "mine"
    assert shell.sandbox.ledger.count() == 0


@pytest.mark.parametrize("command", ["run", "status", "doubts", "retry", "export"])
def test_a_run_that_is_not_there(shell: Shell, command: str) -> None:
    nowhere = str(shell.folder / "nowhere")
    arguments = {
        "run": ["run", "--resume", "--out", nowhere],
        "export": ["export", nowhere, "--to", str(shell.folder / "x.csv")],
    }.get(command, [command, nowhere])
    done = shell(*arguments)
    assert (done.code, "there is no run in" in done.err) == (2, True)
    assert not Path(nowhere).exists()


def test_two_at_once_on_one_run(start: Start) -> None:
    shell = start(faults=[Fault(SUBMIT, delay=8)])
    rows = shell.prompts(2)
    first = shell.start("run", rows, "--out", str(shell.out))
    wait_for(lambda: (shell.out / "run.json").exists())
    second = shell.run(rows)
    assert (second.code, "another process is at work" in second.err) == (2, True)
    assert "at work" in shell("retry", str(shell.out)).err
    status = shell("status", str(shell.out))
    assert (status.code, "0 of 2 rows are done, 2 are left" in status.out) == (0, True)
    assert ended(first).code == 0
    assert shell.sandbox.ledger.billed(SUBMIT) == 2


def wait_for(look: object, seconds: float = 20) -> None:
    ends = time.monotonic() + seconds
    while not look():  # type: ignore[operator]
        assert time.monotonic() < ends
        time.sleep(0.02)


def test_a_missing_key_is_told_before_anything_is_made(shell: Shell) -> None:
    del shell.environment["RELAYDANCE_API_KEY"]
    done = shell.run(shell.prompts(1))
    assert (done.code, "RELAYDANCE_API_KEY" in done.err) == (2, True)
    assert not shell.out.exists()


def test_a_wrong_key_stops_it(shell: Shell) -> None:
    shell.environment["RELAYDANCE_API_KEY"] = "sk-wrong"
    rows = shell.prompts(300)
    done = shell.run(rows, "--in-flight", "5")
    assert done.code == 5
    assert "Stopped: " in done.out
    assert shell.sandbox.ledger.count(SUBMIT) <= 10
    assert shell.errors() == {}
    shell.environment["RELAYDANCE_API_KEY"] = shell.sandbox.api_key
    assert shell.run(rows).code == 0
    assert shell.sandbox.ledger.billed() == 300


def test_a_balance_that_is_short_stops_it(start: Start) -> None:
    shell = start(accounts={"sk-1": Account(balance_usd=1.6)})
    done = shell.run(shell.prompts(20), "--in-flight", "2")
    assert done.code == 5
    assert len(shell.results()) == 3
    assert shell.report()["not_begun"] == 17
    shell.sandbox.accounts["sk-1"].balance_usd = 100
    assert shell.run(shell.prompts(20)).code == 0


def test_refused_prompts_stop_nothing_and_are_retried_when_asked(shell: Shell) -> None:
    shell.sandbox.faults.add(Fault(SUBMIT, status=500, code="sensitive_words_detected", at=(2, 4)))
    rows = shell.prompts(6)
    done = shell.run(rows, "--in-flight", "1")
    assert done.code == 1
    assert "4/6 done; 2 failed" in done.out
    errors = shell.errors()
    assert {error["why"] for error in errors.values()} == {"content"}
    assert errors["r1"]["code"] == "sensitive_words_detected"
    assert errors["r1"]["line"] == 3
    asked = shell.sandbox.ledger.count()
    assert shell.run(rows).code == 1  # they would be refused again
    assert shell.sandbox.ledger.count() == asked
    nothing = shell("retry", str(shell.out), "--only", "passing")
    assert (nothing.code, "no row" in nothing.err) == (2, True)
    assert shell("retry", str(shell.out), "--only", "content").code == 0
    assert shell.errors() == {}
    assert shell.sandbox.ledger.billed(SUBMIT) == 6
    assert shell.run(rows).code == 0


def test_edited_rows_are_sent_again_and_only_those(shell: Shell) -> None:
    shell.sandbox.faults.add(Fault(SUBMIT, status=500, code="sensitive_words_detected", at=(1, 2, 3)))
    rows = [{"id": f"r{n}", "prompt": f"Boat {n}", "model": MODEL} for n in range(5)]
    shell.run(shell.csv(rows), "--in-flight", "1")
    assert set(shell.errors()) == {"r0", "r1", "r2"}
    rows[1]["prompt"] = "A gentle boat"
    rows[4]["prompt"] = "This is made already"
    edited = shell.csv(rows, "edited.csv")
    assert shell("retry", str(shell.out), edited).code == 1
    assert set(shell.errors()) == {"r0", "r2"}
    assert shell.sandbox.ledger.billed(SUBMIT) == 3
    rows[4]["prompt"] = "Boat 4"
    assert shell.run(shell.csv(rows, "edited.csv")).code == 1  # the run is of these rows now
    assert shell("retry", str(shell.out)).code == 0
    assert shell.sandbox.ledger.billed(SUBMIT) == 5


def test_a_clip_that_failed_for_a_passing_reason_is_submitted_again(start: Start) -> None:
    at_once = TaskScript(queue=0, run=0)
    passing = TaskScript(queue=0, run=0, outcome="failed", code="InternalServiceError")
    refused = TaskScript(queue=0, run=0, outcome="failed", code="OutputVideoSensitiveContentDetected")
    shell = start(tasks=TaskPlan(at_once, {1: passing, 2: passing, 4: refused}))
    done = shell.run(shell.prompts(3), "--in-flight", "1")
    assert done.code == 1
    assert shell.results()["r0"]["submits"] == 3
    error = shell.errors()["r1"]
    assert (error["why"], error["code"]) == ("content", "OutputVideoSensitiveContentDetected")
    assert shell.sandbox.ledger.billed(SUBMIT) == 5
    assert shell.report()["spent_usd"] == 1.0  # failed clips are not billed
    assert shell.sandbox.ledger.charged_usd - shell.sandbox.ledger.refunded_usd == 1.0


def test_the_number_of_new_submits_is_bounded(start: Start) -> None:
    prompts = Prompts(default=TaskScript(queue=0, run=0, outcome="failed", code="InternalServiceError"))
    shell = start(tasks=prompts.plan())
    rows = shell.prompts(1)
    assert shell.run(rows, "--task-retries", "1").code == 1
    assert (len(prompts.accepted), shell.errors()["r0"]["why"]) == (2, "passing")
    prompts.default = TaskScript(queue=0, run=0)
    assert shell.run(rows).code == 0  # what passes is tried by the next start
    assert len(prompts.accepted) == 3


def test_a_file_that_cannot_be_saved_is_fetched_by_the_next_start(shell: Shell) -> None:
    shell.sandbox.faults.add(Fault(CLIPS, status=410))
    rows = shell.prompts(2)
    done = shell.run(rows)
    assert done.code == 1
    assert {error["why"] for error in shell.errors().values()} == {"unsaved"}
    shell.sandbox.faults.clear()
    assert shell.run(rows).code == 0
    assert shell.sandbox.ledger.billed(SUBMIT) == 2


def test_passing_errors_are_tried_again_by_the_next_start(shell: Shell) -> None:
    shell.sandbox.faults.add(Fault(FETCH, status=404, code="task_not_exist"))
    rows = shell.prompts(1)
    assert shell.run(rows).code == 1
    shell.sandbox.faults.clear()
    assert shell.run(rows).code == 0
    assert shell.sandbox.ledger.billed(SUBMIT) == 1


def test_what_may_have_been_accepted_is_in_doubt_and_never_sent_by_itself(shell: Shell) -> None:
    shell.sandbox.faults.add(Fault(SUBMIT, stranger="nginx", status=504, after_accept=True, at=(1, 2)))
    rows = shell.prompts(4)
    done = shell.run(rows, "--in-flight", "1")
    assert done.code == 3
    assert {error["why"] for error in shell.errors().values()} == {"doubt"}
    assert shell.report()["in_doubt"] == 2
    assert shell.report()["spent_usd"] == 2.0  # what may have been paid for counts
    assert shell.run(rows).code == 3
    assert shell.sandbox.ledger.billed(SUBMIT) == 4
    listed = shell("doubts", str(shell.out))
    assert listed.code == 3
    assert "r0: grok-imagine-video, sent at" in listed.out
    doubts = shell("doubts", str(shell.out), "--json").events
    assert [doubt["id"] for doubt in doubts] == ["r0", "r1"]
    task_id = next(entry.task_id for entry in shell.sandbox.ledger.entries if entry.route == SUBMIT)
    assert shell("doubts", str(shell.out), "--settle", f"r0={task_id}").code == 3
    assert shell("doubts", str(shell.out), "--release", "r1").code == 0
    assert shell.run(rows).code == 0
    assert shell.results()["r0"]["task_id"] == task_id
    assert shell.sandbox.ledger.billed(SUBMIT) == 5  # the one that was said not to be there


def test_doubts_that_cannot_be_settled_so(shell: Shell) -> None:
    shell.run(shell.prompts(1))
    assert "ID=TASK_ID" in shell("doubts", str(shell.out), "--settle", "r0").err
    done = shell("doubts", str(shell.out), "--release", "r0")
    assert (done.code, "accepted" in done.err) == (1, True)


def test_a_line_that_a_crash_cut_off_is_mended(shell: Shell) -> None:
    rows = shell.prompts(3)
    shell.run(rows)
    results = shell.out / "results.jsonl"
    whole = results.read_text()
    results.write_text(whole[:-40])
    assert shell.run(rows).code == 0
    assert set(shell.results()) == {"r0", "r1", "r2"}
    assert shell.sandbox.ledger.billed(SUBMIT) == 3


def test_a_reader_that_goes_away_stops_nothing(shell: Shell) -> None:
    with shell.start("run", shell.prompts(20), "--out", str(shell.out), "--json") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(60) == 0
    assert len(shell.results()) == 20


def test_the_warnings_of_the_client_are_shown_in_line(start: Start) -> None:
    shell = start(rate_limit=RateLimit(rate=20, burst=2, retry_after="1"))
    done = shell.run(shell.prompts(10), "--json")
    assert (done.code, done.err) == (0, "")
    assert any(event["event"] == "warning" and "429" in event["message"] for event in done.events)


def test_the_key_is_nowhere(shell: Shell) -> None:
    shell.sandbox.faults.add(Fault(SUBMIT, status=500, code="sensitive_words_detected", at=(1,)))
    done = shell.run(shell.prompts(3), "--json")
    assert shell.sandbox.api_key not in done.out + done.err
    for path in shell.out.iterdir():
        assert shell.sandbox.api_key.encode() not in path.read_bytes(), path


def test_a_result_that_cannot_be_written_stops_it_in_a_line_and_is_not_lost(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("RELAYDANCE_API_KEY", "RELAYDANCE_BASE_URL"):
        monkeypatch.setenv(name, shell.environment[name])
    rows = shell.prompts(6)

    def full(self: Lines, record: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Lines, "add", full)
        assert main(["batch", "run", rows, "--out", str(shell.out), "--in-flight", "2"]) == 5
    assert "No space left on device" in capsys.readouterr().out
    billed = shell.sandbox.ledger.billed(SUBMIT)
    assert 0 < billed < 6
    assert main(["batch", "run", rows, "--out", str(shell.out)]) == 0
    assert shell.sandbox.ledger.billed(SUBMIT) == 6
    assert len(shell.results()) == 6


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such limits")
@pytest.mark.parametrize("kilobytes", [1, 20, 60])
def test_on_a_disk_that_is_full_nothing_is_sent_without_an_entry(shell: Shell, kilobytes: int) -> None:
    rows = shell.prompts(40)
    size = kilobytes * 1024
    process = shell.start("run", rows, "--out", str(shell.out), preexec_fn=lambda: limit_files(size))
    done = ended(process)
    assert done.code in (1, 2, 5)
    again = shell.run(rows)
    assert shell.sandbox.ledger.duplicates() == 0
    in_doubt = 40 - len(shell.results())
    # What was on the wire when the disk was full could be sent, and its answer not be kept.
    assert (again.code == 3) == (in_doubt > 0)
    assert 40 - in_doubt <= shell.sandbox.ledger.billed(SUBMIT) <= 40


def limit_files(size: int) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
