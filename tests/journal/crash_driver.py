"""Runs one keyed call again and again, and kills its process at each step in turn.

    python -m tests.journal.crash_driver FOLDER URL KEY TRANSPORT SCENARIO [DSN]

The journal is in the folder, or in a PostgreSQL. A step is a statement that the database has carried out, a method of
the journal that has returned, or a write to or a read from a socket; commits and requests have a moment before as well.
For each of them a line of JSON is printed: the steps until the kill, what another process finds in the journal then,
and how the same program ends when it is run again.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import socket
import sqlite3
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from relaydance_async import AsyncRelayDance, PostgresJournal, RelayDanceError, RetryPolicy, SqliteJournal
from relaydance_async.journal import _postgres_store
from relaydance_async.journal._committed import CommittedJournal
from tests.kit.transports import import_all

Scenario = Callable[[AsyncRelayDance, int], Awaitable[str]]


class Steps:
    """Counts the steps, writes them down, and kills the process at one of them."""

    def __init__(self, fatal: int | None, file: int) -> None:
        self._fatal = fatal
        self._file = file
        self._count = 0
        self._lock = threading.Lock()

    def step(self, name: str) -> None:
        with self._lock:
            self._count += 1
            os.write(self._file, f"{name}\n".encode())
            if self._count == self._fatal:
                os.kill(os.getpid(), signal.SIGKILL)


class Watching:
    """Of a connection: each statement is a step; a commit is named by what it makes durable."""

    steps: Steps
    changes: str = ""

    def execute(self, sql: str, *args: Any) -> Any:
        word = sql.split()[0]
        name = f"COMMIT {self.changes}".strip() if word == "COMMIT" else word
        if word == "COMMIT":
            self.steps.step(f"before {name}")
        parent: Any = super()
        result = parent.execute(sql, *args)
        self.steps.step(f"after {name}")
        if word in ("BEGIN", "COMMIT"):
            self.changes = ""
        return result

    def executemany(self, sql: str, rows: Any) -> Any:
        rows = list(rows)
        self.changes = "sending" if "INSERT INTO entries" in sql else rows[0][0]
        parent: Any = super()
        result = parent.executemany(sql, rows)
        self.steps.step(f"after {self.changes}")
        return result

    def run_script(self, script: str) -> Any:
        parent: Any = super()
        result = parent.run_script(script)
        self.changes = ""
        self.steps.step("after BEGIN" if "BEGIN" in script else "after SELECT")
        return result


def watch_sql(steps: Steps) -> None:
    """Each connection that is made from now on is a `Watching` one."""
    real: Any = sqlite3.connect
    store: Any = _postgres_store
    watching: Any = Watching
    watching.steps = steps
    kind = type("Watched", (watching, sqlite3.Connection), {})

    def connect(*args: Any, **options: Any) -> Any:
        return real(*args, **{**options, "factory": kind})

    sqlite3.connect = connect
    store.PostgresConnection = type("WatchedPostgres", (watching, store.PostgresConnection), {})


def watch_journal(steps: Steps) -> None:
    for name in ("find", "begin", "end"):
        method = getattr(CommittedJournal, name)

        async def watched(self: Any, *args: Any, _name: str = name, _method: Any = method) -> Any:
            result = await _method(self, *args)
            steps.step(f"after journal.{_name}")
            return result

        setattr(CommittedJournal, name, watched)


def watch_sockets(steps: Steps) -> None:
    kind: Any = socket.socket
    send, recv = kind.send, kind.recv

    def watched_send(self: Any, data: Any, *args: Any) -> Any:
        is_request = bytes(data[:5]) == b"POST "
        if is_request:
            steps.step("before request")
        result = send(self, data, *args)
        if is_request:
            steps.step("after request")
        return result

    def watched_recv(self: Any, *args: Any) -> Any:
        result = recv(self, *args)
        if result.startswith(b"HTTP/"):
            steps.step("after answer")
        return result

    kind.send, kind.recv = watched_send, watched_recv


async def submit(client: AsyncRelayDance, number: int) -> str:
    task = await client.video.submit(
        model="doubao-seedance-2-0-720p", prompt=f"clip {number}", idempotency_key=f"row-{number}"
    )
    return f"{task.task_id} {'replayed' if task.meta.replayed else 'sent'}"


async def stream(client: AsyncRelayDance, number: int) -> str:
    messages = [{"role": "user", "content": f"question {number}"}]
    create: Any = client.chat.completions.create
    async with await create(model="grok-4.3", messages=messages, stream=True, idempotency_key=f"row-{number}") as found:
        completion = await found.get_final_completion()
        return f"{completion.id} {'replayed' if found.meta.replayed else 'sent'}"


SCENARIOS: dict[str, Scenario] = {"submit": submit, "stream": stream}


def in_child(work: Callable[[], Awaitable[str]], before: Callable[[], None]) -> str:
    """What the work gives, in a forked process; "killed" if that was."""
    out, into = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(out)
            before()
            os.write(into, asyncio.run(as_text(work)).encode())
        finally:
            os._exit(0)
    os.close(into)
    with os.fdopen(out, "rb") as file:
        text = file.read().decode()
    _, status = os.waitpid(pid, 0)
    return "killed" if os.WIFSIGNALED(status) else text


async def as_text(work: Callable[[], Awaitable[str]]) -> str:
    try:
        return await work()
    except RelayDanceError as error:
        return type(error).__name__


def open_journal(path: Path, dsn: str | None) -> CommittedJournal:
    """Another one for each run."""
    return SqliteJournal(path) if dsn is None else PostgresJournal(dsn, namespace=path.stem)


def main(folder: str, url: str, key: str, transport: Any, scenario: str, dsn: str | None = None) -> None:
    import_all()  # once, and not in each child
    for fatal in itertools.count(1):
        path, log = Path(folder) / f"{fatal}.db", Path(folder) / f"{fatal}.log"

        async def call(path: Path = path, number: int = fatal) -> str:
            policy = RetryPolicy(base=0.01)
            async with open_journal(path, dsn) as journal:
                client = AsyncRelayDance(key, base_url=url, transport=transport, journal=journal, retry=policy)
                async with client:
                    return await SCENARIOS[scenario](client, number)

        async def look(path: Path = path, number: int = fatal) -> str:
            async with open_journal(path, dsn) as journal:
                entry = await journal.find(url.removesuffix("/v1"), f"row-{number}")
                return "none" if entry is None else entry.state

        def watch(log: Path = log, fatal: int = fatal) -> None:
            steps = Steps(fatal, os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND))
            watch_sql(steps)
            watch_journal(steps)
            watch_sockets(steps)

        async def look_and_call() -> str:
            return f"{await look()}, {await as_text(call)}"

        first = in_child(call, watch)
        found, _, again = in_child(look_and_call, lambda: None).partition(", ")
        steps = log.read_text(encoding="utf-8").splitlines()
        print(json.dumps({"steps": steps, "first": first, "found": found, "again": again}), flush=True)
        if first != "killed":
            break


if __name__ == "__main__":
    main(*sys.argv[1:])
