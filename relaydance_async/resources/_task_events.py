"""The end of a task as something else than a poll hears of it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeAlias

import anyio

from ..models.video import VideoTask

OnEnd: TypeAlias = Callable[[VideoTask], None]


class TaskEvents(Protocol):
    """Hears of the end of a task: a `WebhookReceiver`."""

    def subscribe(self, task_id: str, on_end: OnEnd, /) -> AbstractContextManager[None]:
        """Have the function called with the ended task, in this event loop, while the context is entered."""
        ...


class EndEvent:
    """The end of one task, once it was heard of. For one wait, in one event loop."""

    def __init__(self) -> None:
        self._task: VideoTask | None = None
        self._poll: anyio.CancelScope | None = None

    def set(self, task: VideoTask) -> None:
        """The task has ended. This ends a poll under way."""
        self._task = task
        if self._poll is not None:
            self._poll.cancel()

    async def first_of(self, poll: Coroutine[Any, Any, VideoTask]) -> VideoTask:
        """The task as the poll finds it, or as the event shows it, whichever comes first. Then the poll is cancelled.

        Raises:
            RelayDanceError: of the poll.
        """
        with anyio.CancelScope() as self._poll:
            if self._task is None:
                return await poll
        poll.close()
        assert self._task is not None
        return self._task
