"""What a wait knows of its task, and when it asks again."""

from __future__ import annotations

from ..errors import NotFoundError, RelayDanceError, ResponseDecodeError, TaskFailedError
from ..models.video import VideoTask
from .polling import Place, next_poll
from .redact import without_queries

BELIEVED_AT = 3
"""So many answers in a row must deny a task that was there, before the wait believes them."""


class Watch:
    """One wait for one task, without the clock and the network.

    Attributes:
        task_id: of the task.
        last_seen: the task as the gateway showed it last; None before the first time.
        last_error: why the last poll failed; None when it did not fail.
    """

    def __init__(
        self, task_id: str, *, known: bool, begun: float, place: Place, last_seen: VideoTask | None = None
    ) -> None:
        """Begin to wait.

        Args:
            task_id: of the task.
            known: whether the gateway has shown the task before.
            begun: when the wait began, in seconds.
            place: of this wait among all waits.
            last_seen: the task as `on_update` knows it already.
        """
        self.task_id = task_id
        self.last_seen = last_seen
        self.last_error: RelayDanceError | None = None
        self._known = known
        self._begun = begun
        self._place = place
        self._denials = 0

    def record(self, task: VideoTask) -> bool:
        """Note what a poll has found. Returns whether the task has changed."""
        before, self.last_seen = self.last_seen, task
        self._known, self._denials, self.last_error = True, 0, None
        return before is None or _shown(before) != _shown(task)

    def record_error(self, error: RelayDanceError) -> bool:
        """Note that a poll has failed. Returns whether the wait goes on all the same."""
        if _denies(error):
            self._denials += 1
        if not self._is_bearable(error):
            return False
        self.last_error = error.with_traceback(None)  # whose frames would keep it alive
        return True

    def _is_bearable(self, error: RelayDanceError) -> bool:
        return error.retryable or (self._known and _denies(error) and self._denials < BELIEVED_AT)

    def next_poll(self, now: float, waits: int) -> float:
        """The pause before the next poll, in seconds.

        Args:
            now: on the clock of `begun`.
            waits: how many are under way in this process.
        """
        return next_poll(now - self._begun, self._place, waits)


def check_success(task: VideoTask) -> VideoTask:
    """A task that has ended, if it has succeeded.

    Raises:
        TaskFailedError: with the task and the upstream's reason.
    """
    if task.status == "succeeded":
        return task
    reason = task.error.message if task.error else None
    reason = without_queries(reason) if reason else "no reason given, as after a timeout of the upstream"
    code = task.error.code if task.error else None
    raise TaskFailedError(f"task {task.task_id} failed: {reason}", task=task, task_id=task.task_id, code=code)


def _denies(error: RelayDanceError) -> bool:
    """Whether the error can't be true of a task that is there."""
    return isinstance(error, NotFoundError | ResponseDecodeError) and not error.retryable


def _shown(task: VideoTask) -> tuple[str, float | None]:
    return task.raw_status, task.progress
