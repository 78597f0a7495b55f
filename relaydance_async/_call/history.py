"""What the earlier attempts of a call left behind."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ..models.meta import AttemptRecord


@dataclass(frozen=True, slots=True)
class History:
    """The failed attempts of a call so far.

    Attributes:
        records: one for each.
        maybe_accepted: whether one of them may have been accepted: then the call may have been, whatever became of the
            later ones.
        sent_at: when a first byte was last sent (UTC), or None when none was.
    """

    records: tuple[AttemptRecord, ...] = ()
    maybe_accepted: bool = False
    sent_at: datetime | None = None


NO_HISTORY = History()
