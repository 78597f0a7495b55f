"""Journals: what became of billed requests, remembered through crashes, by their idempotency keys.

_journal    what a journal has to do
_sqlite     the one in a file; its parts:
_committer  group commit, in a thread
_rows       the entries, and the ways in which they change
_owner      who sends, and whether it lives
_database   the file: opened, checked, migrated, copied
_replies    the way back into event loops
_failures   what SQLite's errors mean
"""

from ._journal import AcceptedRequest, Ending, Journal, Sending, TaskNote
from ._sqlite import SqliteJournal

__all__ = ["AcceptedRequest", "Ending", "Journal", "Sending", "SqliteJournal", "TaskNote"]
