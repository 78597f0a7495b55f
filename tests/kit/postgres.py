"""A real PostgreSQL of a test's own: on a free port, in a folder of its own, stopped by whoever started it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.kit.guard import guarded

_SECONDS = 60.0
"""For a start or a stop, on a machine that is busy."""
_UNPRIVILEGED = ("postgres", "nobody")
"""PostgreSQL refuses to run as root."""


def program(name: str) -> str | None:
    """Where a program of PostgreSQL's is. Debian keeps those of each version apart, and not on PATH."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *map(str, folders)]))


def user_options() -> dict[str, Any]:
    """How `subprocess` leaves root behind."""
    if os.geteuid() != 0:
        return {}
    import pwd

    for name in _UNPRIVILEGED:
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": []}
    raise RuntimeError("PostgreSQL does not run as root, and there is no user for it")


class PostgresServer:
    """One server, which can be stopped and started again.

    Args:
        folder: of its own.
        settings: of postgresql.conf.
    """

    def __init__(self, folder: Path, settings: dict[str, str]) -> None:
        self._data = folder / "data"
        self._log = folder / "log"
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._guard = ExitStack()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]

    def dsn(self, database: str = "postgres", port: int | None = None) -> str:
        """A connection string, by TCP; another port is that of a proxy."""
        return f"host=127.0.0.1 port={port or self.port} user=tester dbname={database} connect_timeout=5"

    def create(self) -> None:
        """Make its files."""
        command = [program("initdb") or "initdb", "-D", str(self._data), "-U", "tester", "-A", "trust", "--no-sync"]
        options = user_options()
        if options:
            os.chown(self._data.parent, options["user"], options["group"])
        subprocess.run(
            [*command, "-E", "UTF8", "--locale=C.UTF-8"],
            check=True,
            capture_output=True,
            timeout=_SECONDS,
            cwd=self._data.parent,
            **options,
        )

    def copy(self, other: PostgresServer) -> None:
        """Make its files as a standby's of another, which runs."""
        options = user_options()
        if options:
            os.chown(self._data.parent, options["user"], options["group"])
        source = other.dsn().replace("dbname=postgres", "")
        subprocess.run(
            [program("pg_basebackup") or "pg_basebackup", "-D", str(self._data), "-d", source, "-R", "-c", "fast"],
            check=True,
            capture_output=True,
            timeout=_SECONDS,
            cwd=self._data.parent,
            **options,
        )

    def start(self) -> None:
        """Start it, and wait until it answers."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            **self._settings,
        }
        command = [program("postgres") or "postgres", "-D", str(self._data)]
        for name, value in {**settings, **self._settings}.items():
            command += ["-c", f"{name}={value}"]
        with self._log.open("ab") as log:
            process = subprocess.Popen[bytes](
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self._data.parent, **user_options()
            )
        self._process = process
        self._guard.enter_context(guarded(process))
        ends = time.monotonic() + _SECONDS
        while not self._answers():
            if process.poll() is not None or time.monotonic() > ends:
                raise RuntimeError(f"PostgreSQL did not start: {self._log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.02)

    def _answers(self) -> bool:
        import psycopg

        try:
            psycopg.connect(self.dsn()).close()
        except psycopg.OperationalError:
            return False
        return True

    def stop(self, how: int = signal.SIGINT) -> None:
        """Stop it: SIGINT ends the sessions, SIGQUIT is as a crash. It is started again with `start`."""
        process, self._process = self._process, None
        self._guard.close()
        if process is not None:
            process.send_signal(how)
            try:
                process.wait(_SECONDS)
            finally:
                if process.poll() is None:
                    process.kill()

    def execute(self, statement: Any, database: str = "postgres") -> list[Any]:
        """Carry out a statement, as somebody else; its rows."""
        import psycopg

        with psycopg.connect(self.dsn(database), autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []


@contextmanager
def postgres_server(**settings: str) -> Generator[PostgresServer]:
    """A server for as long as the block lasts.

    Args:
        settings: of postgresql.conf; without `fsync="on"` a power cut would cost it its data, and it is quicker.
    """
    pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")
    if program("postgres") is None or program("initdb") is None:
        pytest.skip("there is no PostgreSQL server here; on Debian and Ubuntu: apt install postgresql")
    with _server(settings) as server:
        server.create()
        server.start()
        yield server


@contextmanager
def standby_of(primary: PostgresServer) -> Generator[PostgresServer]:
    """A server that has all that the other has committed: no commit is answered before it is here too."""
    with _server({}) as standby:
        standby.copy(primary)
        standby.start()
        primary.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        primary.execute("SELECT pg_reload_conf()")
        yield standby


@contextmanager
def _server(settings: dict[str, str]) -> Generator[PostgresServer]:
    folder = Path(tempfile.mkdtemp(prefix="relaydance-postgres-"))
    server = PostgresServer(folder, {"fsync": "off", **settings})
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
