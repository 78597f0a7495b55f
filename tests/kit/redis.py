"""A real redis-server of a test's own: on a free port, in a folder of its own, stopped by whoever started it."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.kit.guard import guarded

_SECONDS = 30.0
"""For a start, on a machine that is busy."""


PROGRAMS = ("redis-server", "valkey-server")
"""Either will do."""


def program(*names: str) -> str | None:
    """Where the program of a server is."""
    return next((found for name in names or PROGRAMS if (found := shutil.which(name))), None)


class RedisServer:
    """One server, which can be stopped and started again.

    Args:
        folder: of its own.
        path: of its program.
    """

    def __init__(self, folder: Path, path: str) -> None:
        self._folder = folder
        self._path = path
        self._process: subprocess.Popen[bytes] | None = None
        self._guard = ExitStack()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = [self._path, "--port", str(self.port), "--bind", "127.0.0.1"]
        command += ["--save", "", "--appendonly", "no", "--dir", str(self._folder)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._guard.enter_context(guarded(self._process))
        ends = time.monotonic() + _SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > ends:
                raise RuntimeError("redis-server did not start")
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            return self.ask("PING") == b"PONG"
        except OSError:
            return False

    def ask(self, *words: str) -> bytes:
        """What it answers to one command, as somebody else: without the framing, lists line by line."""
        with socket.create_connection(("127.0.0.1", self.port), 5) as connection, connection.makefile("rb") as answer:
            connection.sendall("".join([f"*{len(words)}\r\n", *(f"${len(w)}\r\n{w}\r\n" for w in words)]).encode())
            return _read(answer.readline, answer.read)

    def signal(self, number: int) -> None:
        """SIGSTOP: it keeps everybody waiting. SIGCONT: it goes on. SIGKILL: it is gone."""
        assert self._process is not None
        self._process.send_signal(number)
        if number == signal.SIGKILL:
            self._process.wait(_SECONDS)

    def stop(self) -> None:
        """Stop it."""
        if self._process is not None and self._process.poll() is None:
            self.signal(signal.SIGKILL)
        self._guard.close()


def _read(readline: Callable[[], bytes], read: Callable[[int], bytes]) -> bytes:
    line = readline()
    kind, rest = line[:1], line[1:-2]
    if kind == b"$":
        return b"" if rest == b"-1" else read(int(rest) + 2)[:-2]
    if kind == b"*":
        return b"\n".join(_read(readline, read) for _ in range(int(rest)))
    return rest


@contextmanager
def redis_server(*names: str) -> Generator[RedisServer]:
    """A server for as long as the block lasts: the first of these programs that is here."""
    pytest.importorskip("redis", reason="the extra `redis` is not installed")
    path = program(*names)
    if path is None:
        wanted = " or ".join(names or PROGRAMS)
        pytest.skip(f"there is no {wanted} here; on Debian and Ubuntu: apt install redis-server")
    folder = Path(tempfile.mkdtemp(prefix="relaydance-redis-"))
    server = RedisServer(folder, path)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
