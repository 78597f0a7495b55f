"""Video tasks: what is submitted, and what becomes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, InstanceOf, model_validator
from pydantic.json_schema import SkipJsonSchema

from ._base import Result, WireModel
from ._failure_kinds import FailureKind, failure_kind
from ._lenient import inner, is_object
from ._shown import escaped, is_web, link_to, table
from ._task_shapes import TaskStatus, normalize_task
from .references import LIMITS, AnyReference, FirstFrame, ImageReference, LastFrame, as_reference


class TaskFailure(WireModel):
    """Why a task failed, in the upstream's words.

    Attributes:
        message: for a person; "" when only a code came.
        code: of the upstream, or None when it gave none.
    """

    message: str
    code: str | None = None

    @property
    def kind(self) -> FailureKind:
        """What the code means for a program; see `TaskFailedError`."""
        return failure_kind(self.code)


class TaskUsage(BaseModel):
    """What a clip has used, as its upstream counts.

    Attributes:
        completion_tokens: of the clip.
        total_tokens: in all.
    """

    completion_tokens: int | None = None
    total_tokens: int | None = None


class VideoTask(Result):
    """A video task as the gateway last reported it. Plain data: it goes to JSON and back, and holds no client.

    Every shape that the gateway sends decodes to the same thing. Two tasks are equal when all but `extra` is.

    Attributes:
        task_id: all it takes to come back to the task later.
        status: one of the four documented words. A word never heard of is `running`, unless what comes with it says
            that the task has ended: the clip's address at 100 % (`succeeded`), or a reason at 100 % or with a time of
            the end (`failed`).
        raw_status: the word as it arrived.
        progress: 0 to 100, or None when the gateway doesn't tell.
        url: of the finished clip; None before, and None when the clip is only at `/videos/{id}/content`.
        format: of the clip, such as "mp4".
        model: its id.
        error: why it failed; None when it didn't, or when no reason was given.
        metadata: as the gateway sent it.
        created_at, completed_at: Unix times in seconds; `completed_at` only once the task has ended.
        duration: of the clip, in seconds.
        resolution: such as "720p".
        seed: of the clip. The same seed gives a similar clip.
        usage: what it used, as the upstream counts.
        last_frame_url: of the picture that the clip ends with, if it was asked for.
        extra: all else that came, such as the gateway's own record and the upstream's. It may hold what your users
            should not see. So it is kept out of `model_dump()`, JSON, the schema, `repr()` and `==`. A copy and a
            pickle have it.

    From `duration` to `last_frame_url`, a field is None where the upstream doesn't tell, or tells nonsense.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="ignore", protected_namespaces=())

    task_id: str = Field(min_length=1)
    status: TaskStatus
    raw_status: str = ""
    progress: float | None = Field(default=None, ge=0, le=100)
    url: str | None = None
    format: str | None = None
    model: str | None = None
    error: TaskFailure | None = None
    metadata: dict[str, Any] | None = None
    created_at: int | None = None
    completed_at: int | None = None
    duration: float | None = None
    resolution: str | None = None
    seed: int | None = None
    usage: TaskUsage | None = None
    last_frame_url: str | None = None
    extra: SkipJsonSchema[dict[str, Any]] = Field(default_factory=dict[str, Any], exclude=True, repr=False)

    @model_validator(mode="before")
    @classmethod
    def _any_shape(cls, value: Any) -> Any:
        return normalize_task(value) if is_object(value) else value

    def _repr_html_(self) -> str:
        """For a notebook: the state, the prompt where the gateway tells it, and the clip."""
        rows: list[tuple[str, str | None]] = [("task", self.task_id), ("status", self.status), ("model", self.model)]
        if self.progress is not None and not self.is_terminal:
            rows.append(("progress", f"{self.progress:g} %"))
        rows += [("prompt", self._prompt()), ("failed", self.error.message if self.error else None)]
        return table((name, value) for name, value in rows if value) + self._clip_html()

    def _clip_html(self) -> str:
        if not is_web(self.url):
            return ""
        poster = f' poster="{escaped(self.last_frame_url)}"' if is_web(self.last_frame_url) else ""
        source = escaped(self.url)
        return (
            f'<video controls preload="none" width="320"{poster} src="{source}"></video><br>{link_to(self.url, "clip")}'
        )

    def _prompt(self) -> str | None:
        places = (self.metadata, self.extra, inner(self.extra, "properties"))
        found = (inner(place, name) for place in places for name in ("prompt", "input"))
        return next((value for value in found if isinstance(value, str) and value), None)

    @property
    def is_terminal(self) -> bool:
        """Whether the task has ended, in success or failure."""
        return self.status in ("succeeded", "failed")

    @property
    def id(self) -> str:
        """The same as `task_id`, whatever number the gateway's record has besides."""
        return self.task_id

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return _public(self) == _public(other)

    __hash__ = None  # type: ignore[assignment]  # it can be changed


def _public(task: VideoTask) -> dict[str, Any]:
    return {name: value for name, value in vars(task).items() if name != "extra"}


MOST_SECONDS = 1e9
"""Above it, about 30 years, a number of seconds is a mistake. It also keeps infinity out."""


def _as_seconds(value: object) -> object:
    """The API takes a string only; a number is a 400."""
    if isinstance(value, bool):
        raise ValueError("must be a number of seconds")
    if isinstance(value, int | float):
        if not 0 < value < MOST_SECONDS:
            raise ValueError("must be more than 0, and finite")
        return str(int(value)) if value == int(value) else str(value)
    return value


class VideoRequest(BaseModel):
    """A clip to be made, with the body that the API documents for it."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", protected_namespaces=())

    model: str = Field(min_length=1)
    prompt: str = Field(min_length=1)
    seconds: Annotated[str | None, BeforeValidator(_as_seconds)] = None
    ratio: str | None = None
    resolution: str | None = None
    generate_audio: bool | None = None
    callback_url: str | None = None
    return_last_frame: bool | None = None
    references: Sequence[Annotated[InstanceOf[AnyReference], BeforeValidator(as_reference)]] = ()
    metadata: Mapping[str, Any] = Field(default_factory=dict[str, Any])

    @model_validator(mode="after")
    def _fits(self) -> VideoRequest:
        if self.metadata and (twice := sorted(self._named_metadata().keys() & self.metadata.keys())):
            raise ValueError(f"given twice, as an argument and in metadata: {', '.join(twice)}")
        if self.references:
            self._check_references()
        return self

    def _check_references(self) -> None:
        roles = [item.role for item in self.references]
        for role, limit in LIMITS.items():
            if roles.count(role) > limit:
                raise ValueError(f"{roles.count(role)} references of role {role}; the API takes at most {limit}")
        if ImageReference.role in roles and {FirstFrame.role, LastFrame.role} & set(roles):
            raise ValueError("a first or last frame excludes reference images; send one or the other")

    def _named_metadata(self) -> dict[str, Any]:
        named = {
            "ratio": self.ratio,
            "resolution": self.resolution,
            "generate_audio": self.generate_audio,
            "callback_url": self.callback_url,
            "return_last_frame": self.return_last_frame,
            "content": [item.content_item() for item in self.references] or None,
        }
        return {name: value for name, value in named.items() if value is not None}

    def body(self) -> dict[str, Any]:
        """The JSON body (API documentation, "Video generations"). What is not given is None, for `build_post` to leave
        out; a None within `metadata` is the caller's and is sent as null."""
        return {
            "model": self.model,
            "prompt": self.prompt,
            "seconds": self.seconds,
            "metadata": {**self.metadata, **self._named_metadata()} or None,
        }
