"""The command line: what it takes, and what it says when it can't begin."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest

import relaydance_async
from relaydance_async.cli import main
from relaydance_async.cli._app import app
from relaydance_async.sandbox import Sandbox, TaskPlan, TaskScript


def run_without(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line where this module is not installed."""
    program = f"""
import sys
sys.modules[{module!r}] = None
from relaydance_async.cli import main
sys.exit(main({list(arguments)!r}))
"""
    return subprocess.run([sys.executable, "-c", program], stdin=subprocess.DEVNULL, capture_output=True, text=True)


@pytest.mark.parametrize(("module", "extra"), [("rich", "[cli]"), ("cyclopts", "[cli]"), ("uvicorn", "[sandbox]")])
def test_a_missing_extra_is_named(module: str, extra: str) -> None:
    done = run_without(module, "demo")
    assert done.returncode == 2
    assert module in done.stderr
    assert f'pip install "relaydance-async{extra}"' in done.stderr
    assert "Traceback" not in done.stderr


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == relaydance_async.__version__
    for arguments in ([], ["--help"]):
        assert main(arguments) == 0
        said = capsys.readouterr().out
        assert "demo" in said
        assert "batch" in said


def test_the_shells_are_told_how_to_complete() -> None:
    for shell in ("bash", "zsh", "fish"):
        script = app.generate_completion(shell=shell)
        assert "relaydance" in script
        assert "in-flight" in script


def test_it_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "relaydance_async.cli", "demo", "--help"], capture_output=True, text=True
    )
    assert done.returncode == 0
    assert "--live" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [["nothing"], ["demo", "--clips", "0"], ["demo", "--clips", "many"], ["demo", "--nothing"], ["batch", "run"]],
)
def test_what_it_does_not_take_is_told_in_a_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith("relaydance: ")
    assert said.count("\n") == 1


def test_live_needs_a_key(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--live", "--yes"]) == 2
    assert "RELAYDANCE_API_KEY" in capsys.readouterr().err


@pytest.fixture
def live(monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """A stand-in for the real service, not started; its clips are ready at once."""
    sandbox = Sandbox(tasks=TaskPlan(TaskScript(queue=0, run=0)))
    monkeypatch.setenv("RELAYDANCE_API_KEY", sandbox.api_key)
    return sandbox


@pytest.mark.parametrize("answer", [None, "", "n"])
def test_live_sends_nothing_without_consent(
    answer: str | None, live: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if answer is not None:
        monkeypatch.setattr("sys.stdin", io.StringIO(answer + "\n"))
        monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    with live:
        monkeypatch.setenv("RELAYDANCE_BASE_URL", live.base_url)
        assert main(["demo", "--live"]) == 2
    said = capsys.readouterr()
    assert "costs money" in said.out
    assert "2 clips" in said.out
    assert "--yes" in said.err if answer is None else "nothing was sent" in said.err
    assert live.ledger.count() == 0


def test_live_is_the_same_program_without_a_ledger(
    live: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with live:
        monkeypatch.setenv("RELAYDANCE_BASE_URL", live.base_url)
        assert main(["demo", "--live", "--yes", "--clips", "3"]) == 0
    said = capsys.readouterr().out
    assert "Saved       3 clips" in said
    assert "ledger" not in said
    assert live.ledger.billed("POST /v1/video/generations") == 3
    assert live.api_key not in said


def test_live_says_what_the_gateway_refused(
    live: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    live.accounts[live.api_key].disabled = True
    with live:
        monkeypatch.setenv("RELAYDANCE_BASE_URL", live.base_url)
        assert main(["demo", "--live", "--yes"]) == 5
    assert "AuthenticationError" in capsys.readouterr().err


def test_a_directory_that_cannot_be_made_ends_it(
    live: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with live:
        monkeypatch.setenv("RELAYDANCE_BASE_URL", live.base_url)
        assert main(["demo", "--live", "--yes", "--out", f"{__file__}/clips"]) == 2
    assert "can't make the directory" in capsys.readouterr().err
    assert live.ledger.count() == 0
