"""Group commit: one thread with one connection, in which all changes that are asked for meanwhile become one commit.

    asked in any loop -> queue -> [notes, begins, endings, other changes] -> COMMIT -> [looks] -> answered

A commit takes as long for one change as for a thousand. So whatever comes while one is under way waits for the next.
"""

from __future__ import annotations

import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, TypeAlias

from ..errors import JournalError
from ._failures import BROKEN, as_journal_error, is_of_surroundings
from ._journal import Ending, Sending, TaskNote
from ._owner import Standing
from ._replies import Answer, Reply, deliver
from ._rows import Rows

log = logging.getLogger("relaydance_async")

_MOST = 1_000
"""Changes in one commit. Those of more would keep the rest waiting for long."""
_CLOSE_SECONDS = 30.0
"""For the last commit. A disk that does not answer keeps no program from ending."""

Work: TypeAlias = Callable[[Rows], Any]
"""What reads or changes rows."""


class Change(NamedTuple):
    """Other work, within a transaction."""

    work: Work


class Look(NamedTuple):
    """Work that changes nothing: after the commit, so that it sees what was asked for before."""

    work: Work


Job: TypeAlias = TaskNote | Sending | Ending | Change | Look
_Asked: TypeAlias = tuple[Job, Reply | None]


class Committer:
    """The thread of a journal. It begins with the first job.

    Args:
        connect: opens the file.
        path: of the file, for messages.
        namespace: of the keys.
        standing: of this owner.
        busy_seconds: how long others may hold the file.
        now: Unix time in seconds.
    """

    def __init__(
        self,
        connect: Callable[[], sqlite3.Connection],
        path: str,
        namespace: str,
        standing: Standing,
        busy_seconds: float,
        now: Callable[[], float],
    ) -> None:
        self._connect = connect
        self._path = path
        self._namespace = namespace
        self._standing = standing
        self._busy_seconds = busy_seconds
        self._now = now
        self._queue: queue.SimpleQueue[_Asked | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._sql: sqlite3.Connection | None = None
        self._rows: Rows | None = None
        self._owed: dict[str, Ending] = {}
        """Of calls that were accepted, and could not be noted."""
        self._is_closed = False

    def ask(self, job: Job, reply: Reply | None) -> None:
        """Have a job done.

        Raises:
            JournalError: it is closed.
        """
        if self._thread is None:
            self._start()
        if self._is_closed:
            raise JournalError("the journal has been closed", kind="closed")
        self._queue.put((job, reply))

    def _start(self) -> None:
        with self._lock:
            if self._thread is None and not self._is_closed:
                # A daemon, for the interpreter waits for all others before it would tell this one to end.
                self._thread = threading.Thread(target=self._run, name="relaydance-journal", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Write what is to be written, and close the file. Blocks. Safe to call twice."""
        with self._lock:
            self._is_closed = True
            thread = self._thread
        if thread is not None and thread.is_alive():
            self._queue.put(None)
            thread.join(_CLOSE_SECONDS)

    def _run(self) -> None:
        try:
            while (asked := self._next()) is not None:
                if asked:
                    deliver(self._do(asked))
                else:
                    self._do_quietly([])
        finally:
            self._do_quietly([])
            self._let_go()
            self._refuse_the_rest()

    def _next(self) -> list[_Asked] | None:
        """All that was asked for since, waiting for the first; none after a while in which the lease is to be renewed.
        None: it is closed."""
        keeps = self._owed or self._standing.on_the_wire
        asked: list[_Asked] = []
        with suppress(queue.Empty):
            item = self._queue.get(timeout=self._standing.lease / 4 if keeps else None)
            while item is not None:
                asked.append(item)
                if len(asked) == _MOST:
                    return asked
                item = self._queue.get_nowait()
            if not asked:
                return None
            self._queue.put(None)  # for the next time
        return asked

    def _do_quietly(self, asked: list[_Asked]) -> None:
        if self._rows is not None:
            with suppress(Exception):
                self._commit(asked)

    def _do(self, asked: list[_Asked]) -> list[Answer]:
        try:
            return self._commit(asked)
        except Exception as error:
            if len(asked) == 1 or is_of_surroundings(error):
                return self._fail(asked, error)
        # One of them is the reason; the others shall not suffer from it.
        return [answer for one in asked for answer in self._do([one])]

    def _fail(self, asked: list[_Asked], error: Exception) -> list[Answer]:
        for job, _ in asked:
            if isinstance(job, Ending):
                if job.state == "accepted":
                    self._owed[job.call] = job
                self._standing.on_the_wire.discard(job.call)
        if any(reply is None for _, reply in asked):
            log.warning("the journal %s could not note what became of a call: %s", self._path, error)
        failure = as_journal_error(error, self._path)
        if failure.kind in BROKEN:
            self._let_go()
        return [
            (reply, None, JournalError(failure.message, kind=failure.kind)) for _, reply in asked if reply is not None
        ]

    def _commit(self, asked: list[_Asked]) -> list[Answer]:
        rows = self._rows or self._open()
        now = rows.now = self._now()
        notes = [item for item in asked if isinstance(item[0], TaskNote)]
        begins = [item for item in asked if isinstance(item[0], Sending)]
        endings = [item for item in asked if isinstance(item[0], Ending)]
        changes = [item for item in asked if isinstance(item[0], Change)]
        results: list[tuple[_Asked, Any]] = []
        if notes or begins or endings or changes or self._owed or not self._standing.keeps_quiet(now):
            results += self._change(rows, notes, begins, endings, changes)
        for item in asked:
            if isinstance(item[0], Look):
                results.append((item, item[0].work(rows)))
        return [
            (reply, None, result) if isinstance(result, JournalError) else (reply, result, None)
            for (_, reply), result in results
            if reply is not None
        ]

    def _change(
        self,
        rows: Rows,
        notes: list[_Asked],
        begins: list[_Asked],
        endings: list[_Asked],
        changes: list[_Asked],
    ) -> list[tuple[_Asked, Any]]:
        assert self._sql is not None
        results: list[tuple[_Asked, Any]] = []
        self._sql.execute("BEGIN IMMEDIATE")
        before, lease = set(self._standing.on_the_wire), self._standing.owner
        try:
            rows.renew()
            if notes:
                rows.note_tasks(_jobs(notes))
                results += [(item, None) for item in notes]
            if begins:
                results += zip(begins, rows.begin(_jobs(begins)), strict=True)
            if endings or self._owed:
                rows.end([*self._owed.values(), *_jobs(endings)])
                results += [(item, None) for item in endings]
            for item in changes:
                assert isinstance(item[0], Change)
                results.append((item, _or_refusal(item[0].work, rows)))
            self._sql.execute("COMMIT")
        except BaseException:
            self._standing.on_the_wire, self._standing.owner = before, lease
            with suppress(sqlite3.Error):  # some errors have rolled it back already
                self._sql.execute("ROLLBACK")
            raise
        self._owed.clear()
        return results

    def _open(self) -> Rows:
        ends = time.monotonic() + self._busy_seconds
        while True:
            try:
                self._sql = self._connect()
                break
            except sqlite3.OperationalError as error:
                # SQLite does not wait for who changes a file to WAL at the same time.
                is_busy = as_journal_error(error, self._path).kind == "busy"
                if not is_busy or time.monotonic() > ends:
                    raise
            time.sleep(0.01)
        self._rows = Rows(self._sql, self._namespace, self._standing)
        return self._rows

    def _let_go(self) -> None:
        sql, self._sql, self._rows = self._sql, None, None
        if sql is not None:
            with suppress(sqlite3.Error):
                sql.close()

    def _refuse_the_rest(self) -> None:
        rest: list[_Asked] = []
        with suppress(queue.Empty):
            while True:
                item = self._queue.get_nowait()
                if item is not None:
                    rest.append(item)
        deliver(self._fail(rest, JournalError("the journal has been closed", kind="closed")))


def _jobs(asked: list[_Asked]) -> Sequence[Any]:
    return [job for job, _ in asked]


def _or_refusal(work: Work, rows: Rows) -> Any:
    """What the work gives, or why it can't be done: that is no reason to undo the others."""
    try:
        return work(rows)
    except JournalError as refusal:
        return refusal.with_traceback(None)
