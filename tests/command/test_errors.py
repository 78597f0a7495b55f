"""Errors are one line on stderr, and the exit status tells scripts what to do."""

from __future__ import annotations

import itertools
import json
import re
import socket
import subprocess
import sys

import pytest

import relaydance_async.errors
from relaydance_async import RelayDanceError
from relaydance_async.cli._exits import code_of, sentence_of
from relaydance_async.sandbox import Account, Fault
from tests.command.support import Desk, Sit
from tests.kit.routes import CHAT, MODELS


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ({"status": 401}, 5),
        ({"status": 403, "code": "insufficient_user_quota"}, 5),
        ({"status": 400}, 1),
        ({"status": 500, "code": "sensitive_words_detected"}, 1),
        ({"status": 503, "code": "model_not_found"}, 1),
        ({"status": 200, "body": "html"}, 3),
    ],
)
def test_what_the_gateway_refuses(desk: Desk, fault: dict[str, object], code: int) -> None:
    desk.sandbox.faults.add(Fault(CHAT, **fault))  # type: ignore[arg-type]
    done = desk("chat", "Why?")
    assert (done.code, done.out) == (code, "")
    assert done.err.startswith("relaydance: ")
    assert done.err.count("\n") == 1
    assert desk.sandbox.api_key not in done.err


@pytest.mark.parametrize("command", [("wait", "task_nobody"), ("download", "task_nobody", "--out", "x.mp4")])
def test_a_task_that_nobody_knows_is_not_looked_for_among_the_models(desk: Desk, command: tuple[str, ...]) -> None:
    done = desk("video", *command)
    assert done.code == 1
    assert "relaydance models" not in done.err
    assert done.err.endswith("Check the task's id, and that the key is of the account that submitted it.\n")


def test_the_sandbox_has_options_of_its_own(desk: Desk) -> None:
    shown = desk("sandbox", "--help")
    assert shown.code == 0
    assert set(re.findall(r"^  (--[a-z-]+)", shown.out, re.MULTILINE)) >= {
        "--port",
        "--time-scale",
        "--fault",
        "--seed",
    }
    wrong = desk("sandbox", "--rate", "many")
    assert (wrong.code, "invalid float value: 'many'" in wrong.err) == (2, True)


def test_nobody_answers(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relaydance_async.cli._account.PATIENCE", 0.5)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        done = desk("models", "--base-url", f"http://127.0.0.1:{silent.getsockname()[1]}/v1")
    assert (done.code, "could not connect" in done.err or "refused" in done.err) == (6, True)


def test_debug_shows_where_and_never_the_key(desk: Desk) -> None:
    desk.sandbox.faults.add(Fault(MODELS, status=401))
    done = desk("models", "--debug")
    assert done.code == 5
    assert "Traceback" in done.err
    assert desk.sandbox.api_key not in done.err
    assert "Traceback" not in desk("models").err


def test_a_fault_of_the_program_is_told_in_a_line_too(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relaydance_async.resources.models.LIST", None)
    done = desk("models")
    assert (done.code, done.err.count("\n")) == (70, 1)
    assert "--debug" in done.err
    assert "Traceback" in desk("models", "--debug").err


def test_a_gateway_that_writes_lines_and_colours_gets_one_line(desk: Desk) -> None:
    desk.sandbox.faults.add(Fault(MODELS, status=400, message="two\nlines\x1b[31m"))
    done = desk("models")
    assert done.err.count("\n") == 1
    assert "\x1b" not in done.err


@pytest.mark.parametrize("name", relaydance_async.errors.__all__)
def test_every_error_has_a_status_and_no_advice_for_programs(name: str) -> None:
    kind: type[RelayDanceError] = getattr(relaydance_async.errors, name)
    for task_id, accepted in itertools.product((None, "task_1"), (False, True)):
        error = kind("it went wrong", task_id=task_id, maybe_accepted=accepted)
        assert code_of(error) in (1, 2, 3, 5, 6)
        if isinstance(error, relaydance_async.errors.IdempotencyError | relaydance_async.errors.DownloadError):
            continue
        assert not re.search(r"await |client\.|RetryPolicy|journal\.", sentence_of(error)), sentence_of(error)


@pytest.mark.parametrize(
    "typed",
    [
        "video wait",
        "video download",
        "chat Why --modle x",
        "video generate",
        "video submit A boat",
        "video submit boat --seconds 0",
        "models --output xml",
        "logs --limit 0",
        "image",
        "files",
    ],
)
def test_what_it_does_not_take(desk: Desk, typed: str) -> None:
    done = desk(*typed.split())
    assert done.code == (0 if typed == "files" else 2)
    assert done.err.count("\n") == (0 if typed == "files" else 1)
    assert desk.sandbox.ledger.count() == 0


def test_several_clips_of_which_one_is_unknown(desk: Desk) -> None:
    task_id: str = json.loads(desk("video", "submit", "A boat", "--output", "json").out)["task_id"]
    done = desk("video", "wait", "task_nothing", task_id, "--output", "jsonl")
    assert (done.code, "NotFoundError" in done.err) == (1, True)
    assert '"succeeded"' in done.out
    saved = desk("video", "download", task_id, "--output", "json")
    assert (saved.code, (desk.home / f"{task_id}.mp4").exists()) == (0, True)
    assert desk("video", "download", task_id, "--out", "nowhere/x.mp4").code in (1, 2)


@pytest.mark.parametrize(
    ("module", "arguments", "extra"),
    [("cyclopts", ["models"], "cli"), ("rich", ["models"], "cli"), ("starlette", ["sandbox"], "sandbox")],
)
def test_a_missing_extra_is_named(desk: Desk, module: str, arguments: list[str], extra: str) -> None:
    program = f"import sys; sys.modules[{module!r}] = None\nfrom relaydance_async.cli import main\nsys.exit(main())"
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True)
    assert (done.returncode, f'relaydance-async[{extra}]"' in done.stderr) == (2, True)
    assert "Traceback" not in done.stderr


def test_it_starts_fast(desk: Desk) -> None:
    """What a command doesn't need isn't imported."""
    program = "import sys; from relaydance_async.cli import main; main(['models'])\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    unneeded = {"keyring", "starlette", "uvicorn", "httpx", "relaydance_async.sandbox", "relaydance_async.cli._demo"}
    assert not loaded & (unneeded | {"relaydance_async.cli.batch._app"})
    assert "relaydance_async.cli._account" in loaded


def test_a_wrong_key_and_a_short_balance(sit: Sit) -> None:
    desk = sit(accounts={"sk-poor-00001": Account(balance_usd=0)})
    done = desk("video", "submit", "A boat")
    assert (done.code, "InsufficientBalanceError" in done.err) == (5, True)
    desk.set(RELAYDANCE_API_KEY="sk-wrong-0001")
    done = desk("models")
    assert (done.code, "relaydance doctor" in done.err) == (5, True)
    assert "sk-wrong" not in done.err
