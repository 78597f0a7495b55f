"""What can be wrong between a `PostgresJournal` and its server: nothing is sent twice, and errors are clear."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import anyio
import psycopg
import pytest
from psycopg_pool import AsyncConnectionPool, ConnectionPool

from relaydance_async import ConfigurationError, JournalError, PostgresJournal, SubmissionInDoubtError
from relaydance_async._threads import in_thread
from relaydance_async.journal import _postgres_schema
from relaydance_async.journal._postgres_connection import PostgresConnection
from relaydance_async.sandbox import Fault, Sandbox
from tests.journal.postgres_fixtures import *  # noqa: F403
from tests.journal.support import CLIP, ORIGIN, accepted, inside, keyed, sending, state_of
from tests.kit.postgres import PostgresServer, postgres_server, standby_of
from tests.kit.routes import SUBMIT
from tests.kit.waiting import wait_until

pytestmark = pytest.mark.anyio

END_SESSIONS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND usename = 'tester'"
)


async def failure_of(work: Any) -> JournalError:
    with pytest.raises(JournalError) as caught:
        await work
    return caught.value


@contextmanager
def after_each_commit(act: Any) -> Generator[None]:
    """Something happens when a commit was made, before its answer has come."""
    kind: Any = PostgresConnection
    real = kind.execute

    def execute(self: Any, sql: str, *parameters: Any) -> Any:
        result = real(self, sql, *parameters)
        if sql == "COMMIT":
            act()
        return result

    kind.execute = execute
    try:
        yield
    finally:
        kind.execute = real


def test_what_cannot_be() -> None:
    make: Any = PostgresJournal
    for arguments, options, why in (
        (("host=h",), {"lease": 0}, "lease must be a number of seconds more than 0, not 0"),
        (("host=h",), {"schema": 'a"b'}, "schema must be a name of small letters, digits and _, not 'a\"b'"),
        ((7,), {}, "source must be a connection string or a psycopg_pool.ConnectionPool (not an async"),
        (
            (AsyncConnectionPool("host=h", open=False),),
            {},
            "source must be a connection string or a psycopg_pool.ConnectionPool (not an async",
        ),
        (("postgres//me:secret@h/d",), {}, "source must be a connection string of libpq's, such as"),
    ):
        with pytest.raises(ConfigurationError) as caught:
            make(*arguments, **options)
        assert caught.value.message.startswith(why)
        assert "secret" not in str(caught.value)


def test_without_psycopg_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "relaydance_async.journal._postgres_store", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'relaydance-async\[postgres\]'"):
        PostgresJournal("host=h")


async def test_the_password_is_shown_nowhere(server: PostgresServer) -> None:
    server.execute("CREATE ROLE nobody_here")
    source = f"postgresql://nobody_here:hunter2@127.0.0.1:{server.port}/postgres"
    async with PostgresJournal(source) as journal:
        error = await failure_of(journal.begin(sending()))  # it may not log in
        assert error.kind == "server"
        assert "See that the PostgreSQL server runs" in str(error)
        with pytest.raises(TypeError):
            pickle.dumps(journal)
        for text in str(error), repr(error), repr(journal):
            assert "hunter2" not in text


@pytest.mark.parametrize("database", ["postgres", "not_there"])
async def test_a_server_or_database_that_is_not_there_sends_nothing(
    server: PostgresServer, sandbox: Sandbox, database: str
) -> None:
    source = server.dsn(database, port=None if database == "not_there" else 1)
    began = time.monotonic()
    hasty = inside(PostgresJournal, {"_patience": 0.3})
    async with hasty(source) as journal, keyed(sandbox, journal) as client:
        error = await failure_of(client.video.submit(**CLIP, idempotency_key="row-1"))
    assert (error.kind, error.maybe_accepted) == ("server", False)
    assert time.monotonic() - began < 10
    assert sandbox.ledger.count() == 0


async def test_tables_of_another_program_and_of_a_newer_version(
    server: PostgresServer, schema: str, open_journal: Any
) -> None:
    server.execute(f"CREATE SCHEMA {schema}; CREATE TABLE {schema}.entries (dish text)")
    error = await failure_of(open_journal().begin(sending()))
    assert error.kind == "foreign"
    server.execute(f"DROP TABLE {schema}.entries")
    await open_journal().begin(sending())
    server.execute(f"UPDATE {schema}.journal_version SET version = 99")
    error = await failure_of(open_journal().begin(sending("row-2")))
    assert error.kind == "newer"
    assert "is of version 99; this relaydance_async knows 1. Upgrade relaydance_async" in str(error)


async def test_an_older_schema_is_brought_to_this_version_once(
    server: PostgresServer, schema: str, open_journal: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = open_journal()
    await older.begin(sending())
    await older.end(accepted())
    step = tuple(f"ALTER TABLE {table} ADD COLUMN colour TEXT DEFAULT 'blue'" for table in ("entries", "attempts"))
    monkeypatch.setattr(_postgres_schema, "MIGRATIONS", (*_postgres_schema.MIGRATIONS, step))
    journals = [open_journal() for _ in range(4)]
    async with anyio.create_task_group() as group:
        for number, journal in enumerate(journals):
            group.start_soon(journal.begin, sending(f"row-2{number}", f"call-2{number}"))
    assert await state_of(journals[0]) == "accepted"
    assert server.execute(f"SELECT count(*), min(colour) FROM {schema}.entries") == [(5, "blue")]
    assert server.execute(f"SELECT version FROM {schema}.journal_version") == [(2,)]


async def test_a_server_that_promises_less_has_to_promise_here(server: PostgresServer, open_journal: Any) -> None:
    found: list[Any] = []
    kind: Any = PostgresConnection
    real = kind.executemany

    def executemany(self: Any, *arguments: Any) -> Any:
        found.append(self.run_script("SELECT current_setting('synchronous_commit')"))
        return real(self, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kind, "executemany", executemany)
        await open_journal(source=f"{server.dsn()} options='-c synchronous_commit=off'").begin(sending())
    assert found == ["on"]


async def test_leases_are_told_by_the_clock_of_the_server(open_journal: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = open_journal(lease=20.0), open_journal()
    monkeypatch.setattr(time, "time", lambda: 1e6)  # this machine has a wrong clock
    await first.begin(sending())
    assert await state_of(second) == "sending"


async def test_changes_are_made_when_others_let_them_and_else_not(
    server: PostgresServer, schema: str, open_journal: Any
) -> None:
    journal = open_journal(_patience=0.3)
    await journal.begin(sending())
    with psycopg.connect(server.dsn()) as other:
        other.execute(f"LOCK TABLE {schema}.entries IN EXCLUSIVE MODE".encode())
        error = await failure_of(journal.begin(sending("row-2", "call-2")))
        assert error.kind == "busy"
    assert await journal.begin(sending("row-2", "call-2")) is None


async def test_a_commit_whose_answer_is_lost_is_made_once(
    server: PostgresServer, schema: str, open_journal: Any
) -> None:
    journal, left = open_journal(), [1]

    def cut() -> None:
        if left:
            left.pop()
            server.execute(END_SESSIONS)
            raise psycopg.OperationalError("server closed the connection unexpectedly")

    await journal.find(ORIGIN, "row-1")
    with after_each_commit(cut):
        assert await journal.begin(sending()) is None
        left.append(1)
        await journal.end(accepted())
    (entry,) = await journal.history("row-1")
    assert (entry.state, entry.attempt, entry.task_id) == ("accepted", 1, "task_1")
    assert server.execute(f"SELECT count(*) FROM {schema}.attempts") == [(0,)]


async def test_what_was_noted_though_its_call_was_told_otherwise_is_taken_back(open_journal: Any) -> None:
    journal, other = open_journal(_patience=0.0), open_journal()

    def cut() -> None:
        raise psycopg.OperationalError("server closed the connection unexpectedly")

    await journal.find(ORIGIN, "row-1")
    with after_each_commit(cut):
        error = await failure_of(journal.begin(sending()))
    assert error.kind == "server"
    await journal.begin(sending("row-2", "call-2"))
    assert await state_of(other) is None  # else it would be "sending" for as long as this process lives
    assert await other.begin(sending(call="call-3")) is None


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
async def test_a_server_that_is_restarted_amid_a_run(
    server: PostgresServer, sandbox: Sandbox, open_journal: Any, how: int
) -> None:
    sandbox.faults.add(Fault(SUBMIT, delay=0.02))
    journal = open_journal()

    def restart() -> None:
        for _ in range(2):
            time.sleep(0.15)
            server.stop(how)
            server.start()

    await submit_amid(restart, sandbox, journal)


async def submit_amid(trouble: Any, sandbox: Sandbox, journal: PostgresJournal) -> None:
    """300 submits while something happens, and 300 more with the same keys."""
    async with keyed(sandbox, journal, max_concurrency=10) as client:

        async def submit(number: int) -> None:
            clip: dict[str, Any] = {**CLIP, "prompt": f"row {number}"}
            ids[number] = (await client.video.submit(**clip, idempotency_key=f"row-{number}")).task_id

        ids: dict[int, str] = {}
        async with anyio.create_task_group() as group:
            group.start_soon(in_thread, trouble)
            for number in range(300):
                group.start_soon(submit, number)
        assert len(set(ids.values())) == 300
        first = dict(ids)
        for number in range(300):
            await submit(number)
    assert ids == first
    assert sandbox.ledger.accepted(SUBMIT) == 300
    assert sandbox.ledger.duplicates() == 0


async def test_a_standby_that_takes_over_amid_a_run(sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault(SUBMIT, delay=0.02))
    with postgres_server() as primary, standby_of(primary) as standby:

        def fail_over() -> None:
            time.sleep(0.3)
            primary.stop(signal.SIGKILL)
            standby.execute("SELECT pg_promote()")

        hosts = f"host=127.0.0.1,127.0.0.1 port={primary.port},{standby.port} target_session_attrs=read-write"
        async with PostgresJournal(f"{hosts} user=tester dbname=postgres connect_timeout=5") as journal:
            await submit_amid(fail_over, sandbox, journal)
        assert standby.execute("SELECT pg_is_in_recovery(), count(*) FROM relaydance.entries") == [(False, 300)]


class CrashAt:
    """Has something happen at one of the steps of all connections: before or after a statement."""

    def __init__(self, number: int, act: Any) -> None:
        self._left = number
        self._act = act
        self._patch = pytest.MonkeyPatch()

    @property
    def has_come(self) -> bool:
        """Whether there were so many steps."""
        return self._left <= 0

    def _step(self) -> None:
        self._left -= 1
        if self._left == 0:
            self._act()

    def __enter__(self) -> CrashAt:
        for name in ("execute", "executemany", "run_script"):
            real = getattr(PostgresConnection, name)

            def watched(*arguments: Any, _real: Any = real) -> Any:
                self._step()
                result = _real(*arguments)
                self._step()
                return result

            self._patch.setattr(PostgresConnection, name, watched)
        return self

    def __exit__(self, *failure: object) -> None:
        self._patch.undo()


@pytest.mark.parametrize("how", [signal.SIGQUIT, pytest.param(signal.SIGINT, marks=pytest.mark.torture)])
async def test_a_server_that_crashes_at_each_step_of_a_call(
    server: PostgresServer, sandbox: Sandbox, open_journal: Any, how: int
) -> None:
    def restart() -> None:
        server.stop(how)
        server.start()

    journal = open_journal()
    async with keyed(sandbox, journal) as client:
        await client.video.submit(**CLIP, idempotency_key="row-0")  # the tables are there
        number = 0
        has_come = True
        while has_come:
            number += 1
            clip: dict[str, Any] = {**CLIP, "prompt": f"row {number}"}
            with CrashAt(number, restart) as crash:
                task = await client.video.submit(**clip, idempotency_key=f"row-{number}")
            again = await client.video.submit(**clip, idempotency_key=f"row-{number}")
            assert (again.task_id, again.meta.replayed) == (task.task_id, True)
            has_come = crash.has_come
    assert number > 12
    assert sandbox.ledger.duplicates() == 0
    assert sandbox.ledger.accepted(SUBMIT) == 1 + number


async def test_a_server_that_goes_between_sending_and_the_answer_keeps_what_was_paid_for(
    server: PostgresServer, sandbox: Sandbox, open_journal: Any
) -> None:
    journal = open_journal(_patience=0.3)
    kind: Any = PostgresJournal
    real = kind.begin

    async def begin(self: Any, *arguments: Any) -> Any:
        found = await real(self, *arguments)
        await in_thread(server.stop)
        return found

    async with keyed(sandbox, journal) as client:
        try:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(kind, "begin", begin)
                error = await failure_of(client.video.submit(**CLIP, idempotency_key="row-1"))
        finally:
            await in_thread(server.start)
        assert (error.kind, error.maybe_accepted, error.result.task_id) == ("server", True, error.task_id)
        task = await client.video.submit(**CLIP, idempotency_key="row-1")
        assert (task.task_id, task.meta.replayed) == (error.task_id, True)
    assert sandbox.ledger.count() == 1


async def test_what_a_process_had_on_the_wire_is_in_doubt_once_its_lease_is_over(
    sandbox: Sandbox, open_journal: Any
) -> None:
    dead, journal = open_journal(lease=0.2), open_journal()
    sandbox.faults.add(Fault(SUBMIT, delay=1.5, after_accept=True))
    async with keyed(sandbox, dead) as client, keyed(sandbox, journal) as other, anyio.create_task_group() as group:
        group.start_soon(in_doubt, client)
        await wait_until(lambda: sandbox.ledger.accepted(SUBMIT) > 0)
        await dead.aclose()  # it renews its lease no more, as if its machine were gone
        await anyio.sleep(0.3)
        with pytest.raises(SubmissionInDoubtError, match="its process ended before the answer came"):
            await other.video.submit(**CLIP, idempotency_key="row-1")
        group.cancel_scope.cancel()
    assert sandbox.ledger.count() == 1


async def in_doubt(client: Any) -> None:
    await client.video.submit(**CLIP, idempotency_key="row-1")


async def test_a_pool_lends_one_connection_and_gets_it_back(server: PostgresServer, open_journal: Any) -> None:
    with ConnectionPool(server.dsn(), min_size=1, max_size=1, timeout=1) as pool:
        journal = open_journal(source=pool)
        await journal.begin(sending())
        server.execute(END_SESSIONS)
        await journal.end(accepted())
        assert await state_of(journal) == "accepted"
        await journal.aclose()
        with pool.connection() as connection:
            assert not connection.autocommit
            assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
async def test_a_forked_child_has_a_session_of_its_own(server: PostgresServer, open_journal: Any) -> None:
    journal = open_journal()
    await journal.begin(sending())
    process = await anyio.run_process([sys.executable, "-c", _FORKS, server.dsn()], check=False)
    assert (process.returncode, process.stdout.decode().split()) == (0, ["child", "parent"]), process.stderr.decode()


_FORKS = """
import asyncio, os, sys
from relaydance_async import PostgresJournal
from tests.journal.support import ORIGIN, sending, accepted

async def main(journal, key):
    assert await journal.begin(sending(key, key)) is None
    await journal.end(accepted(key, key, key))
    assert (await journal.find(ORIGIN, key)).state == "accepted"

journal = PostgresJournal(sys.argv[1], schema="forks")
asyncio.run(main(journal, "before"))
if os.fork() == 0:
    asyncio.run(main(journal, "child"))
    print("child", flush=True)
    os._exit(0)
os.wait()
asyncio.run(main(journal, "parent"))
print("parent")
"""
