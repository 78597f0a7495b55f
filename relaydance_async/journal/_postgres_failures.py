"""What an error of PostgreSQL's means."""

from __future__ import annotations

import psycopg

from ..errors import JournalError, JournalErrorKind

_PASSING = ("08", "57P", "40", "25006", "25P03", "53300")
"""What ends by itself, by the beginnings of SQLSTATE (PostgreSQL, appendix A): a connection that is lost, a server that
is shut down or starts, a deadlock, a server that has become a standby, a transaction that was thrown out, too many
connections."""

_PASSING_WORDS = ("the database system is", "too many", "remaining connection slots")
"""Of a server that lets nobody in yet: of a failed connect libpq tells no SQLSTATE."""

_FAILURES: tuple[tuple[str, JournalErrorKind, str], ...] = (
    ("53100", "full", "can't grow: the server's disk is full"),
    ("53", "busy", "can't be used: the server is out of resources"),
    ("55P03", "busy", "is busy: others hold it for too long"),
    ("40", "busy", "is busy"),
    ("25006", "server", "may not be written: the server is a standby, or read-only"),
    ("25P03", "server", "can't be reached"),
    ("28", "server", "may not be used by this user"),
    ("3D", "server", "may not be used"),
    ("42501", "server", "may not be used by this user"),
    ("08", "server", "can't be reached"),
    ("57", "server", "can't be reached"),
    ("58", "disk", "can't be read or written"),
    ("XX", "corrupt", "is damaged"),
    ("42P01", "corrupt", "lacks a table"),
    ("42703", "corrupt", "lacks a column"),
)


def will_pass(error: Exception) -> bool:
    """Whether the same may well succeed over a new connection."""
    if not isinstance(error, psycopg.Error):
        return False
    if error.sqlstate is not None:
        return error.sqlstate.startswith(_PASSING)
    if not isinstance(error, psycopg.OperationalError):
        return False
    text = str(error)
    return "FATAL:" not in text or any(words in text for words in _PASSING_WORDS)


def as_journal_error(error: Exception, place: str) -> JournalError:
    """The error for a caller.

    Args:
        place: for messages.
    """
    if isinstance(error, JournalError):
        return JournalError(error.message, kind=error.kind)
    if not isinstance(error, psycopg.Error):
        return JournalError(f"the journal in {place} failed: {error}", kind="unknown")
    kind, what = _meaning_of(error)
    # Not the server's details, which quote rows.
    said = error.diag.message_primary or " ".join(str(error).split())
    return JournalError(f"the journal in {place} {what}: {said}", kind=kind)


def _meaning_of(error: psycopg.Error) -> tuple[JournalErrorKind, str]:
    if error.sqlstate is None:
        is_lost = isinstance(error, psycopg.OperationalError)
        return ("server", "can't be reached") if is_lost else ("unknown", "failed")
    for beginning, kind, what in _FAILURES:
        if error.sqlstate.startswith(beginning):
            return kind, what
    return "unknown", "failed"
