"""`SqliteJournal` does what every journal does."""

from tests.journal.contract import *  # noqa: F403
