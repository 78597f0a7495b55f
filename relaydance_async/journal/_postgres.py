"""`PostgresJournal`: a journal in a PostgreSQL database, for the processes of several machines."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..errors import ConfigurationError
from ._committed import CommittedJournal

if TYPE_CHECKING:
    from ._postgres_store import Source

_PATIENCE = 10.0


class PostgresJournal(CommittedJournal):
    """A journal in a PostgreSQL database, for any number of processes of any number of machines.

        client = AsyncRelayDance(journal=PostgresJournal("postgresql://user@host/database"))

    Its tables are made when they are first needed, in a schema of their own. It has one connection, in a thread of its
    own, which takes together what comes at the same time: one transaction for many calls. A connection that is lost is
    made anew, and what was under way is done again, which changes nothing that was done already.

    Args:
        source: a connection string of libpq's, or a `psycopg_pool.ConnectionPool`. One connection is taken from that,
            and given back by `aclose`.
        schema: of the tables.
        namespace: keys of one namespace are apart from those of others in the same schema.
        keep_requests: keep requests, with their prompts; else only hashes of them.
        lease: seconds, by the server's clock, after which a process that has not been heard of counts as dead, where it
            can't be looked up. What it had on the wire is in doubt then.

    Raises:
        ConfigurationError: a value that can't be, or psycopg is not installed.
    """

    _patience: float = _PATIENCE
    _now: Callable[[], float] | None = None

    def __init__(
        self,
        source: Source,
        *,
        schema: str = "relaydance",
        namespace: str = "",
        keep_requests: bool = False,
        lease: float = 20.0,
    ) -> None:
        try:
            from ._postgres_store import PostgresStore
        except ImportError:
            raise ConfigurationError(
                "PostgresJournal needs psycopg: pip install 'relaydance-async[postgres]'"
            ) from None
        if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", schema):
            raise ConfigurationError(f"schema must be a name of small letters, digits and _, not {schema!r:.80}")
        store = PostgresStore(source, schema, namespace, self._patience, self._now)
        super().__init__(store, namespace=namespace, keep_requests=keep_requests, lease=lease)
