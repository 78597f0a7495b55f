"""The real command, in a process of its own, against a sandbox."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from relaydance_async.sandbox import Sandbox, TaskPlan, TaskScript

MODEL = "grok-imagine-video"
COMMAND = [sys.executable, "-m", "relaydance_async.cli", "batch"]
AT_ONCE = TaskPlan(TaskScript(queue=0, run=0))
"""Clips that are ready when they are first asked for."""
SECONDS = 60
"""A command that takes longer hangs."""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def events(self) -> list[dict[str, Any]]:
        """Of `--json`."""
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass
class Prompts:
    """A sandbox's tasks, chosen by their prompts; it counts each prompt that was accepted."""

    scripts: Mapping[str, TaskScript] = field(default_factory=dict[str, TaskScript])
    default: TaskScript = field(default_factory=lambda: TaskScript(queue=0, run=0))
    accepted: list[str] = field(default_factory=list[str])

    def plan(self) -> TaskPlan:
        def choose(number: int, body: dict[str, Any]) -> TaskScript:
            prompt: str = body["prompt"]
            self.accepted.append(prompt)
            return self.scripts.get(prompt, self.default)

        return TaskPlan(choose=choose)


class Shell:
    """Runs `relaydance batch` in a directory of its own.

    Args:
        sandbox: that it talks to; it must be running.
        folder: where files are written.
    """

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self.sandbox = sandbox
        self.folder = folder
        self.out = folder / "out"
        self.environment: dict[str, str] = {
            **os.environ,
            "RELAYDANCE_API_KEY": sandbox.api_key,
            "RELAYDANCE_BASE_URL": sandbox.base_url,
        }

    def csv(self, rows: Iterable[Mapping[str, object]], name: str = "rows.csv") -> str:
        """Write a file; its path."""
        listed = list(rows)
        with (self.folder / name).open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(listed[0]))
            writer.writeheader()
            writer.writerows(listed)
        return str(self.folder / name)

    def lines(self, rows: Iterable[object], name: str = "rows.jsonl") -> str:
        """Write a file; its path."""
        (self.folder / name).write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
        return str(self.folder / name)

    def prompts(self, count: int, name: str = "rows.csv") -> str:
        """A file of that many clips; its path."""
        rows = ({"id": f"r{n}", "prompt": f"Boat {n}", "model": MODEL} for n in range(count))
        return self.csv(rows, name)

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Begin a command."""
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        return subprocess.Popen([*COMMAND, *arguments], env=self.environment, text=True, **options)

    def __call__(self, *arguments: str, typed: str | None = None) -> Ended:
        """Run a command to its end."""
        return ended(self.start(*arguments, **({} if typed is None else {"stdin": subprocess.PIPE})), typed)

    def run(self, rows: str, *arguments: str, typed: str | None = None) -> Ended:
        """`batch run` into the usual directory."""
        return self("run", rows, "--out", str(self.out), *arguments, typed=typed)

    def results(self) -> dict[str, dict[str, Any]]:
        """`results.jsonl`, by id."""
        return by_id(self.out / "results.jsonl")

    def errors(self) -> dict[str, dict[str, Any]]:
        """`errors.jsonl`, by id."""
        return by_id(self.out / "errors.jsonl")

    def report(self) -> dict[str, Any]:
        """`report.json`."""
        found: dict[str, Any] = json.loads((self.out / "report.json").read_text())
        return found


def ended(process: subprocess.Popen[str], typed: str | None = None) -> Ended:
    """Wait for its end."""
    try:
        out, err = process.communicate(typed, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"it hangs\n{out}\n{err}") from None
    assert "Traceback" not in err, err
    return Ended(process.returncode, out, err)


def by_id(path: Path) -> dict[str, dict[str, Any]]:
    """The lines of a file; none may be there twice."""
    if not path.exists():
        return {}
    records = lines_of(path)
    found = {record["id"]: record for record in records}
    assert len(found) == len(records)
    return found


def lines_of(path: Path) -> list[dict[str, Any]]:
    """The lines of a file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


Start = Callable[..., Shell]
