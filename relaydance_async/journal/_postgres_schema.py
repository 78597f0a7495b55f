"""The tables of a journal in PostgreSQL: made if need be, checked, and brought to this version."""

from __future__ import annotations

import hashlib
from contextlib import suppress

from ..errors import JournalError
from ._postgres_connection import TABLES, PostgresConnection

_COLUMNS = """
    namespace TEXT COLLATE "C" NOT NULL, origin TEXT COLLATE "C" NOT NULL, key TEXT COLLATE "C" NOT NULL,
    attempt INTEGER NOT NULL, state TEXT NOT NULL, call TEXT NOT NULL, owner TEXT NOT NULL, fingerprint TEXT NOT NULL,
    route TEXT NOT NULL, model TEXT, callback TEXT, request TEXT, sent_at DOUBLE PRECISION NOT NULL,
    ended_at DOUBLE PRECISION, task_id TEXT, task_status TEXT, request_id TEXT, reason TEXT NOT NULL DEFAULT '',
    answer TEXT, noted_at DOUBLE PRECISION, saved_to TEXT, saved_bytes BIGINT, sender TEXT NOT NULL DEFAULT ''
"""

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        # The last attempt of each key, where it is found by the key alone; those before are apart.
        f"CREATE TABLE entries ({_COLUMNS}, PRIMARY KEY (namespace, origin, key))",
        f"CREATE TABLE attempts ({_COLUMNS}, PRIMARY KEY (namespace, origin, key, attempt))",
        "CREATE INDEX entries_by_task ON entries (origin, task_id) WHERE task_id IS NOT NULL",
        "CREATE INDEX entries_by_callback ON entries (callback) WHERE callback IS NOT NULL",
        "CREATE TABLE owners (id TEXT PRIMARY KEY, until DOUBLE PRECISION NOT NULL, machine TEXT NOT NULL,"
        " pid INTEGER NOT NULL, started TEXT NOT NULL)",
    ),
)
"""Each brings a schema to the next version. They are never changed: schemas of all versions are out there."""


def migrate(connection: PostgresConnection, place: str) -> None:
    """See to it that the schema of this connection is there, and of this version.

    Args:
        place: for messages.

    Raises:
        JournalError: it is of a newer version, or of another program.
        psycopg.Error: it can't be read or changed.
    """
    if _version_of(connection, place) == len(MIGRATIONS):
        return
    connection.execute("BEGIN")
    try:
        connection.execute("SELECT pg_advisory_xact_lock(?)", (lock_of(connection.schema, None),))
        version = _version_of(connection, place)  # another process may have done it meanwhile
        if version == 0:
            _make_schema(connection)
        for statements in MIGRATIONS[version:]:
            for statement in statements:
                connection.execute(statement)
        connection.execute("UPDATE journal_version SET version = ?", (len(MIGRATIONS),))
        connection.execute("COMMIT")
    except BaseException:
        with suppress(Exception):  # there may be no connection any more
            connection.execute("ROLLBACK")
        raise


def _make_schema(connection: PostgresConnection) -> None:
    # Not "IF NOT EXISTS", which asks for the right to make one also where there is one.
    if not connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = ?", (connection.schema,)).fetchone():
        connection.execute(f'CREATE SCHEMA "{connection.schema}"')
    connection.execute("CREATE TABLE journal_version (version INTEGER NOT NULL)")
    connection.execute("INSERT INTO journal_version VALUES (0)")


def _version_of(connection: PostgresConnection, place: str) -> int:
    """0: there is nothing yet."""
    found = connection.execute(
        "SELECT relname FROM pg_class JOIN pg_namespace ON relnamespace = pg_namespace.oid"
        " WHERE nspname = ? AND relname = ANY(?)",
        (connection.schema, list(TABLES)),
    ).fetchall()
    if not found:
        return 0
    if ("journal_version",) not in found:
        raise JournalError(f"there are tables of another program in {place}: pass another schema=", kind="foreign")
    version = connection.run_script(f'SELECT max(version) FROM "{connection.schema}".journal_version')
    if version is None:
        raise JournalError(f"the journal in {place} has lost its version", kind="corrupt")
    if version > len(MIGRATIONS):
        message = f"the journal in {place} is of version {version}; this relaydance_async knows {len(MIGRATIONS)}"
        raise JournalError(message, kind="newer")
    return int(version)


def lock_of(schema: str, namespace: str | None) -> int:
    """The number of an advisory lock: of a namespace, or of the schema itself."""
    name = f"relaydance_async {schema!r} {namespace!r}"
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
