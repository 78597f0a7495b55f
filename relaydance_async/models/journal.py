"""What a journal knows of a billed request."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

EntryState: TypeAlias = Literal["sending", "accepted", "refused", "in doubt"]
"""What became of a request:

- "sending": it is on the wire, and the process that sent it is alive.
- "accepted": its answer is kept. It is not sent again, unless its video task has failed.
- "refused": it was not accepted. It may be sent again.
- "in doubt": nobody knows. It is never sent again by itself.
"""


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One attempt of an idempotency key. It holds no API key, and a prompt only if the journal keeps requests.

    Attributes:
        key: the idempotency key.
        attempt: of the key, from 1; the last one counts.
        state: see `EntryState`.
        origin: of the API, such as "https://relaydance.com".
        route: below the base URL, such as "/video/generations".
        model: that was asked for.
        fingerprint: a hash of the request.
        sent_at: when its first byte was about to leave (UTC).
        ended_at: when it came to this state (UTC); None while it is on the wire.
        task_id: of a video task that was accepted.
        task_status: of that task, as it was last seen.
        request_id: the gateway's id of the request, if an answer came.
        reason: why it was refused or is in doubt, or who decided that.
        saved_to, saved_bytes: where its clip was saved, and its size.
        answer: JSON, as it is replayed; of a stream that is in doubt, the completion as far as it came.
        noted_at: when the answer, or the task that it is about, was last seen (UTC). Its URLs are as old as that.
        request: JSON, if the journal keeps requests; signatures and tokens are left out.
        sender: a hash of the API key that it was sent with, which tells that from others and opens nothing.
        call: the call that sent it.
    """

    key: str
    attempt: int
    state: EntryState
    origin: str
    route: str
    model: str | None
    fingerprint: str
    sent_at: datetime
    ended_at: datetime | None = None
    task_id: str | None = None
    task_status: str | None = None
    request_id: str | None = None
    reason: str = ""
    saved_to: str | None = None
    saved_bytes: int | None = None
    noted_at: datetime | None = None
    answer: str | None = field(default=None, repr=False)
    request: str | None = field(default=None, repr=False)
    sender: str = field(default="", repr=False)
    call: str = field(default="", repr=False)

    @property
    def may_be_sent(self) -> bool:
        """Whether the key may be sent again: it was refused, or its task failed, which is not billed."""
        return self.state == "refused" or (self.state == "accepted" and self.task_status == "failed")


@dataclass(frozen=True, slots=True)
class Resolution:
    """What `resolve_doubts` found out about one key.

    Attributes:
        entry: as it is now: "refused", so that it may be sent again, "accepted", or still "in doubt".
        why: what decided it, or what is missing.
        candidates: the gateway's ids of the charges that may be its own. One of them may, or none.
    """

    entry: JournalEntry
    why: str
    candidates: tuple[str, ...] = ()
