"""Idempotency keys that stand in the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from ._base import RelayDanceError

if TYPE_CHECKING:
    from ..models.journal import JournalEntry


class IdempotencyError(RelayDanceError):
    """An idempotency key stands in the way of a call. Nothing was sent.

    Attributes:
        entry: the key's, as the journal has it.
    """

    def __init__(self, message: str = "", *, entry: JournalEntry | None = None, **details: Any) -> None:
        super().__init__(message, **details)
        self.entry = entry


class IdempotencyKeyReusedError(IdempotencyError, ValueError):
    """The same idempotency key was used for another request: other parameters, another file, or another endpoint."""

    _hint = "Give each request a key of its own; the same one only for the same request"


class SubmissionInDoubtError(IdempotencyError):
    """An earlier request of this key may have been accepted, and nobody knows. It is not sent again by itself."""

    @classmethod
    def of(cls, entry: JournalEntry) -> Self:
        """The error of an entry that is in doubt."""
        why = f": {entry.reason}" if entry.reason else ": its process ended before the answer came"
        message = f"the request of key {entry.key!r}, sent at {entry.sent_at:%Y-%m-%d %H:%M:%S} UTC, is in doubt{why}"
        return cls(message, entry=entry, task_id=entry.task_id, maybe_accepted=True)

    @property
    def hint(self) -> str:
        """What can be done."""
        key = self.entry.key if self.entry is not None else ""
        if self.entry is not None and self.entry.answer is not None:
            return (
                "it was paid for, and what came of it is in `error.entry.answer`; "
                f"`await journal.release({key!r})` lets it be sent again, and paid for again"
            )
        return (
            "`await client.resolve_doubts()` decides it where that can be known; by hand, once the console has told: "
            f"`await journal.settle({key!r}, task_id=…)` if it was accepted, `await journal.release({key!r})` if not"
        )
