"""Completion in the shells, and the sandbox as a command."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from relaydance_async.cli import main
from relaydance_async.cli._app import app
from tests.command.support import Desk, ended, in_terminal, plain

COMMANDS = [
    *("balance", "batch", "chat", "demo", "doctor", "files", "image", "limits", "login", "logs", "models", "raw"),
    *("sandbox", "video"),
]


def completed(script: Path, *words: str) -> list[str]:
    """What bash offers for the last word."""
    line = " ".join(repr(word) for word in words)
    program = f"""
source {script}
COMP_WORDS=(relaydance {line}); COMP_CWORD={len(words)}
_relaydance
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_bash_completes(tmp_path: Path) -> None:
    script = tmp_path / "completion.bash"
    script.write_text(app.generate_completion(shell="bash"))
    assert sorted(completed(script, "")) == COMMANDS
    assert completed(script, "video", "ge") == ["generate"]
    assert completed(script, "video", "generate", "--resol") == ["--resolution"]
    assert completed(script, "models", "--output", "") == ["table", "json", "jsonl"]
    assert completed(script, "chat", "--no-stream", "Why?", "--mod") == ["--model"]
    assert completed(script, "batch", "run", "--in-f") == ["--in-flight"]


# What each shell has from `--install-completion`, and what else its user has in the same file.
OWN_FILE = {
    "bash": (".bashrc", "PS1='ready> '; relaydance() { echo \"ran: $*\"; }"),
    "zsh": (".zshrc", "PS1='ready> '; relaydance() { echo \"ran: $*\"; }; autoload -Uz compinit; compinit -u -D"),
    "fish": (
        ".config/fish/config.fish",
        "function fish_prompt; echo 'ready> '; end; function relaydance; echo \"ran: $argv\"; end",
    ),
}


@pytest.mark.skipif(sys.platform == "win32", reason="there is no pty")
@pytest.mark.parametrize("shell", OWN_FILE)
def test_tab_completes_on_a_terminal(shell: str, desk: Desk) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    desk.unset("XDG_CONFIG_HOME", "ZDOTDIR", "ZSH_CUSTOM", "ZSH")
    desk.set(SHELL=program)
    assert desk("--install-completion").code == 0
    name, text = OWN_FILE[shell]
    file = desk.home / name
    installed = file.read_text() if file.exists() else ""
    desk.write(name, f"{installed}\n{text}\n")
    said, code = in_terminal(
        command=[program, "-i"],
        columns=200,
        types=(
            ("ready> ", b"relaydance vid\t"),
            ("video", b"gene\t"),
            ("generate", b"\n"),
            ("ran: video generate", b"relaydance models --output tab\t"),
            ("table", b"\n"),
            ("ran: models --output table", b"relaydance video generate --resol\t"),  # zsh only shows it at first
            ("--resolution", b"\x15exit\n"),
        ),
    )
    assert code == 0, plain(said)


@pytest.mark.parametrize("command", ["", *COMMANDS, "video generate", "video list", "batch run", "files upload"])
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command.split(), "--help"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert "usage" in said.out.lower()


def test_the_sandbox_runs_until_ctrl_c(desk: Desk) -> None:
    process = desk.start("sandbox", "--port", "0")
    assert process.stdout is not None
    first = process.stdout.readline()
    address = re.search(r"http://127.0.0.1:\d+/v1", first)
    assert address is not None
    desk.set(RELAYDANCE_API_KEY="sk-sandbox-0001")
    assert desk("models", "--base-url", address[0]).code == 0
    process.send_signal(signal.SIGINT)
    done = ended(process)
    assert (done.code, "Traceback" in done.err) == (0, False)


def test_options_that_the_sandbox_does_not_take(desk: Desk) -> None:
    done = desk("sandbox", "--nothing")
    assert (done.code, "relaydance sandbox: error" in done.err) == (2, True)
