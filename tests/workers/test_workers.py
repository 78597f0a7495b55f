"""The recipes of docs/workers.md, with workers that are killed at random: no clip is paid for twice, none is lost."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import sys
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from relaydance_async import PostgresJournal, SqliteJournal
from tests.kit.postgres import postgres_server
from tests.kit.redis import redis_server
from tests.test_docs_code import NO_RUN
from tests.workers.recipes import PAGE, programs, write_program
from tests.workers.stage import Load, orders_of, prompt_of, staged

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no such kills"),
]

FEW = Load(clips=10, kills=1, longest=0.5)
MANY = pytest.param(Load(clips=200, kills=12, longest=4.0), marks=pytest.mark.torture)
every_load = pytest.mark.parametrize("load", [FEW, MANY], ids=lambda load: f"{load.clips} clips")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.skipif(
    sys.version_info >= (3, 12) and sqlite3.sqlite_version_info < (3, 42), reason="DBOS asks this SQLite for too much"
)
@every_load
async def test_dbos_with_sqlite(tmp_path: Path, load: Load) -> None:
    program = write_program(tmp_path, "dbos_worker.py", PAUSE=1)
    with staged(tmp_path) as stage:
        worker = stage.start(str(program), *orders_of(load.clips), WORKER="worker-1")
        async with SqliteJournal(tmp_path / "run.db") as journal:
            stage.disturb([worker], load)
            await stage.finish(journal, load.clips)


@every_load
async def test_dbos_with_postgresql_and_two_workers(tmp_path: Path, load: Load) -> None:
    program = write_program(tmp_path, "dbos_worker.py", PAUSE=1)
    with postgres_server() as server, staged(tmp_path) as stage:
        database = f"postgresql://tester@127.0.0.1:{server.port}/postgres"
        workers = [
            stage.start(str(program), *orders_of(load.clips), WORKER=f"worker-{number}", DATABASE_URL=database)
            for number in range(2)
        ]
        async with PostgresJournal(database) as journal:
            stage.disturb(workers, load)
            await stage.finish(journal, load.clips)


@every_load
async def test_taskiq(tmp_path: Path, load: Load) -> None:
    pytest.importorskip("taskiq_redis", reason="not installed with the lowest versions")
    program = write_program(tmp_path, "taskiq_worker.py", IDLE=2)
    with redis_server() as redis, staged(tmp_path) as stage:
        options = ("--workers", "1", "--shutdown-timeout", "1")
        workers = [
            stage.start("-m", "taskiq", "worker", "taskiq_worker:broker", *options, REDIS_URL=redis.url) for _ in "12"
        ]
        ordering = stage.start(str(program), *orders_of(load.clips), REDIS_URL=redis.url)
        stage.wait_until(lambda: ordering.has_ended)
        async with SqliteJournal(tmp_path / "run.db") as journal:
            stage.disturb(workers, load)
            await stage.finish(journal, load.clips)


@every_load
async def test_a_web_app(tmp_path: Path, load: Load) -> None:
    write_program(tmp_path, "web_app.py")
    with listening() as (listener, port), staged(tmp_path) as stage, ThreadPoolExecutor(20) as callers:
        app = stage.serve("web_app:app", listener)
        ordering = [callers.submit(order, port, name) for name in orders_of(load.clips)]
        async with SqliteJournal(tmp_path / "run.db") as journal:
            stage.disturb([app], load)
            await stage.finish(journal, load.clips)
        assert {one.result() for one in ordering} == {202}


def order(port: int, name: str) -> int:
    """As a caller does it who wants his clip: again and again."""
    ends = time.monotonic() + 100
    while time.monotonic() < ends:
        try:
            status, _ = ask(port, "PUT", f"/clips/{name}?prompt={quote(prompt_of(name))}")
        except OSError:  # it was killed
            status = 0
        if status == 202:
            return status
        time.sleep(0.2)
    return 0


def ask(port: int, method: str, path: str) -> tuple[int, Any]:
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    with closing(connection):
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, json.load(answer)


@contextmanager
def listening() -> Generator[tuple[int, int]]:
    """The file and the port of a socket that outlives the servers at it."""
    with socket.create_server(("127.0.0.1", 0), backlog=500) as listener:
        yield listener.fileno(), listener.getsockname()[1]


@every_load
async def test_one_webhook_receiver_for_two_workers(tmp_path: Path, load: Load) -> None:
    write_program(tmp_path, "hooks.py")
    program = write_program(tmp_path, "hooked_worker.py")
    names = orders_of(load.clips)
    with listening() as (listener, port), postgres_server() as server, staged(tmp_path) as stage:
        database = f"postgresql://tester@127.0.0.1:{server.port}/postgres"
        environ = {
            "DATABASE_URL": database,
            "WEBHOOK_SECRET": "a secret of thirty-two characters",
            "HOOKS_URL": f"http://127.0.0.1:{port}/hooks",
        }
        receiver = stage.serve("hooks:app", listener, **environ)
        workers = [stage.start(str(program), *names[number::2], **environ) for number in range(2)]
        async with PostgresJournal(database) as journal:
            stage.disturb([receiver, *workers], load)
            await stage.finish(journal, load.clips, restarted=workers, by_webhook=True)


def test_each_program_of_the_page_is_run() -> None:
    text = PAGE.read_text(encoding="utf-8")
    here = Path(__file__).read_text(encoding="utf-8")
    assert text.count("```python") == len(programs()) == len(NO_RUN.findall(text))
    assert [name for name in programs() if f'"{name}"' not in here] == []
