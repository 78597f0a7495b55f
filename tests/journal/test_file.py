"""The file of a `SqliteJournal`, and what can be wrong with it."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import stat
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from relaydance_async import AsyncRelayDance, ConfigurationError, JournalError, SqliteJournal
from relaydance_async.journal import _database
from relaydance_async.journal._committer import Committer, Look
from relaydance_async.sandbox import Sandbox
from tests.journal.conftest import OpenJournal
from tests.journal.support import CLIP, ORIGIN, accepted, keyed, sending, state_of
from tests.kit.waiting import wait_until

pytestmark = pytest.mark.anyio


async def failure_of(work: Any) -> JournalError:
    with pytest.raises(JournalError) as caught:
        await work
    return caught.value


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
async def test_nobody_else_may_read_the_files(path: Path, journal: SqliteJournal) -> None:
    os.umask(os.umask(0o022))
    await journal.begin(sending())
    files = sorted(path.parent.iterdir())
    assert [file.name for file in files] == ["run.db", "run.db-shm", "run.db-wal"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


async def test_nothing_is_made_before_it_is_needed_and_one_file_is_left(path: Path) -> None:
    async with SqliteJournal(path) as journal:
        assert not path.exists()
        await journal.begin(sending())
    assert [file.name for file in path.parent.iterdir()] == ["run.db"]


@pytest.mark.parametrize(("durability", "pragma"), [("power", 2), ("process", 1)])
async def test_how_much_an_entry_outlasts(path: Path, durability: Any, pragma: int) -> None:
    with closing(_database.open_database(path, durability, 1)) as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (pragma,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    async with SqliteJournal(path, durability=durability) as journal:
        assert await journal.begin(sending()) is None


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"durability": "none"}, "durability must be 'power' or 'process', not 'none'"),
        ({"lease": 0}, "lease must be a number of seconds more than 0, not 0"),
        ({"lease": float("nan")}, "lease must be a number of seconds more than 0, not nan"),
        ({"path": 7}, "path must be that of a file, not 7"),
    ],
)
def test_what_cannot_be(path: Path, options: dict[str, Any], why: str) -> None:
    make: Any = SqliteJournal
    with pytest.raises(ConfigurationError) as caught:
        make(**{"path": path, **options})
    assert caught.value.message == why


# What can be wrong with it.


async def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    async with SqliteJournal(tmp_path / "nowhere" / "run.db") as journal:
        error = await failure_of(journal.begin(sending()))
    assert (error.kind, error.maybe_accepted) == ("path", False)
    assert "No such file or directory" in str(error)


async def test_a_path_that_appears_later_is_taken(tmp_path: Path) -> None:
    async with SqliteJournal(tmp_path / "later" / "run.db") as journal:
        assert (await failure_of(journal.begin(sending()))).kind == "path"
        (tmp_path / "later").mkdir()
        assert await journal.begin(sending()) is None


async def test_a_file_that_is_none(path: Path, journal: SqliteJournal) -> None:
    path.write_bytes(b"this is no database at all, but a text that is long enough" * 20)
    error = await failure_of(journal.begin(sending()))
    assert error.kind == "corrupt"
    assert "is no database, or damaged" in str(error)
    assert "journal.backup" in str(error)
    assert path.read_bytes().startswith(b"this is no database")


async def test_the_database_of_another_program(path: Path, journal: SqliteJournal) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE recipes (name)")
        other.commit()
    error = await failure_of(journal.begin(sending()))
    assert error.kind == "foreign"
    assert "is a database of another program" in str(error)
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("recipes",)]


async def test_a_file_of_a_newer_version(path: Path, open_journal: OpenJournal) -> None:
    async with SqliteJournal(path) as older:
        await older.begin(sending())
    with closing(sqlite3.connect(path)) as newer:
        newer.execute("PRAGMA user_version=99")
    error = await failure_of(open_journal().find(ORIGIN, "row-1"))
    assert error.kind == "newer"
    assert "is of version 99; this relaydance_async knows 1. Upgrade relaydance_async" in str(error)


async def test_an_older_file_is_brought_to_this_version_once(
    path: Path, open_journal: OpenJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with SqliteJournal(path) as older:
        await older.begin(sending())
        await older.end(accepted())

    def next_version(connection: sqlite3.Connection) -> None:
        connection.execute("ALTER TABLE entries ADD COLUMN colour TEXT NOT NULL DEFAULT 'blue'")
        connection.execute("ALTER TABLE attempts ADD COLUMN colour TEXT NOT NULL DEFAULT 'blue'")

    monkeypatch.setattr(_database, "MIGRATIONS", (*_database.MIGRATIONS, next_version))
    journals = [open_journal() for _ in range(4)]
    async with anyio.create_task_group() as group:
        for number, journal in enumerate(journals):
            group.start_soon(journal.begin, sending(f"row-2{number}", f"call-2{number}"))
    assert await state_of(journals[0]) == "accepted"
    with closing(sqlite3.connect(path)) as looked:
        assert looked.execute("PRAGMA user_version").fetchone() == (2,)
        assert looked.execute("SELECT colour FROM entries WHERE key = 'row-1'").fetchone() == ("blue",)


async def test_a_migration_that_fails_leaves_the_older_file(
    path: Path, open_journal: OpenJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with SqliteJournal(path) as older:
        await older.begin(sending())

    def broken(connection: sqlite3.Connection) -> None:
        connection.execute("ALTER TABLE entries ADD COLUMN colour TEXT")
        connection.execute("no SQL")

    with monkeypatch.context() as patch:
        patch.setattr(_database, "MIGRATIONS", (*_database.MIGRATIONS, broken))
        await failure_of(open_journal().find(ORIGIN, "row-1"))
    assert await open_journal().find(ORIGIN, "row-1") is not None


async def test_many_who_make_the_file_at_the_same_time(path: Path, open_journal: OpenJournal) -> None:
    journals = [open_journal() for _ in range(10)]
    async with anyio.create_task_group() as group:
        for number, journal in enumerate(journals):
            group.start_soon(journal.begin, sending(f"row-{number}", f"call-{number}"))
    assert len([entry async for entry in journals[0].entries()]) == 10


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs"])
async def test_a_network_file_system(kind: str, path: Path, journal: SqliteJournal, monkeypatch: Any) -> None:
    mounts = f"/dev/a / ext4 rw 0 0\nserver:/x {path.parent} {kind} rw 0 0\n"
    monkeypatch.setattr(_database, "read_mounts", lambda: mounts)
    error = await failure_of(journal.begin(sending()))
    assert error.kind == "network"
    assert f"is on a network file system ({kind})" in str(error)
    assert not path.exists()


def test_the_file_system_is_the_one_that_is_mounted_nearest(monkeypatch: Any) -> None:
    mounts = "/dev/a / ext4 rw 0 0\nhost:/h /home nfs rw 0 0\n/dev/b /home/my\\040disk xfs rw 0 0\n"
    monkeypatch.setattr(_database, "read_mounts", lambda: mounts)
    kinds = {"/tmp": "ext4", "/home/a": "nfs", "/homes": "ext4", "/home/my disk/a": "xfs"}
    assert {name: _database.file_system_of(Path(name)) for name in kinds} == kinds


async def test_a_file_that_another_holds_for_too_long(path: Path, open_journal: OpenJournal) -> None:
    journal = open_journal(_patience=0.05)
    await journal.begin(sending())
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        error = await failure_of(journal.begin(sending("row-2", "call-2")))
        assert error.kind == "busy"
        assert "Another process holds it for too long" in str(error)
        assert await state_of(journal) == "sending"  # looking is possible
        other.execute("ROLLBACK")
    assert await journal.begin(sending("row-2", "call-2")) is None


async def test_a_file_that_another_holds_for_a_while(path: Path, journal: SqliteJournal) -> None:
    await journal.begin(sending())
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        timer = threading.Timer(0.1, other.execute, ["ROLLBACK"])
        timer.start()
        assert await journal.begin(sending("row-2", "call-2")) is None
        timer.join()


@contextmanager
def full(path: Path) -> Generator[None]:
    """No room for one more page, for all connections that open the file meanwhile."""
    real = sqlite3.connect

    def connect(*args: Any, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = real(*args, **options)
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count={pages}")
        return connection

    sqlite3.connect = connect  # type: ignore[assignment]
    try:
        yield
    finally:
        sqlite3.connect = real


async def fill(journal: SqliteJournal) -> JournalError:
    """Until not even a small entry fits."""
    found: JournalError | None = None
    for size in 1000, 10:
        for number in range(1000):
            try:
                await journal.begin(sending(f"filling-{size}-{number}", f"{size}-{number}", request="x" * size))
            except JournalError as error:
                found = error
                break
    assert found is not None
    return found


async def test_a_full_disk_keeps_calls_from_being_sent(path: Path, sandbox: Sandbox) -> None:
    async with SqliteJournal(path) as journal:
        await journal.begin(sending())
    with full(path):
        async with SqliteJournal(path) as journal, keyed(sandbox, journal) as client:
            error = await fill(journal)
            assert (error.kind, "the disk is full" in str(error)) == ("full", True)
            raised = await failure_of(client.video.submit(**CLIP, idempotency_key="x" * 400))
            assert (raised.kind, raised.maybe_accepted, raised.sent_at) == ("full", False, None)
    assert sandbox.ledger.count() == 0


async def test_what_was_accepted_when_the_disk_is_full_is_in_the_error_and_noted_later(
    path: Path, sandbox: Sandbox
) -> None:
    """A disk that fills up between the two entries."""
    async with SqliteJournal(path) as journal, keyed(sandbox, journal) as client:
        with failing_commits(lambda: sandbox.ledger.count() > 0, "database or disk is full", sqlite3.SQLITE_FULL):
            error = await failure_of(client.video.submit(**CLIP, idempotency_key="row-1"))
        assert (error.kind, error.maybe_accepted, error.retryable) == ("full", True, False)
        assert error.result.task_id == error.task_id
        assert "keep that" in str(error)
        # There is room again: it is written with whatever comes next.
        await journal.begin(sending("row-2", "call-2"))
        entry = await journal.find(sandbox.root_url, "row-1")
        assert entry is not None
        assert (entry.state, entry.task_id) == ("accepted", error.task_id)
        task = await client.video.submit(**CLIP, idempotency_key="row-1")
        assert (task.task_id, task.meta.replayed) == (error.task_id, True)
    assert sandbox.ledger.count() == 1


@contextmanager
def failing_commits(when: Callable[[], bool], message: str, code: int) -> Generator[None]:
    """Commits fail while that is true."""
    kind: Any = Committer
    real = kind._commit

    def commit(self: Any, asked: Any) -> Any:
        if when() and any(not isinstance(job, Look) for job, _ in asked):
            error = sqlite3.OperationalError(message)
            error.sqlite_errorcode = code
            raise error
        return real(self, asked)

    kind._commit = commit
    try:
        yield
    finally:
        kind._commit = real


async def test_a_disk_that_breaks_and_is_repaired(journal: SqliteJournal) -> None:
    await journal.begin(sending())
    with failing_commits(lambda: True, "disk I/O error", sqlite3.SQLITE_IOERR | (12 << 8)):
        error = await failure_of(journal.begin(sending("row-2", "call-2")))
    assert error.kind == "disk"
    assert await journal.begin(sending("row-2", "call-2")) is None  # over a new connection
    assert await state_of(journal) == "sending"  # of the same owner


async def test_one_change_that_cannot_be_made_leaves_the_others_of_its_commit(journal: SqliteJournal) -> None:
    await journal.find(ORIGIN, "row-1")
    results: dict[int, str] = {}

    async def begin(number: int) -> None:
        # What no text of a database can hold, though callers can't get it past the checks of a call.
        key = "\ud800" if number == 3 else f"row-{number}"
        try:
            results[number] = str(await journal.begin(sending(key, f"call-{number}")))
        except JournalError as error:
            results[number] = error.kind

    async with anyio.create_task_group() as group:
        for number in range(6):
            group.start_soon(begin, number)
    assert results == {**dict.fromkeys(range(6), "None"), 3: "unknown"}


async def test_a_damaged_file(path: Path, open_journal: OpenJournal) -> None:
    async with SqliteJournal(path) as journal:
        for number in range(200):
            await journal.begin(sending(f"row-{number}", f"call-{number}", request="x" * 500))
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))
    error = await failure_of(open_journal().begin(sending("row-9", "call-x")))
    assert error.kind == "corrupt"
    assert "Restore a copy made by `journal.backup(path)`" in str(error)


async def test_a_backup_of_a_live_journal_is_whole_and_one_file(path: Path, journal: SqliteJournal) -> None:
    target = path.with_name("copy.db")
    stop = anyio.Event()

    async def write() -> None:
        number = 0
        while not stop.is_set():
            await journal.begin(sending(f"row-{number}", f"call-{number}"))
            number += 1

    await journal.begin(sending("first", "first"))
    async with anyio.create_task_group() as group:
        group.start_soon(write)
        await journal.backup(target)
        stop.set()
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert {file.name for file in path.parent.iterdir()} == {"run.db", "run.db-wal", "run.db-shm", "copy.db"}
    async with SqliteJournal(target) as copy:
        assert await copy.find(ORIGIN, "first") is not None
    error = await failure_of(journal.backup(target))
    assert error.kind == "path"
    assert (await failure_of(journal.backup(path.parent / "nowhere" / "copy.db"))).kind == "path"


# Threads, forks and the end.


async def test_a_journal_that_is_dropped_ends_its_thread_and_closes_its_file(path: Path) -> None:
    before = set(threading.enumerate())
    journal = SqliteJournal(path)
    await journal.begin(sending())
    (thread,) = (thread for thread in set(threading.enumerate()) - before if thread.name == "relaydance-journal")
    del journal
    await wait_until(lambda: not thread.is_alive())
    assert [file.name for file in path.parent.iterdir()] == ["run.db"]


def test_what_is_left_to_write_is_written_at_exit(path: Path) -> None:
    import subprocess

    program = f"""
import asyncio
from relaydance_async import SqliteJournal
from tests.journal.support import accepted, sending
journal = SqliteJournal({str(path)!r})
async def main():
    await journal.begin(sending())
    journal.end_soon(accepted())
asyncio.run(main())
"""
    subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", program], check=True, cwd=Path(__file__).parents[2]
    )
    with closing(sqlite3.connect(path)) as looked:
        assert looked.execute("SELECT state, task_id FROM entries").fetchall() == [("accepted", "task_1")]
    assert [file.name for file in path.parent.iterdir()] == ["run.db"]


def test_several_loops_one_after_the_other_and_at_once(path: Path) -> None:
    journal = SqliteJournal(path)

    async def work(number: int) -> None:
        await journal.begin(sending(f"row-{number}", f"call-{number}"))
        await journal.end(accepted(f"row-{number}", f"call-{number}", f"task_{number}"))

    for number in range(2):
        anyio.run(work, number)
    threads = [threading.Thread(target=anyio.run, args=(work, number)) for number in range(2, 6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    async def look() -> list[str]:
        async with journal:
            return [entry.state async for entry in journal.entries()]

    assert anyio.run(look) == ["accepted"] * 6


def test_on_trio(path: Path) -> None:
    async def work() -> None:
        async with SqliteJournal(path) as journal:
            assert await journal.begin(sending()) is None
            await journal.end(accepted())
            assert await state_of(journal) == "accepted"
            with pytest.raises(JournalError):
                await journal.release("row-1")

    anyio.run(work, backend="trio")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_child_has_a_connection_of_its_own_and_is_another_owner(path: Path) -> None:
    journal = SqliteJournal(path)

    async def child() -> None:
        assert await state_of(journal) == "sending"  # its parent lives
        assert await journal.begin(sending("row-2", "call-2")) is None
        await journal.aclose()

    async def parent() -> None:
        await journal.begin(sending())

    async def rest() -> None:
        assert await state_of(journal, "row-2") == "in doubt"  # the child has ended
        await journal.end(accepted())
        assert await state_of(journal) == "accepted"
        await journal.aclose()

    anyio.run(parent)
    pid = os.fork()
    if pid == 0:
        try:
            anyio.run(child)
        except BaseException:
            os._exit(1)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    anyio.run(rest)


def test_a_journal_is_not_pickled_and_shows_its_path(path: Path) -> None:
    import pickle

    journal = SqliteJournal(path)
    with pytest.raises(TypeError, match="a journal is not pickled"):
        pickle.dumps(journal)
    assert repr(journal) == f"<SqliteJournal {path}>"


def _write_many(path: str, first: int) -> None:
    async def work() -> None:
        async with SqliteJournal(path) as journal, anyio.create_task_group() as group:
            for number in range(first, first + 100):
                group.start_soon(journal.begin, sending(f"row-{number % 150}", f"call-{first}-{number}"))

    anyio.run(work)


async def test_several_processes_on_one_file(path: Path, open_journal: OpenJournal) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_write_many, args=(str(path), first)) for first in (0, 50, 100)]
    for worker in workers:
        worker.start()
    for worker in workers:
        await wait_until(lambda worker=worker: worker.exitcode is not None, 60)  # type: ignore[misc]
        assert worker.exitcode == 0
    entries = [entry async for entry in open_journal().entries()]
    assert len(entries) == 150
    assert {(entry.attempt, entry.state) for entry in entries} == {(1, "in doubt")}  # they have all died


def test_a_client_is_made_with_a_journal_only() -> None:
    with pytest.raises(ConfigurationError, match="journal must be a journal, such as SqliteJournal"):
        AsyncRelayDance("sk-1", journal="run.db")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
