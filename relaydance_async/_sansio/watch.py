"""What a wait knows of its task, and when it asks again.

What a poll finds, and what it means for the task:

| the poll finds | the wait |
|---|---|
| the task | believes it, signed or not |
| the gateway's own 401 | ends: the key is refused |
| the gateway's own other refusal (`task_not_exist`, 403, …) | believes it at the third in a row: a replica may be behind |
| what may pass: no connection, 429, 5xx | goes on, however often that happens |
| anything else (a page, an empty answer, another task, a proxy's refusal): it says nothing of the task | goes on, without a deadline for 10 minutes |
"""  # noqa: E501  (a table)

from __future__ import annotations

from ..errors import (
    APIConnectionError,
    APIStatusError,
    AuthenticationError,
    RelayDanceError,
    ResponseDecodeError,
    TaskFailedError,
    TaskTimeoutError,
)
from ..models.video import VideoTask
from .answerer import is_signed
from .envelope import parse_envelope
from .polling import Place, last_look, next_poll
from .redact import without_queries

BELIEVED_AT = 3
"""So many of the gateway's answers in a row must deny a task, before the wait believes them."""

LONGEST_ASKED = 120.0
"""Seconds of a `Retry-After` that a wait without a deadline keeps to, as `RetryPolicy.longest_retry_after` has it."""

STRANGERS_FOR = 600.0
"""Seconds of strangers' answers and nothing else, after which a wait without a deadline ends: the base URL is wrong,
perhaps, or a proxy wants somebody to log in."""

_SHOWN = 300
"""Characters of the last error in the message of another."""


class Watch:
    """One wait for one task, without the clock and the network.

    Attributes:
        task_id: of the task.
        last_seen: the task as the gateway showed it last; None before the first time.
        last_error: why the last poll failed; None when it did not fail.
    """

    def __init__(
        self,
        task_id: str,
        *,
        begun: float,
        place: Place,
        deadline: float | None = None,
        last_seen: VideoTask | None = None,
    ) -> None:
        """Begin to wait.

        Args:
            task_id: of the task.
            begun: when the wait began, in seconds.
            place: of this wait among all waits.
            deadline: of the wait, in seconds from its begin; None when it has none.
            last_seen: the task as `on_update` knows it already.
        """
        self.task_id = task_id
        self.last_seen = last_seen
        self.last_error: RelayDanceError | None = None
        self._begun = begun
        self._place = place
        self._deadline = deadline
        self._took = 0.0
        self._has_looked = False
        self._reached = False
        self._denials = 0
        self._strangers_since: float | None = None
        self._not_before = begun

    def check(self, task: VideoTask) -> VideoTask:
        """The task that a poll has found, if it is the one that was asked for.

        Raises:
            ResponseDecodeError: it is another one, as from a cache that mixes answers up.
        """
        if task.task_id != self.task_id:
            raise ResponseDecodeError(f"the answer is about another task: {task.task_id[:100]!r}", task_id=self.task_id)
        return task

    def record(self, task: VideoTask) -> bool:
        """Note what a poll has found. Returns whether the task has changed."""
        before, self.last_seen = self.last_seen, task
        self._reached, self._denials, self._strangers_since, self.last_error = True, 0, None, None
        return before is None or _shown(before) != _shown(task)

    def record_error(self, error: RelayDanceError, now: float) -> bool:
        """Note that a poll has failed. Returns whether the wait goes on all the same.

        Args:
            error: of the poll.
            now: on the clock of `begun`.

        Raises:
            TaskTimeoutError: only strangers have answered for too long.
        """
        goes_on = error.retryable or self._is_bearable(error, now)
        if goes_on:
            self.last_error = error.with_traceback(None)  # whose frames would keep it alive
            self._not_before = now + self._asked(error)
            self._check_strangers(now)
        return goes_on

    def _asked(self, error: RelayDanceError) -> float:
        """The seconds that the answer asked to wait: a deadline bounds them, and without one LONGEST_ASKED."""
        asked = (error.retry_after if isinstance(error, APIStatusError) else None) or 0.0
        return asked if self._deadline is not None else min(asked, LONGEST_ASKED)

    def _is_bearable(self, error: RelayDanceError, now: float) -> bool:
        if _is_gateways(error):
            self._reached, self._strangers_since = True, None
            self._denials += 1
            return not isinstance(error, AuthenticationError) and self._denials < BELIEVED_AT
        if not self._is_strangers(error):
            return False
        self._strangers_since = now if self._strangers_since is None else self._strangers_since
        return True

    def _is_strangers(self, error: RelayDanceError) -> bool:
        # A connection that can't be trusted or set up: the settings are wrong. But where it has worked before, a portal
        # is in between.
        known = isinstance(error, APIConnectionError) and self._reached
        return known or isinstance(error, APIStatusError | ResponseDecodeError)

    def _check_strangers(self, now: float) -> None:
        since = self._strangers_since
        if self._deadline is None and since is not None and now - since >= STRANGERS_FOR:
            raise self._gives_up(f"for {STRANGERS_FOR / 60:g} minutes nobody but strangers answered for it")

    def out_of_time(self) -> TaskTimeoutError:
        """The error of a wait whose deadline has passed."""
        return self._gives_up(f"was not ready within {self._deadline or 0:g} s")

    def _gives_up(self, why: str) -> TaskTimeoutError:
        last = self.last_error
        said = f"; the last poll failed: {_summary(last)}" if last is not None else ""
        error = TaskTimeoutError(f"task {self.task_id} {why}{said}", task=self.last_seen, task_id=self.task_id)
        error.__cause__ = last
        return error

    def polled(self, took: float) -> None:
        """Note that a poll took so many seconds, with its wait for a permit."""
        self._took = took

    def next_poll(self, now: float, waits: int, limit: float | None = None) -> float:
        """The pause before the next poll, in seconds.

        It is the schedule's, and never sooner than the last answer asked for. But once, just before the deadline, the
        wait looks for the last time: what was ready by then is found.

        Args:
            now: on the clock of `begun`.
            waits: how many are under way in this process.
            limit: of the key, in calls a second; None while it is not known.
        """
        elapsed = now - self._begun
        pause = max(next_poll(elapsed, self._place, waits, limit), self._not_before - now)
        if self._deadline is None or self._has_looked or self._not_before >= self._begun + self._deadline:
            return pause
        last = last_look(self._deadline, self._place, self._took, waits, limit)
        if elapsed + pause < last:
            return pause
        self._has_looked = True
        return max(0.0, last - elapsed, self._not_before - now)


def check_success(task: VideoTask) -> VideoTask:
    """A task that has ended, if it has succeeded.

    Raises:
        TaskFailedError: with the task and the upstream's reason.
    """
    if task.status == "succeeded":
        return task
    code = task.error.code if task.error else None
    reason = without_queries(task.error.message) if task.error else ""
    if not reason:
        reason = "no reason given" if code else "no reason given, as after a timeout of the upstream"
    raise TaskFailedError(f"task {task.task_id} failed: {reason}", task=task, task_id=task.task_id, code=code)


def _is_gateways(error: RelayDanceError) -> bool:
    """Whether the gateway itself has refused: in its own shape, and nobody else's name is on it."""
    if not isinstance(error, APIStatusError) or error.answered_by is not None:
        return False
    # Of a 2xx it is not known who sent it, unless it is signed.
    good = 200 <= (error.status_code or 0) < 300
    return parse_envelope(error.raw_body) is not None and (not good or is_signed(error.meta.headers))


def _summary(error: RelayDanceError) -> str:
    """An error in a few words."""
    status = f"HTTP {error.status_code}: " if error.status_code else ""
    by = getattr(error, "answered_by", None)
    return f"{status}{error.message[:_SHOWN]}{f' (answered by {by})' if by else ''}"


def _shown(task: VideoTask) -> tuple[str, float | None]:
    return task.raw_status, task.progress
