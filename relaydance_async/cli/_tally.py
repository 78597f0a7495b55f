"""What the demo counts."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field

from .. import APIConnectionError, RetryEvent, VideoTask


@dataclass
class Tally:
    """The clips of one run, and what it took to get them.

    Attributes:
        wanted: clips to make.
        submitted: accepted by the gateway.
        failed: the reason why, by clip, of the tasks that ended as failed.
        problems: what else went wrong.
        bytes: downloaded.
        checked: clips that are whole; `probed`: those that ffprobe has read too.
        retries: failed attempts that were repeated, by what they ended in.
    """

    wanted: int
    submitted: int = 0
    succeeded: int = 0
    failed: dict[str, str] = field(default_factory=dict[str, str])
    problems: list[str] = field(default_factory=list[str])
    bytes: int = 0
    checked: int = 0
    probed: int = 0
    retries: Counter[str] = field(default_factory=Counter[str])
    started: float = field(default_factory=time.monotonic)
    latest: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def ended(self) -> int:
        """Clips that need no more waiting: saved, failed, or given up."""
        return self.checked + len(self.failed) + len(self.problems)

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self.started

    def saw_retry(self, event: RetryEvent) -> None:
        """The client's `on_retry`."""
        status = event.error.status_code
        if status is not None and status >= 500:
            self.retries["5xx"] += 1
        elif isinstance(event.error, APIConnectionError):
            self.retries["no connection or no whole answer"] += 1
        else:
            self.retries[str(status or type(event.error).__name__)] += 1

    def saw_task(self, task: VideoTask) -> None:
        """The client's `on_update`."""
        self.latest[task.task_id] = task.status

    def state(self) -> str:
        """Where the clips are, in a few words."""
        by_status = Counter(self.latest.values())
        return (
            f"{by_status['submitted']} queued, {by_status['running']} running, {by_status['succeeded']} made, "
            f"{self.checked} saved, {self.retries.total()} retries"
        )
