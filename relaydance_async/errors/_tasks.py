"""Video tasks that did not come to their clip."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..models._failure_kinds import FailureKind, failure_kind
from ._base import RelayDanceError

if TYPE_CHECKING:
    from ..models.video import VideoTask


_AFTER_FAILURE: dict[FailureKind, str] = {
    "refused content": "Change the prompt or the references; the same ones will be refused again",
    "bad input": "Correct the request before you submit again",
    "transient": "Submit again",
}


class TaskError(RelayDanceError):
    """A video task didn't come to its clip.

    Attributes:
        task: the task as last seen, or None when it was never seen.
    """

    def __init__(self, message: str = "", *, task: VideoTask | None = None, **details: Any) -> None:
        super().__init__(message, **details)
        self.task = task


class TaskFailedError(TaskError):
    """The task ended as failed. Failed tasks are not billed (API documentation). `task.error` has the reason.

    Attributes:
        code: of the upstream's reason, such as "OutputVideoSensitiveContentDetected"; None when it gave none.
    """

    _hint = "A failed task is not billed; submit again, with another prompt or model if the reason says so"

    @property
    def kind(self) -> FailureKind:
        """Whether it helps to submit again, by the upstream's code:

        - "refused content": a filter refused the prompt, a reference or the result. Change them first.
        - "bad input": a parameter is wrong. Correct it first.
        - "transient": the upstream had a fault, no time or no room. The same submit may succeed.
        - "unknown": no code, or one that isn't known.
        """
        if self.code is None and self.task is not None:
            return failure_kind(self.task.raw_status)  # "timeout" and "expired" come without a reason
        return failure_kind(self.code)

    @property
    def user_message(self) -> str | None:
        """The upstream's reason, where what was asked for is the reason; else None."""
        about_the_request = self.kind in ("refused content", "bad input")
        return self.task.error.message if about_the_request and self.task is not None and self.task.error else None

    @property
    def hint(self) -> str:
        """What to do about it, by `kind`."""
        then = _AFTER_FAILURE.get(self.kind)
        return f"A failed task is not billed. {then}" if then else self._hint


class TaskTimeoutError(TaskError, TimeoutError):
    """The task was not ready when the wait ended: its deadline passed, or nobody but strangers answered for 10 minutes.

    The task goes on, and is paid for when it succeeds. What the last poll failed of, if it did, is in the message and
    in `__cause__`.
    """

    @property
    def hint(self) -> str:
        """How to resume: the id is all it takes."""
        goes_on = "The task goes on" if self.task is not None else "The task may go on"
        return f"{goes_on}: resume with `await client.video.wait({self.task_id!r})`"
