"""The real command: in this process, in one of its own, or on a terminal."""

from __future__ import annotations

import io
import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from relaydance_async.cli import main
from relaydance_async.sandbox import Sandbox

COMMAND = [sys.executable, "-m", "relaydance_async.cli"]
SECONDS = 60
"""A command that takes longer hangs."""
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


@dataclass
class Desk:
    """Where somebody sits who types commands: a sandbox to talk to, and a home that nobody else uses.

    Attributes:
        home: its directory; commands run in it.
    """

    sandbox: Sandbox
    home: Path
    monkeypatch: pytest.MonkeyPatch
    capture: pytest.CaptureFixture[str]

    def __post_init__(self) -> None:
        self.set(
            HOME=str(self.home),
            XDG_CONFIG_HOME=str(self.home / "config"),
            XDG_STATE_HOME=str(self.home / "state"),
            RELAYDANCE_API_KEY=self.sandbox.api_key,
            RELAYDANCE_BASE_URL=self.sandbox.base_url,
            TERM="xterm",
        )
        self.unset("NO_COLOR", "FORCE_COLOR", "COLUMNS")
        self.monkeypatch.chdir(self.home)

    def set(self, **variables: str) -> None:
        """Set variables of the environment."""
        for name, value in variables.items():
            self.monkeypatch.setenv(name, value)

    def unset(self, *names: str) -> None:
        """Remove variables of the environment."""
        for name in names:
            self.monkeypatch.delenv(name, raising=False)

    def config(self, text: str) -> Path:
        """Write the file of profiles."""
        return self.write("config/relaydance/config.toml", text, 0o644)

    def write(self, name: str, text: str, mode: int = 0o600) -> Path:
        """Write a file in the home."""
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)
        return path

    def __call__(self, *arguments: str, typed: str | bytes = "") -> Ended:
        """Run a command in this process; `typed` comes from a pipe."""
        self.capture.readouterr()
        self.monkeypatch.setattr(
            sys, "stdin", io.TextIOWrapper(io.BytesIO(typed.encode() if isinstance(typed, str) else typed))
        )
        code = main(arguments)
        said = self.capture.readouterr()
        return Ended(code, said.out, said.err)

    def start(self, *arguments: str, command: list[str] = COMMAND, **options: Any) -> subprocess.Popen[str]:
        """Begin a command in a process of its own."""
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        return subprocess.Popen([*command, *arguments], text=True, **options)

    def run(self, *arguments: str, **options: Any) -> Ended:
        """Run a command in a process of its own, to its end."""
        return ended(self.start(*arguments, **options))


def ended(process: subprocess.Popen[str]) -> Ended:
    """Wait for the end of a process."""
    try:
        out, err = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"it hangs\n{out}\n{err}") from None
    return Ended(process.returncode, out or "", err or "")


Type = tuple[str | Callable[[], object], bytes]
"""What is to be seen, or to be true, and what is typed then."""


def in_terminal(
    *arguments: str, types: tuple[Type, ...] = (), columns: int = 80, command: list[str] | None = None
) -> tuple[str, int]:
    """What a command shows on a terminal, and its exit status."""
    import fcntl
    import pty
    import struct
    import termios

    pid, terminal = pty.fork()
    if pid == 0:
        size = struct.pack("HHHH", 24, columns, 0, 0)
        fcntl.ioctl(1, termios.TIOCSWINSZ, size)
        program = [*(command or COMMAND), *arguments]
        os.execvpe(program[0], program, dict(os.environ))  # not that of C, to which readline adds COLUMNS
    said, waiting = b"", list(types)
    seen = 0
    ends = time.monotonic() + SECONDS
    try:
        while time.monotonic() < ends:
            if select.select([terminal], [], [], 0.1)[0]:
                try:
                    piece = os.read(terminal, 65_536)
                except OSError:  # the end of a terminal, on Linux
                    break
                if not piece:
                    break
                said += piece
            if waiting and (at := _reached(waiting[0][0], said, seen)) is not None:
                seen = at
                _until_asleep(pid)
                os.write(terminal, waiting.pop(0)[1])
    finally:
        os.close(terminal)
    _, status = os.waitpid(pid, 0)
    assert not waiting, f"never seen: {waiting[0][0]!r} in {said.decode(errors='replace')}"
    return said.decode(errors="replace").replace("\r\n", "\n"), os.waitstatus_to_exitcode(status)


def _until_asleep(pid: int) -> None:
    """Wait until a process waits for what is typed, where that can be seen.

    A Ctrl-C that comes between a prompt and Python's wait for a key is told with the next key only.
    """
    state = Path(f"/proc/{pid}/stat")
    ends = time.monotonic() + SECONDS
    while state.exists() and time.monotonic() < ends:
        if state.read_text().rpartition(")")[2].split()[0] in "SZ":
            return
        time.sleep(0.002)


def _reached(what: str | Callable[[], object], said: bytes, seen: int) -> int | None:
    if not isinstance(what, str):
        return seen if what() else None
    at = said.find(what.encode(), seen)
    return None if at < 0 else at + len(what)


def plain(text: str) -> str:
    """Without what moves and colours."""
    return _ANSI.sub("", text)


Sit = Callable[..., Desk]
