"""Those who want to hear how a task comes on."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from ..._callbacks import call_back
from ..._sansio.redact import one_line
from ...models.video import VideoTask

UpdateHook: TypeAlias = Callable[[VideoTask], Awaitable[None] | None]
"""A function of the task, at first and at each change; awaited if it returns an awaitable."""
PercentHook: TypeAlias = Callable[[float], Awaitable[None] | None]
"""A function of the progress, 0 to 100, each time that it has grown; awaited if it returns an awaitable."""
SubmitHook: TypeAlias = Callable[[str], Awaitable[None] | None]

log: logging.Logger = logging.getLogger("relaydance_async")


class Hooks:
    """Of one wait. What they raise is logged: it must not cost a clip that is paid for."""

    def __init__(self, on_update: UpdateHook | None = None, on_progress: PercentHook | None = None) -> None:
        self._on_update = on_update
        self._on_progress = on_progress
        self._percent = -1.0

    async def tell(self, task: VideoTask) -> None:
        """The task, as it is now."""
        if self._on_update is not None:
            await _call("on_update", self._on_update, task, task.task_id)
        percent = task.progress or 0.0
        # Of a task that failed it says 100 as well.
        if self._on_progress is not None and percent > self._percent and task.status != "failed":
            self._percent = percent
            await _call("on_progress", self._on_progress, percent, task.task_id)


async def _call(name: str, hook: Callable[..., Awaitable[None] | None], value: object, task_id: str) -> None:
    def note() -> None:
        log.exception("%s raised for task %s; the wait goes on", name, one_line(task_id))

    await call_back(hook, value, note)
