"""What CONTRIBUTING.md says of stores: one of a journal, one of shared limits, each made of what its room offers."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import anyio.to_thread
import pytest

from relaydance_async import JournalError
from relaydance_async._limits._sharing import Sharing
from relaydance_async._sansio.sharing import Grant, Kept, Report, exchange
from relaydance_async.journal._committed import CommittedJournal
from relaydance_async.journal._database import MIGRATIONS
from relaydance_async.journal._store import Connection
from relaydance_async.sandbox import Sandbox
from tests.journal.support import CLIP
from tests.kit.calls import client_of, submit_clip
from tests.kit.routes import SUBMIT

pytestmark = pytest.mark.anyio


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(time_scale=0) as running:
        yield running


class Cupboard:
    """A `Store` of a journal: a file that is nobody else's."""

    patience = 1.0

    def __init__(self, path: Path) -> None:
        self.place: str = str(path)

    def connect(self) -> Connection:
        connection = sqlite3.connect(self.place, isolation_level=None, check_same_thread=False)
        if connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,):
            for migrate in MIGRATIONS:
                migrate(connection)
        return connection

    def begin(self, connection: Connection) -> None:
        connection.execute("BEGIN IMMEDIATE")

    def now(self) -> float:
        return time.time()

    def will_pass(self, error: Exception) -> bool:
        return False

    def is_of_surroundings(self, error: Exception) -> bool:
        return True

    def as_journal_error(self, error: Exception) -> JournalError:
        return JournalError(f"the cupboard {self.place} is locked", kind="busy")


class CupboardJournal(CommittedJournal):
    """The journal over it."""

    def __init__(self, path: Path) -> None:
        super().__init__(Cupboard(path), namespace="", keep_requests=False, lease=20)


async def test_a_store_of_a_journal(sandbox: Sandbox, tmp_path: Path) -> None:
    tasks: list[str] = []
    for _ in range(2):  # the second as a process that comes later
        journal = CupboardJournal(tmp_path / "cupboard.db")
        async with client_of(sandbox, journal=journal) as client:
            tasks.append((await client.video.submit(**CLIP, idempotency_key="row-1")).id)
        await journal.aclose()
    assert tasks[0] == tasks[1]
    assert sandbox.ledger.accepted(SUBMIT) == 1


async def test_nothing_is_sent_when_the_store_of_a_journal_fails(sandbox: Sandbox, tmp_path: Path) -> None:
    journal = CupboardJournal(tmp_path / "no such directory" / "cupboard.db")
    async with client_of(sandbox, journal=journal) as client:
        with pytest.raises(JournalError, match="is locked"):
            await client.video.submit(**CLIP, idempotency_key="row-1")
    await journal.aclose()
    assert sandbox.ledger.count() == 0


@dataclass
class Board:
    """A `Store` of shared limits."""

    problem: Exception | None = None
    kept: dict[str, Kept] = field(default_factory=dict[str, Kept])
    asked: threading.Event = field(default_factory=threading.Event)
    left: list[str] = field(default_factory=list[str])

    async def exchange(self, reports: Sequence[Report]) -> list[Grant]:
        self.asked.set()
        if self.problem is not None:
            raise self.problem
        return [exchange(self.kept.setdefault(report.name, Kept()), report, time.monotonic()) for report in reports]

    async def release(self, members: Sequence[tuple[str, str]]) -> None:
        self.left += [name for name, _ in members]

    async def aclose(self) -> None:
        pass


async def use(board: Board, sandbox: Sandbox) -> None:
    shared = Sharing(lambda: board)
    async with client_of(sandbox, shared_limits=shared) as client:
        await submit_clip(client)
        assert await anyio.to_thread.run_sync(board.asked.wait, 10)
    await shared.aclose()


async def test_a_store_of_shared_limits(sandbox: Sandbox) -> None:
    board = Board()
    await use(board, sandbox)
    assert len(board.left) == 2  # of the model, and of the whole key
    assert 0 < len(board.kept) <= 2  # the client may go before it asked for both
    assert set(board.kept) <= set(board.left)
    assert sandbox.api_key not in str(board.kept)


async def test_no_call_fails_with_the_store_of_shared_limits(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    await use(Board(problem=OSError("redis://user:secret@host")), sandbox)
    assert sandbox.ledger.accepted(SUBMIT) == 1
    assert "limits can't be shared with other processes now (OSError)" in caplog.text
    assert "secret" not in caplog.text
