"""A process that is killed at each step between the journal's writes and the socket's: the right state after each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from relaydance_async.sandbox import Fault, Sandbox
from tests.kit.postgres import postgres_server
from tests.kit.routes import CHAT, SUBMIT
from tests.processes.support import ROOT, environment

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")

STATES = {"": "none", "sending": "in doubt", "refused": "refused", "accepted": "accepted"}
"""What is found, by what was last committed."""
AGAIN = {"none": "sent", "refused": "sent", "accepted": "replayed", "in doubt": "SubmissionInDoubtError"}
"""How the same program then ends."""
COMMITTED = "after COMMIT "
AT_LEAST = {"SQLite": 30, "PostgreSQL": 15}
"""Steps that are seen: a driver that sees fewer looks in the wrong place. SQLite has statements for its settings."""


SCENARIOS = {
    "submit": ("submit", None, ["sending", "accepted"]),
    "retry": ("submit", Fault(SUBMIT, status=503, every=2), None),
    "stream": ("stream", None, ["sending", "accepted"]),
}
CASES = [("submit", "direct"), ("retry", "httpx"), ("stream", "direct")]
"""The rest takes its time."""


@pytest.mark.parametrize(
    ("name", "transport"),
    [
        *CASES,
        *(
            pytest.param(name, transport, marks=pytest.mark.torture)
            for name in SCENARIOS
            for transport in ("direct", "httpx")
            if (name, transport) not in CASES
        ),
    ],
)
def test_a_kill_at_each_step(name: str, transport: str, tmp_path: Path) -> None:
    check_scenario(name, transport, tmp_path)


@pytest.mark.parametrize(
    "name", ["submit", *(pytest.param(name, marks=pytest.mark.torture) for name in ("retry", "stream"))]
)
def test_a_kill_at_each_step_with_postgresql(name: str, tmp_path: Path) -> None:
    with postgres_server() as server:
        check_scenario(name, "direct", tmp_path, server.dsn())


def check_scenario(name: str, transport: str, folder: Path, *dsn: str) -> None:
    scenario, fault, commits = SCENARIOS[name]
    with Sandbox(faults=[fault] if fault is not None else []) as sandbox:
        command = [sys.executable, "-m", "tests.journal.crash_driver", str(folder), sandbox.base_url]
        done = subprocess.run(
            [*command, sandbox.api_key, transport, scenario, *dsn],
            env=environment(sandbox.base_url, sandbox.api_key, transport),
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        runs = [json.loads(line) for line in done.stdout.splitlines()]
        *killed, last = runs
        assert len(killed) >= (AT_LEAST["PostgreSQL"] if dsn else AT_LEAST["SQLite"])
        assert {run["first"] for run in killed} == {"killed"}
        assert last["first"].endswith(" sent")
        if commits is not None:
            assert committed_in(last["steps"]) == commits
        for run in runs:
            check(run["steps"], run["found"], run["again"])
        # A body that is accepted twice was paid for twice.
        assert sandbox.ledger.duplicates() == 0
        ended = [run["again"].split()[0] for run in runs if " " in run["again"]]
        accepted = sandbox.ledger.accepted(CHAT if scenario == "stream" else SUBMIT)
        on_the_wire = sum(run["found"] == "in doubt" for run in runs)
        assert len(set(ended)) == len(ended)
        assert len(ended) <= accepted <= len(ended) + on_the_wire


def committed_in(steps: list[str]) -> list[str]:
    return [step.removeprefix(COMMITTED) for step in steps if step.startswith(COMMITTED)]


def check(steps: list[str], found: str, again: str) -> None:
    where = f"killed {steps[-1]}, as step {len(steps)}"
    durable = committed_in(steps)
    assert found == STATES[durable[-1] if durable else ""], where
    assert again.split()[-1] == AGAIN[found], where
    # Not a byte leaves before it is durable that it may.
    if "before request" in steps:
        assert steps.index(f"{COMMITTED}sending") < steps.index("before request")
    # And the caller has no answer before that is durable.
    if "after journal.end" in steps and "refused" not in durable:
        assert f"{COMMITTED}accepted" in steps
