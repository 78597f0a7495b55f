"""The transcript in docs/command.md is what a terminal shows. `REWRITE=1` writes it anew."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from relaydance_async.sandbox import TaskPlan, TaskScript
from tests.command.support import Sit, in_terminal, plain

if sys.platform == "win32":
    pytest.skip("there is no pty", allow_module_level=True)

PAGE = Path(__file__).parents[2] / "docs/command.md"
BLOCK = re.compile(r"(?<=```console\n).*?(?=```)", re.DOTALL)
COLUMNS = 120

# What differs from one run to the next, or from one machine to the next.
CHANGING = (
    (r"relaydance-async \S+ Python [\d.]+, .*", "relaydance-async 0.2.0, Python 3.13.0, …"),
    (r"http://127\.0\.0\.1:\d+", "http://127.0.0.1:8080"),
    (r"\d+ ms", "12 ms"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", "2026-03-01T12:00:00+00:00"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", "2026-03-01 12:00 UTC"),
    (r"\b2\d{30}\b", "2026030112000000000000000000000"),
)


def shown(said: str) -> str:
    """What is left on a terminal: of a line that was written anew, the last."""
    lines: list[str] = []
    for line in said.split("\n"):
        del lines[len(lines) - line.count("\x1b[1A") :]
        lines.append(line.rpartition("\x1b[2K")[2])
    text = plain("\n".join(lines)).replace("\r", "")
    for pattern, constant in CHANGING:
        text = re.sub(pattern, constant, text)
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines() if line.strip())


def test_the_transcript_is_what_a_terminal_shows(sit: Sit) -> None:
    desk = sit(tasks=TaskPlan(TaskScript(queue=0, run=0.5)))
    command = desk.write("bin/relaydance", f'#!/bin/sh\nexec {sys.executable} -m relaydance_async.cli "$@"\n', 0o755)
    desk.unset("XDG_CONFIG_HOME", "XDG_STATE_HOME")
    desk.set(PATH=f"{command.parent}{os.pathsep}{os.environ['PATH']}")
    page = PAGE.read_text(encoding="utf-8")
    found = BLOCK.search(page)
    assert found is not None
    typed = [line.removeprefix("$ ") for line in found[0].splitlines() if line.startswith("$ ")]
    made = "".join(
        f"$ {line}\n{shown(in_terminal(line, command=['bash', '-c'], columns=COLUMNS)[0])}" for line in typed
    )
    if os.environ.get("REWRITE"):
        PAGE.write_text(f"{page[: found.start()]}{made}{page[found.end() :]}", encoding="utf-8")
        return
    assert found[0] == made
