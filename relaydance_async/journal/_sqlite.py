"""`SqliteJournal`: a journal in one file, for the processes of one machine."""

from __future__ import annotations

import os
import sqlite3
import time
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from .._threads import in_thread
from ..errors import ConfigurationError, InvalidInputError, JournalError
from ..models.journal import EntryState, JournalEntry
from ._committer import Change, Committer, Job, Look
from ._database import Durability, copy_database, open_database
from ._failures import as_journal_error
from ._journal import AcceptedRequest, Ending, Sending, TaskNote
from ._owner import Standing
from ._replies import reply_here
from ._rows import Rows

P = ParamSpec("P")
T = TypeVar("T")

_PAGE = 500
"""Entries that are read at once."""
_BUSY_SECONDS = 10.0


class SqliteJournal:
    """A journal in one SQLite file (WAL), for any number of processes of one machine.

        client = AsyncRelayDance(journal=SqliteJournal("run.db"))

    The file is made when it is first needed, with mode 0600. All work on the disk is done in a thread of the journal's
    own, which takes together what comes at the same time. It can be used from several event loops, and in a forked
    child, which opens the file for itself. What is left to write is written at the interpreter's exit.

    Args:
        path: of the file. Beside it are two more, `-wal` and `-shm`, while it is open. It must be on a local disk.
        durability: "power": an entry outlasts a power cut, as far as the disk keeps its promises. "process": it
            outlasts the process only, which costs a slow disk less.
        namespace: keys of one namespace are apart from those of others in the same file.
        keep_requests: keep requests, with their prompts; else only hashes of them.
        lease: seconds after which a process that has not been heard of counts as dead, where it can't be looked up.
            What it had on the wire is in doubt then.

    Raises:
        ConfigurationError: a value that can't be.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        durability: Durability = "power",
        namespace: str = "",
        keep_requests: bool = False,
        lease: float = 20.0,
        _busy_seconds: float = _BUSY_SECONDS,
        _now: Callable[[], float] = time.time,
    ) -> None:
        if durability not in ("power", "process"):
            raise ConfigurationError(f"durability must be 'power' or 'process', not {durability!r}")
        if not 0 < lease < 1e9:
            raise ConfigurationError(f"lease must be a number of seconds more than 0, not {lease!r}")
        try:
            self._path = Path(path).absolute()
        except TypeError:
            raise ConfigurationError(f"path must be that of a file, not {path!r:.80}") from None
        self.keep_requests: bool = keep_requests
        self._durability: Durability = durability
        self._namespace = namespace
        self._lease = lease
        self._busy_seconds = _busy_seconds
        self._now = _now
        self._committer = self._begin()
        _all.add(self)

    def _begin(self) -> Committer:
        # None of it may know the journal, or that would never become garbage.
        committer = Committer(
            connect=partial(open_database, self._path, self._durability, self._busy_seconds),
            path=str(self._path),
            namespace=self._namespace,
            standing=Standing(self._lease),
            busy_seconds=self._busy_seconds,
            now=self._now,
        )
        self._finalizer = weakref.finalize(self, committer.close)
        return committer

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._path}>"

    async def _ask(self, job: Job) -> Any:
        reply = reply_here()
        self._committer.ask(job, reply)
        return await reply.get()

    def _ask_quietly(self, job: Job) -> None:
        with suppress(JournalError):  # it has been closed: what was on the wire is in doubt
            self._committer.ask(job, None)

    async def _look(self, method: Callable[Concatenate[Rows, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        def work(rows: Rows) -> T:
            return method(rows, *args, **kwargs)

        found: T = await self._ask(Look(work))
        return found

    async def _change(self, method: Callable[Concatenate[Rows, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        def work(rows: Rows) -> T:
            return method(rows, *args, **kwargs)

        found: T = await self._ask(Change(work))
        return found

    async def find(self, origin: str, key: str) -> JournalEntry | None:
        """See `Journal`, here and below."""
        return await self._look(Rows.find, origin, key)

    async def begin(self, sending: Sending) -> JournalEntry | None:
        """See `Journal`."""
        found: JournalEntry | None = await self._ask(sending)
        return found

    async def end(self, ending: Ending) -> None:
        """See `Journal`."""
        await self._ask(ending)

    def end_soon(self, ending: Ending) -> None:
        """See `Journal`."""
        self._ask_quietly(ending)

    def withdraw_soon(self, origin: str, key: str, call: str) -> None:
        """See `Journal`."""

        def work(rows: Rows) -> None:
            rows.withdraw(origin, key, call)

        self._ask_quietly(Change(work))

    async def find_task(self, origin: str, task_id: str) -> JournalEntry | None:
        """See `Journal`."""
        return await self._look(Rows.find_task, origin, task_id)

    def note_task_soon(self, note: TaskNote) -> None:
        """See `Journal`."""
        self._ask_quietly(note)

    async def note_callback(self, origin: str, callback: str, note: TaskNote) -> JournalEntry | None:
        """See `Journal`."""
        return await self._change(Rows.note_callback, origin, callback, note)

    async def decide(self, entry: JournalEntry, ending: Ending) -> bool:
        """See `Journal`."""
        return await self._change(Rows.decide, entry, ending)

    async def entries(
        self, *, state: EntryState | None = None, origin: str | None = None
    ) -> AsyncIterator[JournalEntry]:
        """The last attempt of each key, in the order of the keys.

        Args:
            state: only those in this state.
            origin: only those of this API.
        """
        after: tuple[str, str] | None = ("", "")
        while after is not None:
            page, after = await self._look(Rows.page, state, origin, after, _PAGE)
            for entry in page:
                yield entry

    async def history(self, key: str, *, origin: str | None = None) -> list[JournalEntry]:
        """All attempts of a key, the last one at the end; none when there is no entry."""
        return await self._look(Rows.history, key, origin)

    async def accepted_requests(self, origin: str, since: float) -> list[AcceptedRequest]:
        """See `Journal`."""
        return await self._look(Rows.accepted_requests, origin, since)

    async def settle(self, key: str, *, task_id: str, origin: str | None = None) -> JournalEntry:
        """Say by hand that the request of a key was accepted. Its answer is then this task.

        Args:
            key: that is in doubt.
            task_id: from the console, or from a delivery.
            origin: of the API, if the key was used with several.

        Raises:
            JournalError: there is no such key, or it is being sent right now, or was accepted as another task.
        """
        if not task_id:
            raise InvalidInputError("task_id must be a non-empty string")
        return await self._change(Rows.decide_by_hand, key, origin, "accepted", task_id)

    async def release(self, key: str, *, origin: str | None = None) -> JournalEntry:
        """Say by hand that the request of a key was not accepted. It may be sent again then, and is paid for twice if
        that is not true.

        Args:
            key: that is in doubt.
            origin: of the API, if the key was used with several.

        Raises:
            JournalError: there is no such key, or it is being sent right now, or was accepted.
        """
        return await self._change(Rows.decide_by_hand, key, origin, "refused", None)

    async def forget(self, *, older_than: float) -> int:
        """Remove the keys that were accepted or refused so many seconds ago, with their history. Then they are free: a
        call with one is sent, and paid for. What is being sent or in doubt stays.

        Returns:
            How many keys.
        """
        if not older_than >= 0:
            raise InvalidInputError(f"older_than must be seconds, 0 or more, not {older_than!r}")
        return await self._change(Rows.forget, older_than)

    async def backup(self, path: str | os.PathLike[str]) -> None:
        """Copy the journal, while it is used, to a new file.

        Raises:
            JournalError: there is a file already, or it can't be written.
        """
        await self._look(Rows.find, "", "")  # so that there is a file
        try:
            await in_thread(partial(copy_database, self._path, Path(path)))
        except FileExistsError:
            raise JournalError(f"there is a file at {path} already", kind="path") from None
        except (OSError, sqlite3.Error) as error:
            raise as_journal_error(error, str(path)) from None

    async def aclose(self) -> None:
        """Write what is to be written, and close the file. Calls that need the journal fail from then on, before
        anything is sent."""
        await in_thread(self._committer.close)
        self._finalizer.detach()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __reduce__(self) -> Any:
        raise TypeError("a journal is not pickled; make it where it is used")

    def _after_fork(self) -> None:
        # The parent's thread does not exist here, and its connection must not be touched: closing it would remove the
        # parent's locks on the file (SQLite, "How To Corrupt", 2.7).
        self._finalizer.detach()
        _of_parent.append(self._committer)
        self._committer = self._begin()


_all: weakref.WeakSet[SqliteJournal] = weakref.WeakSet()
_of_parent: list[Committer] = []
"""In a forked child, what its parent had."""


def _after_fork() -> None:
    for journal in list(_all):
        journal._after_fork()  # pyright: ignore[reportPrivateUsage]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
