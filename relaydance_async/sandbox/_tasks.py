"""Video tasks: where each one is, as a pure function of the sandbox clock."""

from __future__ import annotations

import hashlib
import heapq
import math
import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from ._checks import check_number, check_type
from ._clock import Clock
from ._json import Json

Phase = Literal["queued", "running", "done", "failed"]
PHASES = {"submit", *get_args(Phase)}


@dataclass(frozen=True)
class TaskScript:
    """How one task moves. Times are seconds of the sandbox clock."""

    queue: float = 1.0
    """Seconds until it starts."""
    run: float = 4.0
    """Seconds from then to its end."""
    outcome: Literal["succeeded", "failed", "hang"] = "succeeded"
    reason: str = "upstream said no"
    """Why it failed; "" for an upstream that timed out without saying so."""
    words: Mapping[str, str] | None = None
    """The raw status word for the phases "queued", "running", "done" and "failed", and for the answer to "submit"."""
    shape: Literal["wrapped", "upstream", "older"] = "wrapped"
    """Which envelope GET /v1/video/generations/{task_id} answers with in the gateway dialect (wire 3.2). An "older"
    gateway has the address of a finished clip in `fail_reason`."""
    code: str | None = None
    """Why it failed, for programs, such as "OutputVideoSensitiveContentDetected"."""
    upstream: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Laid over the upstream's own record of the task, such as `{"status": "expired"}`."""

    def __post_init__(self) -> None:
        check_number("queue", self.queue)
        check_number("run", self.run)
        if unknown := sorted(set(self.words or ()) - PHASES):
            raise ValueError(f"no phase is called {', '.join(unknown)}")


@dataclass(frozen=True)
class TaskPlan:
    """Which script each submitted task follows."""

    default: TaskScript = field(default_factory=TaskScript)
    scripts: Mapping[int, TaskScript] = field(default_factory=dict[int, TaskScript])
    """For the nth accepted submit, from 1."""
    jitter: float = 0.0
    """Each task's times vary by this fraction up or down, seeded."""
    choose: Callable[[int, Json], TaskScript] | None = None
    """Decides instead of `scripts` and `default`, from n and the submitted body."""

    def __post_init__(self) -> None:
        check_number("jitter", self.jitter, 0, 1)
        for script in (self.default, *self.scripts.values()):
            check_type("a script", script, TaskScript)

    def script_for(self, n: int, body: Json) -> TaskScript:
        if self.choose is not None:
            return self.choose(n, body)
        return self.scripts.get(n, self.default)


@dataclass(slots=True)
class Task:
    """One accepted video task."""

    n: int
    task_id: str
    key: str
    account: str
    model: str
    seconds: str
    metadata: Json
    script: TaskScript
    created: float
    starts: float
    ends: float
    units: int
    request_id: str
    """Of the submit."""
    callback_url: str | None
    settled: bool = False
    signed: float | None = None
    """When the URL of its clip was signed."""

    def phase(self, now: float) -> Phase:
        if now < self.starts:
            return "queued"
        if now < self.ends:
            return "running"
        return "failed" if self.script.outcome == "failed" else "done"

    def progress(self, now: float) -> int:
        """0 to 100."""
        if now < self.starts:
            return 0
        if now >= self.ends:
            return 100
        if math.isinf(self.ends):
            return 50
        return min(99, int(100 * (now - self.starts) / (self.ends - self.starts)))

    def updated(self, now: float) -> float:
        """When the gateway last saw it change."""
        if now < self.starts:
            return self.created
        return self.starts if now < self.ends else self.ends

    @property
    def upstream_id(self) -> str:
        return f"cgt-{self.task_id[-16:]}"


class TaskStore:
    """Every task, and which have come to their end. Thread-safe."""

    MOST_KEPT = 200_000

    def __init__(self, clock: Clock, plan: TaskPlan, seed: int, on_end: Callable[[Task], None]) -> None:
        check_type("tasks", plan, TaskPlan)
        self._clock = clock
        self.plan = plan
        self._seed = seed
        self._on_end = on_end
        self._lock = threading.RLock()
        self._tasks: dict[str, Task] = {}
        self._due: list[tuple[float, int, Task]] = []
        self._n = 0

    def submit(self, key: str, account: str, body: Json, metadata: Json, units: int, request_id: str) -> Task:
        """Accept a task."""
        with self._lock:
            self._n += 1
            n = self._n
            script = self.plan.script_for(n, body)
            factor = 1 + self.plan.jitter * random.Random(f"{self._seed}:task:{n}").uniform(-1, 1)
            created = self._clock.now()
            starts = created + script.queue * factor
            callback = metadata.get("callback_url")
            task = Task(
                n=n,
                task_id="task_" + hashlib.sha256(f"{self._seed}:task:{n}".encode()).hexdigest()[:32],
                key=key,
                account=account,
                model=str(body.get("model")),
                seconds=str(body.get("seconds", "5")),
                metadata=metadata,
                script=script,
                created=created,
                starts=starts,
                ends=math.inf if script.outcome == "hang" else starts + script.run * factor,
                units=units,
                request_id=request_id,
                callback_url=callback if isinstance(callback, str) and callback else None,
            )
            self._tasks[task.task_id] = task
            if len(self._tasks) > self.MOST_KEPT:
                del self._tasks[next(iter(self._tasks))]
            if not math.isinf(task.ends):
                heapq.heappush(self._due, (task.ends, n, task))
            return task

    def find(self, task_id: str, key: str) -> Task | None:
        """The task, unless it belongs to another key."""
        task = self._tasks.get(task_id)
        return task if task is not None and task.key == key else None

    def any_with_id(self, task_id: str) -> Task | None:
        return self._tasks.get(task_id)

    def settle(self) -> None:
        """Bring every task that is past its end to its end: refunds and webhooks happen here, once each."""
        if not self._due or self._due[0][0] > self._clock.now():
            return
        with self._lock:
            now = self._clock.now()
            while self._due and self._due[0][0] <= now:
                task = heapq.heappop(self._due)[2]
                task.settled = True
                self._on_end(task)

    def next_end(self) -> float | None:
        """When the next task ends, on the sandbox clock."""
        with self._lock:
            return self._due[0][0] if self._due else None

    def all(self) -> list[Task]:
        with self._lock:
            return list(self._tasks.values())

    def reset(self) -> None:
        with self._lock:
            self._tasks.clear()
            self._due.clear()
            self._n = 0
