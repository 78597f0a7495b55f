"""Style and types are part of what is tested.

The tools read their settings, and which files to check, from pyproject.toml, so that they say the same by hand.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# The benchmarks are checked too, so their peers have to be there.
NEEDS = {
    "ruff": ["ruff"],
    "mypy": ["mypy", "nox", "openai"],
    "pyright": ["pyright", "nox", "openai"],
    "tests.prose": [],
    "check_jsonschema": ["check_jsonschema"],
    "zensical": ["zensical", "mkdocstrings"],
}
WORKFLOWS = ".github/workflows"
CHECKS = [
    "ruff check",
    "ruff format --check",
    "mypy",
    "pyright",
    "pyright --verifytypes relaydance_async --ignoreexternal",
    "tests.prose",
    f"check_jsonschema --builtin-schema vendor.github-workflows {WORKFLOWS}/tests.yml {WORKFLOWS}/release.yml",
    "zensical build --config-file .mkdocs.yml --clean --strict",
]


def run(command: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1",
        # Where pyright looks for the Python whose packages it reads; `--verifytypes` heeds no `--pythonpath`.
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    return subprocess.run(
        [sys.executable, "-m", *command.split()], cwd=ROOT, env=environment, capture_output=True, text=True
    )


@functools.cache
def missing(tool: str) -> str | None:
    """Why this tool cannot run here, or None."""
    absent = [name for name in NEEDS[tool] if importlib.util.find_spec(name) is None]
    if absent:
        return f"{', '.join(absent)} not installed here; `nox -s tests` installs the tools for one Python, the oldest"
    if tool == "pyright" and (first := run("pyright --version")).returncode:
        return f"pyright could not fetch its program: {first.stderr.strip().splitlines()[-1:]}"
    return None


@pytest.mark.parametrize("command", CHECKS)
def test_the_working_copy_passes(command: str) -> None:
    if reason := missing(command.split()[0]):
        pytest.skip(reason)
    done = run(command)
    assert done.returncode == 0, f"\n{done.stdout}{done.stderr}"
