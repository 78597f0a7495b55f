"""What the client's journal knows of video tasks beside their submits: how they ended, and where their clips are."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from .._call import Api, recalling
from ..errors import JournalError
from ..journal import TaskNote
from ..models.journal import JournalEntry
from ..models.meta import ResponseMeta
from ..models.video import VideoTask

log = logging.getLogger("relaydance_async")

FRESH_SECONDS = 20 * 60.0
"""How long the URL of a clip is believed in; it expires after about 30 minutes (wire 3.3)."""


class TaskNotes:
    """What it knows. Nothing, if there is no journal. It is a help: what it fails of is logged, and costs no clip."""

    def __init__(self, api: Api) -> None:
        self._journal = api.journal
        self._origin = api.origin
        self._clock = api.clock

    async def ended(self, task_id: str) -> VideoTask | None:
        """The task as it ended, if that is known and its URL may still be used, or is not needed any more."""
        entry = await self._find(task_id)
        if entry is None or entry.answer is None or entry.task_status not in ("succeeded", "failed"):
            return None
        if entry.task_status == "succeeded" and entry.saved_to is None and not self._is_fresh(entry):
            return None
        meta = ResponseMeta(request_id=entry.request_id, sent_at=entry.sent_at, replayed=True)
        return recalling(VideoTask)(entry.answer, meta)

    async def saved(self, task_id: str) -> tuple[Path, int] | None:
        """Where its clip was saved, and with how many bytes."""
        entry = await self._find(task_id)
        if entry is None or entry.saved_to is None or entry.saved_bytes is None:
            return None
        return Path(entry.saved_to), entry.saved_bytes

    def note(self, task: VideoTask) -> None:
        """It was seen; its end is kept."""
        if self._journal is not None and task.is_terminal:
            answer = task.model_dump_json(exclude_unset=True)
            self._journal.note_task_soon(TaskNote(self._origin, task.task_id, task.status, self._now(), answer))

    def note_saved(self, task_id: str, path: Path, size: int) -> None:
        """Its clip was saved."""
        if self._journal is not None:
            note = TaskNote(
                self._origin, task_id, "succeeded", self._now(), saved_to=os.path.abspath(path), saved_bytes=size
            )
            self._journal.note_task_soon(note)

    async def _find(self, task_id: str) -> JournalEntry | None:
        if self._journal is None:
            return None
        try:
            return await self._journal.find_task(self._origin, task_id)
        except JournalError as error:
            log.warning("what the journal knows of task %s is not known: %s", task_id, error.message)
            return None

    def _is_fresh(self, entry: JournalEntry) -> bool:
        return entry.noted_at is not None and self._now() - entry.noted_at.timestamp() < FRESH_SECONDS

    def _now(self) -> float:
        return self._clock.now().timestamp()
