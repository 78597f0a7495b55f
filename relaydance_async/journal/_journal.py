"""What a journal has to do: remember, through crashes, what became of each billed request that has a key."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from ..models.journal import EntryState, JournalEntry


class Sending(NamedTuple):
    """A request that is about to be sent.

    Attributes:
        origin, key, fingerprint, route, model, request: see `JournalEntry`.
        call: tells this call from all others, of any process.
        callback: a hash of the token in its callback URL, or None.
        sender: a hash of the API key, which tells it from others and opens nothing.
        sent_at: Unix time in seconds.
    """

    origin: str
    key: str
    call: str
    fingerprint: str
    route: str
    model: str | None
    callback: str | None
    sent_at: float
    request: str | None = None
    sender: str = ""


class Ending(NamedTuple):
    """What became of it. A later ending of the same call counts more than an earlier one.

    Attributes:
        origin, key, call: of which request.
        state: any but "sending".
        ended_at: Unix time in seconds.
        answer, task_id, task_status, request_id, reason: see `JournalEntry`.
    """

    origin: str
    key: str
    call: str
    state: EntryState
    ended_at: float
    answer: str | None = None
    task_id: str | None = None
    task_status: str | None = None
    request_id: str | None = None
    reason: str = ""


class TaskNote(NamedTuple):
    """A later state of a video task.

    Attributes:
        noted_at: Unix time in seconds.
        answer: the task, as JSON; None: as it was.
        saved_to, saved_bytes: where its clip was saved, and its size; None: as it was.
    """

    origin: str
    task_id: str
    task_status: str
    noted_at: float
    answer: str | None = None
    saved_to: str | None = None
    saved_bytes: int | None = None


class AcceptedRequest(NamedTuple):
    """A request that is known to have been accepted.

    Attributes:
        request_id: the gateway's; None when no answer of its own told that, but a webhook or a person.
        sent_at: Unix time in seconds.
    """

    request_id: str | None
    sent_at: float
    model: str | None
    route: str


class Journal(Protocol):
    """Remembers what became of billed requests, durably. `tests/journal/contract.py` tells what each has to do.

    Its methods may be called from any event loop. A coroutine that has returned has made its change durable. All raise
    `JournalError` when they can't; then nothing was changed, except that an `accepted` is kept and tried again.

    Attributes:
        keep_requests: whether requests are kept, with their prompts, or only hashes of them.
    """

    @property
    def keep_requests(self) -> bool: ...

    async def find(self, origin: str, key: str) -> JournalEntry | None:
        """The last attempt of a key. One that was being sent by a process that has died is in doubt."""
        ...

    async def begin(self, sending: Sending) -> JournalEntry | None:
        """Note that a request is about to be sent, unless the key stands in the way.

        It is noted when there is no entry, or one that may be sent again (`JournalEntry.may_be_sent`): as the next
        attempt, or, when the same call sends it again, as the same.

        Returns:
            None when it was noted; or else the entry that stands in the way.
        """
        ...

    async def end(self, ending: Ending) -> None:
        """Note what became of a request, also of an attempt that is not the last any more."""
        ...

    def end_soon(self, ending: Ending) -> None:
        """The same without waiting for it, and without errors: of a call that is cancelled."""
        ...

    def withdraw_soon(self, origin: str, key: str, call: str) -> None:
        """Take back that a request is about to be sent: not a byte of it was. Without waiting, and without errors."""
        ...

    async def find_task(self, origin: str, task_id: str) -> JournalEntry | None:
        """The entry of a video task."""
        ...

    def note_task_soon(self, note: TaskNote) -> None:
        """Note a later state of a video task, without waiting for it, and without errors. A task that isn't in the
        journal is none of its business."""
        ...

    async def note_callback(self, origin: str, callback: str, note: TaskNote) -> JournalEntry | None:
        """A delivery came for the callback URL with this token's hash, about this task: so that was accepted.

        Returns:
            The entry that was decided by it, or None: there is none, it knew already, the token is of several, or the
            task is another entry's.
        """
        ...

    async def decide(self, entry: JournalEntry, ending: Ending) -> bool:
        """End an attempt as `ending` says, if it is still the last of its key and still in doubt; whether it was."""
        ...

    def entries(self, *, state: EntryState | None = None, origin: str | None = None) -> AsyncIterator[JournalEntry]:
        """The last attempts of all keys, in the order of the keys."""
        ...

    async def history(self, key: str, *, origin: str | None = None) -> list[JournalEntry]:
        """All attempts of a key, the last one at the end; none when there is no entry."""
        ...

    async def accepted_requests(self, origin: str, since: float) -> list[AcceptedRequest]:
        """The requests that were accepted, of all attempts, which were sent from then on (Unix time)."""
        ...

    async def settle(self, key: str, *, task_id: str, origin: str | None = None) -> JournalEntry:
        """Say by hand that the request of a key was accepted, as this task."""
        ...

    async def release(self, key: str, *, origin: str | None = None) -> JournalEntry:
        """Say by hand that the request of a key was not accepted: it may be sent again."""
        ...

    async def forget(self, *, older_than: float) -> int:
        """Remove keys that ended so many seconds ago; how many. None that is being sent or in doubt."""
        ...

    async def aclose(self) -> None:
        """Write what is to be written, and let go of the file or the connections."""
        ...
