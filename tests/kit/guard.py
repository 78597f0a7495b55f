"""Processes that end with the test run that started them, also when that is killed."""

from __future__ import annotations

import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

# It reads from a pipe that only the test run writes to, and nobody writes anything: so the end of the run is the end of
# the file. (Linux's parent-death signal comes at the end of the thread that started the process.)
_GUARD = 'read -r _; kill -s KILL -- "$@" 2>/dev/null'


@contextmanager
def guarded(process: subprocess.Popen[Any]) -> Generator[None]:
    """While entered, the process is killed when this one ends; with its group, if it leads one of its own."""
    guard = subprocess.Popen(
        ["sh", "-c", _GUARD, "guard", str(process.pid), f"-{process.pid}"],
        stdin=subprocess.PIPE,
        start_new_session=True,  # a Ctrl-C at the terminal is for the test run
    )
    try:
        yield
    finally:
        guard.kill()
        guard.communicate()
