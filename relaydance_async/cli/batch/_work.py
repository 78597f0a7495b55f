"""A row becomes a result: sent once, waited for, saved. And what went wrong becomes a line of errors.jsonl."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from ... import (
    AsyncRelayDance,
    BadRequestError,
    ContentRefusedError,
    DownloadError,
    IdempotencyKeyReusedError,
    InvalidInputError,
    NotFoundError,
    Outcome,
    RelayDanceError,
    RequestTooLargeError,
    SubmissionInDoubtError,
    TaskFailedError,
    VideoTask,
    maybe_accepted,
)
from ._money import Budget, Prices
from ._options import Kind
from ._rows import Row

Record = dict[str, Any]

CONTENT: Final = "content"
INPUT: Final = "input"
PASSING: Final = "passing"
DOUBT: Final = "doubt"
UNSAVED: Final = "unsaved"
UNKNOWN: Final = "unknown"
WHYS = (CONTENT, INPUT, PASSING, DOUBT, UNSAVED, UNKNOWN)
"""Why a row has no result:

- content: a filter refused the prompt, a reference or the clip
- input: the request is wrong
- passing: no answer, overload, a fault of the upstream: it may go well the next time
- doubt: it may have been accepted, and nobody knows
- unsaved: it was made, and not saved
- unknown: none of these
"""
_AGAIN = frozenset({PASSING, DOUBT, UNSAVED})
"""What the next start of the run looks at by itself. A doubt that stands is told again, and not sent."""

_FAILURES = {"refused content": CONTENT, "bad input": INPUT, "transient": PASSING, "unknown": UNKNOWN}
_REFUSALS: tuple[tuple[tuple[type[RelayDanceError], ...], str], ...] = (
    ((ContentRefusedError,), CONTENT),
    ((BadRequestError, NotFoundError, RequestTooLargeError, InvalidInputError, IdempotencyKeyReusedError), INPUT),
)


@dataclass(frozen=True, slots=True)
class Done:
    """A row's result."""

    files: list[str]
    cost: float | None
    task_id: str | None = None
    request_id: str | None = None
    body: Record | None = None
    submits: int = 1


@dataclass
class Worker:
    """Does one row after another, many at once. It is the function of the fan-out.

    Attributes:
        held: the ids of rows that are, or may be, paid for already: no budget may keep them from being fetched.
        moved: is called when a row has moved on.
    """

    client: AsyncRelayDance
    folder: Path
    budget: Budget
    prices: Prices
    task_retries: int
    held: set[str]
    moved: Callable[[Row, str], None]
    accepted: set[str] = field(default_factory=set[str])
    _kinds: Mapping[Kind, Callable[[Row], Awaitable[Done]]] = field(init=False)

    def __post_init__(self) -> None:
        self._kinds = {"video": self._clip, "image": self._images, "chat": self._chat}

    async def __call__(self, row: Row) -> Done:
        """The row's result, or why there is none."""
        return await self._kinds[row.kind](row)

    async def _clip(self, row: Row) -> Done:
        submits = 1
        while True:
            try:
                task, cost = await self._paid(row, self._make_clip)
                break
            except TaskFailedError as error:
                if error.kind != "transient" or submits > self.task_retries:
                    raise
                submits += 1
                self.moved(row, "again")
        self.moved(row, "saving")
        path = await self.client.video.download(task, self.folder / f"{row.name}.{_suffix(task)}")
        return Done([path.name], cost, task.task_id, submits=submits)

    async def _make_clip(self, row: Row) -> VideoTask:
        body = dict(row.body)
        known = {name: body.pop(name) for name in ("model", "prompt", "seconds", "metadata") if name in body}
        task = await self.client.video.submit(**known, extra_body=body or None, idempotency_key=row.id)
        self.accepted.add(row.id)
        self.moved(row, "waiting")
        return await self.client.video.wait(task)

    async def _images(self, row: Row) -> Done:
        async def make(row: Row) -> Any:
            body = dict(row.body)
            model, prompt = body.pop("model"), body.pop("prompt")
            return await self.client.images.generate(
                model=model, prompt=prompt, extra_body=body or None, idempotency_key=row.id
            )

        images, cost = await self._paid(row, make)
        self.moved(row, "saving")
        files: list[str] = []
        for number, image in enumerate(images.data, start=1):
            name = row.name if len(images.data) == 1 else f"{row.name}-{number}"
            path = await self.client.images.save(image, self.folder / f"{name}.{row.body.get('output_format', 'png')}")
            files.append(path.name)
        body = images.model_dump(mode="json", exclude_unset=True, exclude={"data": {"__all__": {"b64_json"}}})
        return Done(files, cost, request_id=images.meta.request_id, body=body)

    async def _chat(self, row: Row) -> Done:
        async def make(row: Row) -> Any:
            body = dict(row.body)
            model, messages = body.pop("model"), body.pop("messages")
            return await self.client.chat.completions.create(
                model=model, messages=messages, extra_body=body or None, idempotency_key=row.id
            )

        chat, cost = await self._paid(row, make)
        return Done([], cost, request_id=chat.meta.request_id, body=chat.model_dump(mode="json", exclude_unset=True))

    async def _paid(self, row: Row, make: Callable[[Row], Awaitable[Any]]) -> tuple[Any, float | None]:
        """Make it within the budget; what it costs."""
        bound = self.prices.bound(row) or 0.0
        if row.id in self.held:
            self.held.discard(row.id)
            self.budget.take_held(bound)
        else:
            await self.budget.reserve(bound)
        cost: float | None = 0.0
        self.moved(row, "sending")
        try:
            made = await make(row)
            self.accepted.add(row.id)
            cost = self.prices.cost(row, made.model_dump(mode="json", include={"usage"}))
            return made, cost
        except TaskFailedError:
            self.accepted.discard(row.id)
            raise
        except BaseException as error:
            cost = self.cost_of(row, error)
            raise
        finally:
            self.budget.settle(bound, cost or 0.0)

    def cost_of(self, row: Row, error: BaseException) -> float:
        """What a row without a result may have cost."""
        is_paid = row.id in self.accepted or maybe_accepted(error)
        return self.prices.bound(row) or 0.0 if is_paid else 0.0


def result_of(outcome: Outcome[Row, Done]) -> Record:
    """The line of a row that is done."""
    row, done = outcome.item, outcome.value
    record: Record = {"id": row.id, "line": row.line, "kind": row.kind, "model": row.model, "files": done.files}
    optional = {"task_id": done.task_id, "request_id": done.request_id, "cost": done.cost, "body": done.body}
    record |= {name: value for name, value in optional.items() if value is not None}
    return record | {"submits": done.submits, "seconds": round(outcome.seconds, 3), "at": _now()}


def error_of(row: Row, error: BaseException, cost: float) -> Record:
    """The line of a row that isn't."""
    why = why_of(error)
    record: Record = {"id": row.id, "line": row.line, "kind": row.kind, "model": row.model, "why": why}
    record |= {"again": why in _AGAIN, "error": type(error).__name__, "message": str(error)[:2_000]}
    if isinstance(error, RelayDanceError):
        optional = {
            "code": error.code,
            "status": error.status_code,
            "task_id": error.task_id,
            "request_id": error.request_id,
        }
        record["message"] = error.message
        record |= {name: value for name, value in optional.items() if value is not None}
    if cost:
        record["cost"] = cost
    return record | {"at": _now()}


def why_of(error: BaseException) -> str:
    """One of `WHYS`."""
    if isinstance(error, TaskFailedError):
        return _FAILURES[error.kind]
    if isinstance(error, SubmissionInDoubtError):
        return DOUBT
    if isinstance(error, DownloadError):
        return UNSAVED
    if not isinstance(error, RelayDanceError):
        return UNKNOWN
    if error.task_id is not None:
        return PASSING  # its clip goes on, and is waited for again
    if error.maybe_accepted:
        return DOUBT
    return next((why for kinds, why in _REFUSALS if isinstance(error, kinds)), PASSING)


def _suffix(task: VideoTask) -> str:
    form = (task.format or "mp4").lower()
    return form if form.isalnum() and len(form) <= 5 else "mp4"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
