"""What all of video shares: a task, and how it is asked for."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeAlias

from ..._call import Api
from ..._sansio.extras import CallExtras
from ..._sansio.request import PreparedRequest, build_get
from ...errors import InvalidInputError
from ...models.video import VideoTask
from .._resource import Resource
from .._task_notes import TaskNotes
from .routes import RETRIEVE

TaskOrId: TypeAlias = VideoTask | str


class TaskResource(Resource):
    """The base of all that has to do with tasks."""

    def _notes(self) -> TaskNotes:
        return TaskNotes(self._api)


def id_of(task: TaskOrId) -> str:
    """The task's id."""
    return task.task_id if isinstance(task, VideoTask) else task


def build_poll(task_id: str, extras: CallExtras) -> PreparedRequest:
    """The request for a task as it is now.

    Raises:
        InvalidInputError: the id can't be one.
    """
    return build_get(RETRIEVE.target(extras.query, task_id=task_id), task_id=task_id)


def poll(request: PreparedRequest, api: Api) -> Coroutine[Any, Any, VideoTask]:
    """Send it."""
    return api.call(request, RETRIEVE.returns)


def check_deadline(deadline: float | None) -> None:
    """Raises InvalidInputError: it is not above 0."""
    if deadline is not None and not deadline > 0:
        raise InvalidInputError(f"deadline must be more than 0 seconds, not {deadline!r}")
