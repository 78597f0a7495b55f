"""The journal itself fails."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from ._base import RelayDanceError

JournalErrorKind: TypeAlias = Literal[
    "busy", "full", "disk", "path", "corrupt", "newer", "foreign", "network", "server", "closed", "state", "unknown"
]

_JOURNAL_HINTS: dict[JournalErrorKind, str] = {
    "busy": "Another process holds it for too long: look for a backup or an open transaction, then call again",
    "full": "Make room, then call again",
    "disk": "Repair the disk, then call again",
    "path": "Choose a file that this process may write, in a directory that is there",
    "corrupt": "Restore a copy made by `journal.backup(path)`, or set the file aside and look at the console",
    "newer": "Upgrade relaydance_async where this runs",
    "foreign": "Choose another file",
    "network": "Put it on a local disk; for several machines there are databases",
    "server": "See that the PostgreSQL server runs, can be reached, and lets this user in and write; then call again",
    "closed": "Keep the journal open for as long as its clients are used",
}


class JournalError(RelayDanceError):
    """The journal could not be read or written.

    A call that it keeps from noting what it is about to send, is not sent. One that was accepted, but can't be noted,
    has what it was paid for in `result` and `task_id`.

    Attributes:
        kind: "busy" (another process holds it for too long), "full" (the disk is), "disk" (it is broken), "path" (it
            can't be opened there), "corrupt", "newer" (written by a newer version), "foreign" (a file of another
            program), "network" (a network file system), "server" (it can't be reached, or doesn't let this user in),
            "closed", "state" (the entry is not in a state for that), or "unknown".
        result: what the call would have given, or None.
    """

    def __init__(
        self, message: str = "", *, kind: JournalErrorKind = "unknown", result: Any = None, **details: Any
    ) -> None:
        super().__init__(message, **details)
        self.kind: JournalErrorKind = kind
        self.result = result

    @property
    def hint(self) -> str:
        """What to do about it, by its kind."""
        hint = _JOURNAL_HINTS.get(self.kind, "")
        if not self.maybe_accepted:
            return hint
        return f"It was accepted, and is in `error.result`: keep that. {hint}"
