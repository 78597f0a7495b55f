"""`PostgresJournal` does what every journal does."""

from tests.journal.contract import *  # noqa: F403
from tests.journal.postgres_fixtures import *  # noqa: F403
