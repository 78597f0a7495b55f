"""A run in a real terminal."""

from __future__ import annotations

import json
import os
import select
import sys
import time

import pytest

from relaydance_async.sandbox import Fault
from tests.batch.support import COMMAND, Shell
from tests.kit.routes import SUBMIT

if sys.platform == "win32":
    pytest.skip("there is no pty", allow_module_level=True)

import pty


def test_on_a_terminal_there_is_a_line_that_moves(shell: Shell) -> None:
    shell.sandbox.faults.add(Fault(SUBMIT, delay=1.5))
    shell.environment["TERM"] = "xterm"
    said, code = in_terminal(shell, "run", shell.prompts(3), "--out", str(shell.out))
    assert code == 0
    assert "\x1b[" in said
    assert "0/3 done; 3 under way (3 sending)" in said
    assert "3/3 done" in said.splitlines()[-1]


def in_terminal(shell: Shell, *arguments: str, typed: bytes = b"", when: str = "") -> tuple[str, int]:
    """What a command shows on a terminal, and its exit status; `typed` is typed when it has shown `when`."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(COMMAND[0], [*COMMAND, *arguments], {**shell.environment, "COLUMNS": "200"})
    said = b""
    ends = time.monotonic() + 60
    try:
        while time.monotonic() < ends:
            if select.select([terminal], [], [], 0.5)[0]:
                try:
                    piece = os.read(terminal, 65_536)
                except OSError:  # the end of a terminal, on Linux
                    break
                if not piece:
                    break
                said += piece
                if typed and when.encode() in said:
                    os.write(terminal, typed)
                    typed = b""
    finally:
        os.close(terminal)
    _, status = os.waitpid(pid, 0)
    return said.decode(errors="replace"), os.waitstatus_to_exitcode(status)


def test_ctrl_c_on_a_terminal(shell: Shell) -> None:
    shell.sandbox.faults.add(Fault(SUBMIT, delay=2))
    shell.environment["TERM"] = "xterm"
    rows = shell.prompts(4)
    said, code = in_terminal(
        shell, "run", rows, "--out", str(shell.out), "--in-flight", "2", typed=b"\x03", when="2 sending"
    )
    assert code == 130
    assert "Stopping: nothing new is sent" in said
    assert shell.sandbox.ledger.billed(SUBMIT) == 2
    assert json.loads((shell.out / "report.json").read_text())["exit_code"] == 130
    shell.sandbox.faults.clear()
    assert shell.run(rows).code == 0
    assert shell.sandbox.ledger.billed(SUBMIT) == 4
