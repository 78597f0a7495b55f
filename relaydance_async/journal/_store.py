"""Where rows are kept: what a committer needs of a database, whichever that is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from ..errors import JournalError


class Cursor(Protocol):
    """What a statement has done, or found."""

    @property
    def rowcount(self) -> int: ...

    def fetchone(self) -> Any:
        """The next row; None at the end."""
        ...

    def fetchall(self) -> list[Any]:
        """All rows that are left."""
        ...


class Connection(Protocol):
    """A connection that commits each statement by itself, unless a transaction was begun."""

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> Cursor:
        """Carry out a statement with `?` for its parameters."""
        ...

    def executemany(self, sql: str, parameters: Sequence[Sequence[Any]], /) -> Cursor:
        """The same once for each row of parameters; `rowcount` is that of all together."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class Store(Protocol):
    """A database. All is called in the journal's thread.

    Attributes:
        place: for messages. No password is in it.
        patience: seconds for which what will pass is waited for.
    """

    @property
    def place(self) -> str: ...

    @property
    def patience(self) -> float: ...

    def connect(self) -> Connection:
        """Open it: made if need be, checked, and brought to this version. Blocks."""
        ...

    def begin(self, connection: Connection) -> None:
        """Begin a transaction, which alone changes this namespace until its end."""
        ...

    def now(self) -> float:
        """The time of the clock that leases are told by (Unix time in seconds). There has been a connection."""
        ...

    def will_pass(self, error: Exception) -> bool:
        """Whether the same changes may well succeed over a new connection. Whether they have been made already is not
        known then."""
        ...

    def is_of_surroundings(self, error: Exception) -> bool:
        """Whether it would have met any other change too."""
        ...

    def as_journal_error(self, error: Exception) -> JournalError:
        """The error for a caller."""
        ...
