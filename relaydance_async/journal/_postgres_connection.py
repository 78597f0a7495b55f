"""A connection to PostgreSQL that takes the statements of `Rows`."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import psycopg
from psycopg.rows import tuple_row

TABLES = ("entries", "attempts", "owners", "journal_version")


class PostgresConnection:
    """See `Connection`.

    Args:
        server: in autocommit mode.
        schema: which the tables are in.
        let_go: ends it.
    """

    def __init__(self, server: psycopg.Connection[Any], schema: str, let_go: Callable[[], None]) -> None:
        self.schema: str = schema
        self.close: Callable[[], None] = let_go
        self._cursor: psycopg.RawCursor[tuple[Any, ...]] = psycopg.RawCursor(server, row_factory=tuple_row)

    def execute(self, sql: str, parameters: Sequence[Any] | None = None, /) -> psycopg.RawCursor[Any]:
        """See `Connection`."""
        return self._cursor.execute(translate(sql, self.schema), parameters)

    def executemany(self, sql: str, parameters: Sequence[Sequence[Any]], /) -> psycopg.RawCursor[Any]:
        """See `Connection`. All rows take one round trip (libpq's pipeline mode)."""
        self._cursor.executemany(translate(sql, self.schema), parameters)
        return self._cursor

    def run_script(self, script: str) -> Any:
        """Carry out several statements in one round trip; the one value that the last of them gives."""
        self._cursor.execute(script.encode())
        while self._cursor.nextset():
            pass
        (value,) = self._cursor.fetchone() or (None,)
        return value


@lru_cache(maxsize=256)
def translate(sql: str, schema: str) -> bytes:
    """The statement with PostgreSQL's placeholders, and the tables of this schema.

    The schema is named in each statement, for a pooler such as PgBouncer keeps no `search_path`.
    """
    numbers = iter(range(1, 1_000))
    sql = re.sub(r"\?", lambda _: f"${next(numbers)}", sql)
    return re.sub(rf"\b({'|'.join(TABLES)})\b", rf'"{schema}".\1', sql).encode()
