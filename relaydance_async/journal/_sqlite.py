"""`SqliteJournal`: a journal in one file, for the processes of one machine."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from .._threads import in_thread
from ..errors import ConfigurationError, JournalError
from ._committed import CommittedJournal
from ._database import Durability, copy_database, open_database
from ._failures import as_journal_error, is_of_surroundings
from ._rows import Rows
from ._store import Connection

_BUSY_SECONDS = 10.0


class SqliteStore:
    """One file. See `Store`.

    Args:
        path: of the file.
        durability: see `SqliteJournal`.
        patience: seconds for which others may hold the file.
        now: Unix time in seconds.
    """

    def __init__(self, path: Path, durability: Durability, patience: float, now: Callable[[], float]) -> None:
        self.place: str = str(path)
        self.patience: float = patience
        self._path = path
        self._durability: Durability = durability
        self._now = now

    def connect(self) -> sqlite3.Connection:
        """See `Store`."""
        ends = time.monotonic() + self.patience
        while True:
            try:
                return open_database(self._path, self._durability, self.patience)
            except sqlite3.OperationalError as error:
                # SQLite does not wait for who changes a file to WAL at the same time.
                if self.as_journal_error(error).kind != "busy" or time.monotonic() > ends:
                    raise
            time.sleep(0.01)

    def begin(self, connection: Connection) -> None:
        """See `Store`."""
        connection.execute("BEGIN IMMEDIATE")

    def now(self) -> float:
        """See `Store`."""
        return self._now()

    def will_pass(self, error: Exception) -> bool:
        """See `Store`: SQLite has waited itself, and a commit that fails was not made."""
        return False

    def is_of_surroundings(self, error: Exception) -> bool:
        """See `Store`."""
        return is_of_surroundings(error)

    def as_journal_error(self, error: Exception) -> JournalError:
        """See `Store`."""
        return as_journal_error(error, self.place)


class SqliteJournal(CommittedJournal):
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

    _patience: float = _BUSY_SECONDS
    _now: Callable[[], float] = staticmethod(time.time)

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        durability: Durability = "power",
        namespace: str = "",
        keep_requests: bool = False,
        lease: float = 20.0,
    ) -> None:
        if durability not in ("power", "process"):
            raise ConfigurationError(f"durability must be 'power' or 'process', not {durability!r}")
        try:
            self._path = Path(path).absolute()
        except TypeError:
            raise ConfigurationError(f"path must be that of a file, not {path!r:.80}") from None
        store = SqliteStore(self._path, durability, self._patience, self._now)
        super().__init__(store, namespace=namespace, keep_requests=keep_requests, lease=lease)

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
