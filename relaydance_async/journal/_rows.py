"""The rows of a journal, and the ways in which they may change. All of it runs in the journal's thread."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

from ..errors import JournalError
from ..models.journal import EntryState, JournalEntry
from ._journal import AcceptedRequest, Ending, Sending, TaskNote
from ._owner import Owner, Standing, lives
from ._store import Connection

log = logging.getLogger("relaydance_async")

DIED = "its process ended before the answer came"

_FIELDS = tuple(field.name for field in fields(JournalEntry))
_COLUMNS = f"{', '.join(_FIELDS)}, owner"
_ALL = (
    "namespace, origin, key, attempt, state, call, owner, fingerprint, route, model, callback, request, sent_at, "
    "ended_at, task_id, task_status, request_id, reason, answer, noted_at, saved_to, saved_bytes, sender"
)
_WHERE = "namespace = ? AND origin = ? AND key = ?"

_INSERT = """
    INSERT INTO entries (origin, key, call, fingerprint, route, model, callback, sent_at, request, sender, namespace,
        owner, attempt, state) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, 'sending') ON CONFLICT DO NOTHING
"""
_NEXT = f"""
    UPDATE entries SET attempt = attempt + 1, state = 'sending', call = ?, fingerprint = ?, route = ?, model = ?,
        callback = ?, sent_at = ?, request = ?, sender = ?, owner = ?, ended_at = NULL, task_id = NULL,
        task_status = NULL, request_id = NULL, reason = '', answer = NULL, noted_at = NULL, saved_to = NULL,
        saved_bytes = NULL WHERE {_WHERE}
"""
_AGAIN = f"UPDATE entries SET state = 'sending', sent_at = ?, ended_at = NULL, reason = '' WHERE {_WHERE}"
# What was accepted stays so: a webhook may have told it before its call gave up.
_END = f"""
    UPDATE {{table}} SET state = ?, ended_at = ?, noted_at = ?, answer = ?, task_id = ?, task_status = ?,
        request_id = ?, reason = ? WHERE {_WHERE} AND call = ? AND (state <> 'accepted' OR ? = 'accepted')
"""
_END_ENTRY, _END_ATTEMPT = _END.format(table="entries"), _END.format(table="attempts")
_NOTE = """
    UPDATE entries SET task_status = ?, noted_at = coalesce(?, noted_at), answer = coalesce(?, answer),
        saved_to = coalesce(?, saved_to), saved_bytes = coalesce(?, saved_bytes)
        WHERE namespace = ? AND origin = ? AND task_id = ? AND state = 'accepted'
"""
_KEEP = f"INSERT INTO attempts ({_ALL}) SELECT {_ALL} FROM entries WHERE {_WHERE}"
_DROP = f"DELETE FROM entries WHERE {_WHERE}"
_RESTORE = f"""
    INSERT INTO entries ({_ALL}) SELECT {_ALL} FROM attempts WHERE {_WHERE} ORDER BY attempt DESC LIMIT 1
"""


class Rows:
    """The entries of one namespace, as one owner sees them.

    Args:
        connection: in autocommit mode; whoever calls begins and commits. The statements are of the SQL that SQLite and
            PostgreSQL both know.
        namespace: of the keys.
        standing: of this owner.

    Attributes:
        now: the time of what is being done (Unix time).
    """

    def __init__(self, connection: Connection, namespace: str, standing: Standing) -> None:
        self.now: float = 0.0
        self._sql = connection
        self._namespace = namespace
        self._standing = standing

    # What changes. Each call is within a transaction.

    def renew(self) -> None:
        """See to it that the lease of this owner lasts."""
        standing = self._standing
        if not standing.is_due(self.now):
            return
        standing.owner = standing.owner._replace(until=self.now + standing.lease)
        self._sql.execute(
            "INSERT INTO owners VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET until = excluded.until",
            standing.owner,
        )

    def begin(self, sendings: Sequence[Sending]) -> list[JournalEntry | None]:
        """See `Journal.begin`, of many at once."""
        rows = [(*sending, self._namespace, self._standing.owner.id) for sending in sendings]
        on_the_wire = self._standing.on_the_wire
        on_the_wire.update(sending.call for sending in sendings)
        if self._sql.executemany(_INSERT, rows).rowcount == len(rows):
            return [None] * len(rows)
        found = [self._begin_again(sending) for sending in sendings]
        on_the_wire.difference_update(s.call for s, entry in zip(sendings, found, strict=True) if entry is not None)
        return found

    def _begin_again(self, sending: Sending) -> JournalEntry | None:
        entry = self.find(sending.origin, sending.key)
        where = (self._namespace, sending.origin, sending.key)
        if entry is None:
            raise JournalError(f"the entry of {sending.key!r} has gone", kind="corrupt")
        if entry.call == sending.call:
            if entry.state == "refused":  # the same call sends it again
                self._sql.execute(_AGAIN, (sending.sent_at, *where))
            elif entry.state != "sending":
                return entry
            return None
        if not entry.may_be_sent:
            return entry
        self._sql.execute(_KEEP, where)
        _, _, *changed = sending
        self._sql.execute(_NEXT, (*changed, self._standing.owner.id, *where))
        return None

    def end(self, endings: Sequence[Ending]) -> None:
        """See `Journal.end`, of many at once."""
        rows = [self._ended(ending) for ending in endings]
        if self._sql.executemany(_END_ENTRY, rows).rowcount != len(rows):
            for row, ending in zip(rows, endings, strict=True):
                self._end_earlier(row, ending)
        self._standing.on_the_wire.difference_update(ending.call for ending in endings)

    def _ended(self, ending: Ending) -> tuple[Any, ...]:
        """What `_END` takes."""
        origin, key, call, state, ended_at, *told = ending
        return (state, ended_at, ended_at, *told, self._namespace, origin, key, call, state)

    def _end_earlier(self, row: Sequence[Any], ending: Ending) -> None:
        where = (self._namespace, ending.origin, ending.key, ending.call)
        current = self._sql.execute(f"SELECT 1 FROM entries WHERE {_WHERE} AND call = ?", where).fetchone()
        if current is None and self._sql.execute(_END_ATTEMPT, row).rowcount and ending.state == "accepted":
            # It had been released, or was taken for dead, and the key was sent again.
            log.warning("key %r: an earlier request was accepted too, as task %s", ending.key, ending.task_id)

    def withdraw(self, origin: str, key: str, call: str) -> None:
        """See `Journal.withdraw_soon`."""
        where = (self._namespace, origin, key)
        self._standing.on_the_wire.discard(call)
        if self._sql.execute(f"{_DROP} AND call = ? AND state = 'sending'", (*where, call)).rowcount:
            self._sql.execute(_RESTORE, where)
            self._sql.execute(
                f"DELETE FROM attempts WHERE {_WHERE} AND attempt = (SELECT attempt FROM entries WHERE {_WHERE})",
                (*where, *where),
            )

    def note_tasks(self, notes: Sequence[TaskNote]) -> None:
        """See `Journal.note_task_soon`, of many at once."""
        self._sql.executemany(_NOTE, [self._noted(note) for note in notes])

    def _noted(self, note: TaskNote) -> tuple[Any, ...]:
        """What `_NOTE` takes."""
        noted_at = None if note.answer is None else note.noted_at
        told = (note.task_status, noted_at, note.answer, note.saved_to, note.saved_bytes)
        return (*told, self._namespace, note.origin, note.task_id)

    def note_callback(self, origin: str, callback: str, note: TaskNote) -> JournalEntry | None:
        """See `Journal.note_callback`."""
        found = self._select("callback = ? AND origin = ?", (callback, origin))
        if len(found) != 1 or self.find_task(origin, note.task_id) is not None:
            return None
        (row,) = found
        entry = self._entry(row)
        if entry.state == "accepted":
            return None
        ending = Ending(
            *(origin, entry.key, entry.call, "accepted", self.now),
            # Without a request id: whatever answered it need not have been the gateway, which alone writes the books.
            *(note.answer, note.task_id, note.task_status, None, "a webhook told"),
        )
        self.end([ending])
        return self.find(origin, entry.key)

    def decide(self, entry: JournalEntry, ending: Ending) -> bool:
        """See `Journal.decide`."""
        found = self.find(entry.origin, entry.key)
        if found is None or (found.call, found.attempt, found.state) != (entry.call, entry.attempt, "in doubt"):
            return False
        self.end([ending])
        return True

    def decide_by_hand(self, key: str, origin: str | None, state: EntryState, task_id: str | None) -> JournalEntry:
        """See `Journal.settle` and `Journal.release`."""
        entry = self._the_one(key, origin)
        if entry.state == "sending":
            raise JournalError(f"the request of {key!r} is being sent right now", kind="state")
        if entry.state == "accepted" and (state != "accepted" or entry.task_id != task_id):
            raise JournalError(f"the request of {key!r} was accepted, as task {entry.task_id}", kind="state")
        answer = None if task_id is None else _bare_task(task_id)
        if entry.state != "accepted":
            status = None if task_id is None else "submitted"
            where = (entry.origin, entry.key, entry.call)
            self.end([Ending(*where, state, self.now, answer, task_id, status, None, "decided by hand")])
        return self._the_one(key, entry.origin)

    def forget(self, older_than: float) -> int:
        """See `Journal.forget`."""
        before = self.now - older_than
        old = "namespace = ? AND ended_at < ? AND state IN ('accepted', 'refused')"
        where = (self._namespace, before)
        self._sql.execute(
            f"DELETE FROM attempts WHERE (namespace, origin, key) IN"
            f" (SELECT namespace, origin, key FROM entries WHERE {old})",
            where,
        )
        self._sql.execute("DELETE FROM owners WHERE until < ? AND id NOT IN (SELECT owner FROM entries)", (before,))
        return self._sql.execute(f"DELETE FROM entries WHERE {old}", where).rowcount

    # What only looks.

    def find(self, origin: str, key: str) -> JournalEntry | None:
        """See `Journal.find`."""
        row = self._sql.execute(
            f"SELECT {_COLUMNS} FROM entries WHERE {_WHERE}", (self._namespace, origin, key)
        ).fetchone()
        return None if row is None else self._entry(row)

    def find_task(self, origin: str, task_id: str) -> JournalEntry | None:
        """See `Journal.find_task`."""
        found = self._select("origin = ? AND task_id = ?", (origin, task_id))
        return self._entry(found[0]) if found else None

    def page(
        self, state: EntryState | None, origin: str | None, after: tuple[str, str], most: int
    ) -> tuple[list[JournalEntry], tuple[str, str] | None]:
        """The next entries, and where to go on; None at the end."""
        stored = _STORED[state]
        found = self._sql.execute(
            f"SELECT {_COLUMNS} FROM entries WHERE namespace = ? AND (origin, key) > (?, ?) AND origin = coalesce(?,"
            f" origin) AND state IN ({', '.join('?' * len(stored))}) ORDER BY origin, key LIMIT ?",
            (self._namespace, *after, origin, *stored, most),
        ).fetchall()
        entries = [self._entry(row) for row in found]
        more = (entries[-1].origin, entries[-1].key) if len(entries) == most else None
        return [entry for entry in entries if state in (None, entry.state)], more

    def history(self, key: str, origin: str | None) -> list[JournalEntry]:
        """See `Journal.history`."""
        where, values = ("AND origin = ?", (origin,)) if origin is not None else ("", ())
        found = self._sql.execute(
            f"SELECT {_COLUMNS} FROM attempts WHERE namespace = ? AND key = ? {where} UNION ALL"
            f" SELECT {_COLUMNS} FROM entries WHERE namespace = ? AND key = ? {where} ORDER BY origin, attempt",
            (self._namespace, key, *values) * 2,
        )
        return [self._entry(row) for row in found.fetchall()]

    def accepted_requests(self, origin: str, since: float) -> list[AcceptedRequest]:
        """See `Journal.accepted_requests`."""
        where = "namespace = ? AND origin = ? AND state = 'accepted' AND sent_at >= ?"
        found = self._sql.execute(
            f"SELECT request_id, sent_at, model, route FROM entries WHERE {where} UNION ALL"
            f" SELECT request_id, sent_at, model, route FROM attempts WHERE {where}",
            (self._namespace, origin, since) * 2,
        )
        return [AcceptedRequest(*row) for row in found.fetchall()]

    def _the_one(self, key: str, origin: str | None) -> JournalEntry:
        where, values = ("key = ? AND origin = ?", (key, origin)) if origin is not None else ("key = ?", (key,))
        found = self._select(where, values)
        if not found:
            raise JournalError(f"the journal has no key {key!r}", kind="state")
        if len(found) > 1:
            origins = ", ".join(sorted(row[3] for row in found))
            raise JournalError(
                f"the key {key!r} was used with several APIs: pass origin=, one of {origins}", kind="state"
            )
        return self._entry(found[0])

    def _select(self, where: str, values: tuple[str, ...]) -> list[Any]:
        return self._sql.execute(
            f"SELECT {_COLUMNS} FROM entries WHERE namespace = ? AND {where}", (self._namespace, *values)
        ).fetchall()

    def _entry(self, row: Any) -> JournalEntry:
        *values, owner = row
        facts = dict(zip(_FIELDS, values, strict=True))
        if facts["state"] == "sending" and not self._is_sending(facts["call"], owner):
            facts["state"], facts["reason"] = "in doubt", DIED
        for name in "sent_at", "ended_at", "noted_at":
            if facts[name] is not None:
                facts[name] = datetime.fromtimestamp(facts[name], UTC)
        return JournalEntry(**facts)

    def _is_sending(self, call: str, owner: str) -> bool:
        if owner == self._standing.owner.id:
            return call in self._standing.on_the_wire
        row = self._sql.execute("SELECT * FROM owners WHERE id = ?", (owner,)).fetchone()
        return row is not None and lives(Owner(*row), self.now, self._standing.owner.machine)


_STORED: dict[EntryState | None, tuple[str, ...]] = {
    None: ("sending", "accepted", "refused", "in doubt"),
    "sending": ("sending",),
    "in doubt": ("in doubt", "sending"),
    "accepted": ("accepted",),
    "refused": ("refused",),
}
"""How the states are stored: whether a sender lives is not."""


def _bare_task(task_id: str) -> str:
    return json.dumps({"task_id": task_id, "status": "submitted"})
