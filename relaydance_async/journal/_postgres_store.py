"""A schema of a PostgreSQL server, as a `Store`: connected to, locked, and timed by the server's clock."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import psycopg
from psycopg.conninfo import conninfo_to_dict

from ..errors import ConfigurationError, JournalError
from ._postgres_connection import PostgresConnection
from ._postgres_failures import as_journal_error, will_pass
from ._postgres_schema import lock_of, migrate
from ._store import Connection

if TYPE_CHECKING:
    from psycopg_pool import ConnectionPool

    Source: TypeAlias = str | ConnectionPool[Any]
    """A connection string of libpq's, or a pool."""

# Changes of one namespace come one after the other, as SQLite's do. Who is stuck in one is thrown out by the server,
# which undoes it. A server that is set to promise less would lose a `sending` in a crash, and its request would be sent
# twice: so it has to promise here.
_BEGIN = """
    BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
    SET LOCAL lock_timeout = {patience};
    SET LOCAL idle_in_transaction_session_timeout = {patience};
    SELECT set_config('synchronous_commit', 'on', true)
        WHERE current_setting('synchronous_commit') IN ('off', 'local', 'remote_write');
    SELECT pg_advisory_xact_lock({lock});
"""
_NOW = "SELECT CAST(extract(epoch FROM clock_timestamp()) AS DOUBLE PRECISION)"


class PostgresStore:
    """One schema. See `Store`.

    Args:
        source: a connection string, or a pool, of which one connection is taken for as long as the journal is used.
        schema: is made when it is not there.
        namespace: of the keys.
        patience: seconds for which a server that is away, and others who change the namespace, are waited for.
        now: Unix time in seconds; None: the server's.

    Raises:
        ConfigurationError: `source` is neither.
    """

    def __init__(
        self, source: Source, schema: str, namespace: str, patience: float, now: Callable[[], float] | None
    ) -> None:
        self.place: str = f"{_place_of(source)}, schema {schema!r}"
        self.patience: float = patience
        self._source: Source = source
        self._schema = schema
        self._begin = _BEGIN.format(patience=round(patience * 1000), lock=lock_of(schema, namespace)) + _NOW
        self._now = now
        self._clock_offset = 0.0
        """Seconds from this machine's monotonic clock to the server's."""
        self._pid = os.getpid()

    def connect(self) -> PostgresConnection:
        """See `Store`."""
        server, let_go = self._take()
        try:
            connection = PostgresConnection(server, self._schema, let_go)
            migrate(connection, self.place)
            self._set_clock(connection.run_script(_NOW))
        except BaseException:
            let_go()
            raise
        return connection

    def _take(self) -> tuple[psycopg.Connection[Any], Callable[[], None]]:
        if isinstance(self._source, str):
            own = psycopg.connect(self._source, autocommit=True)
            return own, own.close
        if self._pid != os.getpid():
            raise JournalError("a pool is its process's own: a forked child needs a pool and a journal", kind="closed")
        pool = self._source
        server = pool.getconn(self.patience)

        def give_back() -> None:
            try:
                if not server.closed:
                    server.rollback()
                    server.autocommit = was
            finally:
                pool.putconn(server)

        was = server.autocommit
        server.autocommit = True
        return server, give_back

    def begin(self, connection: Connection) -> None:
        """See `Store`. It takes one round trip."""
        assert isinstance(connection, PostgresConnection)
        self._set_clock(connection.run_script(self._begin))

    def _set_clock(self, now: float) -> None:
        self._clock_offset = now - time.monotonic()

    def now(self) -> float:
        """See `Store`: the server's clock, as it was when it was last asked, and the time since."""
        return self._now() if self._now is not None else time.monotonic() + self._clock_offset

    def will_pass(self, error: Exception) -> bool:
        """See `Store`."""
        return will_pass(error)

    def is_of_surroundings(self, error: Exception) -> bool:
        """See `Store`."""
        return self.as_journal_error(error).kind != "unknown"

    def as_journal_error(self, error: Exception) -> JournalError:
        """See `Store`."""
        return as_journal_error(error, self.place)


def _place_of(source: Source) -> str:
    """The server, for messages: without the password."""
    pool: Any = source
    if isinstance(source, str):
        text = source
    elif not hasattr(pool, "getconn") or not issubclass(pool.connection_class, psycopg.Connection):
        raise ConfigurationError(
            "source must be a connection string or a psycopg_pool.ConnectionPool (not an async one, for the journal has"
            f" a thread of its own), not {type(source).__name__}"
        )
    elif not isinstance(pool.conninfo, str):
        return "PostgreSQL"  # a function gives it, each time it is needed
    else:
        text = pool.conninfo
    try:
        facts = conninfo_to_dict(text)
    except psycopg.ProgrammingError:  # whose words may have a password in them
        example = "'postgresql://user@host/database'"
        raise ConfigurationError(f"source must be a connection string of libpq's, such as {example}") from None
    host = facts.get("host") or facts.get("hostaddr") or os.environ.get("PGHOST") or "the local socket"
    return f"PostgreSQL at {host}:{facts.get('port') or os.environ.get('PGPORT') or 5432}"
