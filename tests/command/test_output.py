"""What results look like: on a terminal, in a pipe, for programs."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess

import pytest

from relaydance_async.sandbox import Account, Fault, RateLimit, TaskPlan, TaskScript
from tests.command.support import COMMAND, Desk, Sit, ended, in_terminal, plain
from tests.kit.routes import FILES, MODELS, SUBMIT

LISTS = ("models", "logs", "limits", "doctor", "video list")


@pytest.mark.parametrize("command", [*LISTS, "balance", "video cost"])
def test_json_and_json_lines(desk: Desk, command: str) -> None:
    as_json, as_lines = (desk(*command.split(), "--output", form) for form in ("json", "jsonl"))
    assert (as_json.code, as_lines.code, as_json.err) == (0, 0, "")
    found = json.loads(as_json.out)
    lines = [json.loads(line) for line in as_lines.out.splitlines()]
    assert len(lines) == (len(found) if command in LISTS else 1)


def test_options_for_all_commands_stand_anywhere(desk: Desk) -> None:
    for arguments in (["--output", "json", "models"], ["models", "--output=json"]):
        assert len(json.loads(desk(*arguments).out)) == 11


def test_a_table_in_a_pipe_has_no_colours_and_cuts_nothing(desk: Desk) -> None:
    desk.set(COLUMNS="20")
    done = desk.run("models")
    assert "\x1b" not in done.out
    assert "doubao-seedance-2-0-fast-260128" in done.out
    assert not any(line != line.rstrip() for line in done.out.splitlines())
    desk.set(FORCE_COLOR="1")
    assert "\x1b[1m" in desk.run("models").out


def test_a_terminal_has_colours_unless_it_is_told_not_to(desk: Desk) -> None:
    said, code = in_terminal("models")
    assert (code, "\x1b[1m" in said) == (0, True)
    desk.set(NO_COLOR="1")
    said, _ = in_terminal("models")
    assert "\x1b[1;3" not in said


def test_a_narrow_terminal_shows_everything(desk: Desk) -> None:
    said, code = in_terminal("models", columns=24)
    lines = plain(said).splitlines()
    assert (code, max(map(len, lines)) <= 24) == (0, True)
    assert "doubao" in said


def test_no_models_is_said(sit: Sit) -> None:
    desk = sit(accounts={"sk-none-0001": Account(models=())})
    done = desk("models")
    assert (done.code, done.out) == (0, "")
    assert "no model" in done.err
    assert json.loads(desk("models", "--output", "json").out) == []


def test_what_others_wrote_moves_no_cursor(sit: Sit) -> None:
    desk = sit(extra_models={"evil\x1b[2J\u202emodel": "chat", "字-модель-🚤": "chat"})
    done = desk("models")
    assert "\x1b" not in done.out
    assert r"evil\x1b[2J" in done.out
    assert "字-модель-🚤" in done.out
    desk.sandbox.chat.reply("a\x1b]0;title\x07b\tc\nd 👨\u200d👩 é")
    assert desk("chat", "Why?").out == "a�]0;title�b\tc\nd 👨\u200d👩 é\n"


EVIL = "a\x1b]0;title\x07\x9b2J\u202eb 👨\u200d👩 字"


def test_json_moves_no_cursor_either_and_means_the_same(sit: Sit) -> None:
    desk = sit(extra_models={EVIL: "chat"})
    for form in ("json", "jsonl"):
        out = desk("models", "--output", form).out
        assert not set("\x1b\x07\x9b\u202e").intersection(out)
        assert "👨\u200d👩 字" in out
    assert EVIL in [model["id"] for model in json.loads(desk("models", "--output", "json").out)]


def test_a_traceback_moves_no_cursor_either(desk: Desk) -> None:
    desk.sandbox.faults.add(Fault(MODELS, status=400, message=EVIL))
    err = desk("models", "--debug").err
    assert not set("\x1b\x07\x9b\u202e").intersection(err)
    assert err.startswith("Traceback")
    assert err.count("\n") > 5


@pytest.mark.parametrize("options", [(), ("--stream",)])
def test_what_any_endpoint_says_moves_no_cursor_of_a_terminal(desk: Desk, options: tuple[str, ...]) -> None:
    desk.sandbox.faults.add(Fault(MODELS, status=200, body=b"a\x1b]0;title\x07\nb", content_type="text/plain", times=2))
    said, code = in_terminal("raw", "GET", "/models", *options)
    assert (code, said.replace("\r\n", "\n").rstrip("\n")) == (0, "a�]0;title�\nb")
    assert desk.run("raw", "GET", "/models", *options).out == "a\x1b]0;title\x07\nb"


@pytest.mark.skipif(os.name != "posix", reason="a shell closes them")
@pytest.mark.parametrize("closed", [">&-", "<&-", "2>&-", "<&- >&- 2>&-"])
def test_a_stream_that_is_closed_changes_nothing(desk: Desk, closed: str) -> None:
    line = f"{shlex.join([*COMMAND, 'video', 'submit', 'A boat', '--output', 'json'])} {closed}"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert (done.stdout == "") is (">&-" in closed.replace("2>&-", ""))
    assert "task_" in desk("video", "list").out  # the journal is whole


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no full disk")
def test_a_full_disk_stops_it(desk: Desk) -> None:
    with open("/dev/full", "w") as full:
        done = desk.run("models", stdout=full)
    assert (done.code, done.err) == (5, "relaydance: [Errno 28] No space left on device\n")


def test_an_output_that_knows_few_characters(desk: Desk) -> None:
    desk.set(PYTHONIOENCODING="latin-1")
    desk.sandbox.chat.reply("字 é")
    done = desk.run("chat", "Why?", errors="replace")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("?")
    desk.sandbox.chat.reply("字 é")
    answer = json.loads(desk.run("chat", "Why?", "--output", "json").out)
    assert answer["choices"][0]["message"]["content"] == "字 é"


@pytest.mark.parametrize("command", ["models", "chat tell", "balance --output json"])
def test_a_reader_that_has_gone(desk: Desk, command: str) -> None:
    process = desk.start(*command.split(), stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = open(os.devnull)  # noqa: SIM115
    done = ended(process)
    assert done.code == 141
    assert "Traceback" not in done.err
    assert "Error" not in done.err


def test_the_books(desk: Desk) -> None:
    assert desk("chat", "Why?").code == 0
    assert desk("video", "submit", "A boat").code == 0
    desk.sandbox.clock.advance(5)
    rows = json.loads(desk("logs", "--output", "json").out)
    assert [(row["kind"], row["path"]) for row in rows] == [
        ("charge", "/v1/video/generations"),
        ("charge", "/v1/chat/completions"),
    ]
    assert rows[0]["usd"] == 0.5
    assert len(json.loads(desk("logs", "--limit", "1", "--output", "json").out)) == 1
    assert len(json.loads(desk("logs", "--model", "grok-4.3", "--output", "json").out)) == 1


@pytest.mark.parametrize("offer", ["404", "401", "false"])
def test_books_that_are_switched_off(sit: Sit, offer: str) -> None:
    desk = sit(accounts={"sk-off-000001": Account(log=offer)})  # type: ignore[arg-type]
    done = desk("logs")
    assert done.code in (1, 5)
    assert done.err.count("\n") == 1


def test_balance_and_prices_that_are_not_offered(sit: Sit) -> None:
    desk = sit(accounts={"sk-off-000001": Account(balance_offered=False)}, pricing="404")
    for command in ("balance", "video cost"):
        done = desk(*command.split())
        assert (done.code, "the console shows" in done.err) == (1, True)


def test_cost(desk: Desk) -> None:
    done = desk("video", "cost", "--clips", "3", "--seconds", "10", "--output", "json")
    assert json.loads(done.out) == {
        "model": "doubao-seedance-2-0-fast-260128",
        "clips": 3,
        "usd": 1.5,
        "usd_if_billed_by_seconds": 15.0,
    }
    assert desk("video", "cost", "--model", "nothing").code == 1
    assert desk.sandbox.ledger.billed() == 0


def test_limits(sit: Sit) -> None:
    assert "no limit is known" in sit()("limits").out
    desk = sit(rate_limit=RateLimit(rate=5, burst=2, retry_after="1"))
    done = json.loads(desk("limits", "--asks", "6", "--output", "json").out)
    assert sum(row["refused"] for row in done) > 0


def test_progress_is_for_terminals(sit: Sit) -> None:
    desk = sit(tasks=TaskPlan(TaskScript(queue=0, run=0.5)))
    desk.set(FORCE_COLOR="1")
    quiet = desk.run("video", "generate", "A boat")
    assert (quiet.code, quiet.err.count("\n")) == (0, 1)
    said, code = in_terminal("video", "generate", "A ship", columns=120)
    assert code == 0
    assert "a clip of doubao-seedance-2-0-fast-260128 · " in said


def test_progress_says_what_it_waits_for(sit: Sit) -> None:
    desk = sit()
    desk.sandbox.faults.add(Fault(SUBMIT, status=429, at=(1, 2), retry_after="1"))
    said, code = in_terminal("video", "generate", "A boat", columns=200)
    assert code == 0
    assert re.search(r"begun · \d s · limited to [0-9,]+/min \(POST /video/generations", plain(said))


def test_files(desk: Desk) -> None:
    desk.write("cat.png", "a picture")
    done = desk("files", "upload", "cat.png", "--output", "json")
    assert json.loads(done.out)[0]["url"].startswith("http")
    assert desk.sandbox.ledger.accepted(FILES) == 1
    for arguments in (["files", "upload"], ["files", "upload", "nothing.png"], ["files", "upload", "."]):
        refused = desk(*arguments)
        assert (refused.code, refused.err.count("\n")) == (2, 1)
