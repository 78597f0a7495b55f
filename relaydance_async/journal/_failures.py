"""What an error of SQLite's means."""

from __future__ import annotations

import sqlite3

from ..errors import JournalError, JournalErrorKind

_KINDS: dict[int, tuple[JournalErrorKind, str]] = {
    sqlite3.SQLITE_BUSY: ("busy", "is busy"),
    sqlite3.SQLITE_LOCKED: ("busy", "is locked"),
    sqlite3.SQLITE_FULL: ("full", "can't grow: the disk is full"),
    sqlite3.SQLITE_IOERR: ("disk", "can't be read or written"),
    sqlite3.SQLITE_CANTOPEN: ("path", "can't be opened"),
    sqlite3.SQLITE_READONLY: ("path", "may not be written"),
    sqlite3.SQLITE_PERM: ("path", "may not be opened"),
    sqlite3.SQLITE_CORRUPT: ("corrupt", "is damaged"),
    sqlite3.SQLITE_NOTADB: ("corrupt", "is no database, or damaged"),
}
"""By the primary result code."""

BROKEN: frozenset[JournalErrorKind] = frozenset({"disk", "path", "corrupt", "closed"})
"""After these the connection is opened anew."""


def as_journal_error(error: Exception, path: str) -> JournalError:
    """The error for a caller."""
    if isinstance(error, JournalError):
        return JournalError(error.message, kind=error.kind)
    if isinstance(error, OSError):
        kind: JournalErrorKind = "full" if error.errno in _FULL else "path"
        return JournalError(f"the journal {path} can't be opened: {error.strerror or error}", kind=kind)
    code = getattr(error, "sqlite_errorcode", None)  # none of what the module itself says
    kind, what = _KINDS.get(code & 0xFF, ("unknown", "can't be used")) if code is not None else ("unknown", "failed")
    return JournalError(f"the journal {path} {what}: {error}", kind=kind)


def is_of_surroundings(error: Exception) -> bool:
    """Whether it would have met any other change too."""
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(error, OSError | JournalError) or (code is not None and code & 0xFF in _KINDS)


_FULL = frozenset({28, 122})
"""ENOSPC and EDQUOT, which Windows has no name for."""
