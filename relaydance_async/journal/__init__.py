"""Journals: what became of billed requests, remembered through crashes, by their idempotency keys.

_journal    what a journal has to do
_sqlite     the one in a file
_postgres   the one in a PostgreSQL database, for several machines

_committed  what the two share; its parts:
_committer  group commit, in a thread
_rows       the entries, and the ways in which they change
_owner      who sends, and whether it lives
_replies    the way back into event loops

_store      what a database has to do for that
_database   SQLite's file: opened, checked, migrated, copied
_failures   what SQLite's errors mean
_postgres_store  PostgreSQL's schema, and what its errors mean
"""

from importlib import import_module
from typing import TYPE_CHECKING

from ._journal import AcceptedRequest, Ending, Journal, Sending, TaskNote

if TYPE_CHECKING:
    from ._postgres import PostgresJournal
    from ._sqlite import SqliteJournal

__all__ = ["AcceptedRequest", "Ending", "Journal", "PostgresJournal", "Sending", "SqliteJournal", "TaskNote"]

# Most programs have no journal, and need no database.
_LATE = {"PostgresJournal": "._postgres", "SqliteJournal": "._sqlite"}

if not TYPE_CHECKING:  # type checkers would take any name

    def __getattr__(name: str) -> object:
        if name not in _LATE:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value: object = getattr(import_module(_LATE[name], __name__), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
