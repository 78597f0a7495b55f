"""What was paid for. Each paying command has an idempotency key, and a journal remembers what became of it.

The key is a hash of what was typed. So a command that was interrupted, and is typed again, goes on with what it has
paid for. To pay for another one has to be said: `--again`.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from cyclopts import Parameter

from .. import AsyncRelayDance, JournalEntry, SqliteJournal
from .._config import origin_of
from ._exits import CannotBeginError, say
from ._profiles import state_folder
from ._session import Session

OFF = "off"


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Once:
    """What keeps a command from being paid for twice.

    Attributes:
        again: pay for another one, though the same command was paid for before.
        idempotency_key: names the request, instead of what was typed.
        journal: the file that remembers (default: in ~/.local/state/relaydance).
        no_journal: remember nothing. The same command pays again.
    """

    again: bool = False
    idempotency_key: str | None = None
    journal: Path | None = None
    no_journal: bool = False


def journal_file(session: Session, given: Path | None) -> Path | None:
    """Where the journal is; None: there is to be none."""
    if given is not None:
        return given
    named = session.profile.journal
    if named == OFF:
        return None
    return Path(named).expanduser() if named else state_folder() / "journal.db"


def open_journal(session: Session, given: Path | None = None) -> SqliteJournal | None:
    """The journal of a session.

    Raises:
        CannotBeginError: its directory can't be made.
    """
    path = journal_file(session, given)
    if path is None:
        return None
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise CannotBeginError(
            f"the journal can't be kept in {path.parent}: {error.strerror}; --journal puts it elsewhere, --no-journal "
            "does without"
        ) from None
    return SqliteJournal(path)


class Paid:
    """One thing to pay for, and what is known of it.

    Args:
        route: that it is asked of.
        typed: all that makes it another thing.

    Attributes:
        journal: that remembers it; None: none.
        key: its idempotency key; None without a journal.
    """

    def __init__(self, session: Session, once: Once, route: str, typed: Mapping[str, Any]) -> None:
        self.journal: SqliteJournal | None = None if once.no_journal else open_journal(session, once.journal)
        self.key: str | None = None
        self._is_named = once.idempotency_key is not None
        self._origin = origin_of(session.base_url)
        if self.journal is None:
            if once.idempotency_key is not None:
                raise CannotBeginError("--idempotency-key needs a journal, which remembers it")
            return
        # Of the API's key too, so that one user's clips aren't taken for another's.
        digest = sha256(session.key.secret.reveal().encode())
        digest.update(json.dumps([route, session.base_url, typed], sort_keys=True, default=str).encode())
        self.key = once.idempotency_key or f"cli-{digest.hexdigest()[:32]}"
        if once.again:
            self.key += f"-{secrets.token_hex(4)}"

    async def find(self, client: AsyncRelayDance) -> JournalEntry | None:
        """What was accepted, or is in doubt, before; said on stderr. What can be decided is."""
        entry = await self._entry()
        if entry is not None and entry.state == "in doubt":
            await client.resolve_doubts()
            entry = await self._entry()
        if entry is None or entry.state != "accepted" or entry.may_be_sent:
            return None
        what = f"task {entry.task_id}" if entry.task_id else f"request {entry.request_id}"
        say(f"the same command was paid for at {_time(entry)}, {what}: that is used. --again pays for another one")
        return entry

    def task_of(self, found: JournalEntry | None) -> str | None:
        """The task to go on with. A key that somebody chose may name another request: then the client compares."""
        return None if found is None or self._is_named else found.task_id

    async def tell(self) -> None:
        """After an interruption: what became of it, on stderr."""
        if self.journal is None:
            say("without a journal nobody knows whether it was accepted: look at the console, or `relaydance logs`")
            return
        entry = await self._entry()
        if entry is None or entry.may_be_sent:
            say("nothing was accepted: nothing is paid")
        elif entry.state == "accepted":
            say(f"accepted: {advice_for(entry)}")
        else:
            say("it may have been accepted, and nobody knows: the same command asks the gateway's books")

    async def _entry(self) -> JournalEntry | None:
        if self.journal is None or self.key is None:
            return None
        return await self.journal.find(self._origin, self.key)


def advice_for(entry: JournalEntry) -> str:
    """How to go on with something that was accepted."""
    if entry.task_id is None:
        return "the same command shows what was paid for"
    return f"relaydance video wait {entry.task_id}"


def _time(entry: JournalEntry) -> str:
    return f"{entry.sent_at:%Y-%m-%d %H:%M} UTC"


def time_of(entry: JournalEntry) -> str:
    """When it was sent, for a table."""
    return entry.sent_at.isoformat(timespec="seconds")
