"""What a clip is made after, as callers name it: URLs, files, uploads and other clips."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, TypeAlias
from urllib.parse import urlsplit

from ...errors import InvalidInputError
from ...models.assets import Asset
from ...models.files import UploadedFile
from ...models.references import FirstFrame, ImageReference, LastFrame, Reference, VideoReference
from ...models.video import VideoTask

LocalContent: TypeAlias = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO
"""A path, the bytes themselves, or a binary file that can be rewound."""
Material: TypeAlias = Reference | LocalContent | UploadedFile | Asset | VideoTask
"""What `references` take. Of text, what begins with a scheme is a URL, and all else a path."""
Frame: TypeAlias = LocalContent | UploadedFile | Asset | VideoTask
"""What `first_frame` and `last_frame` take: the same, and of a task its last frame."""

ReferenceKind: TypeAlias = type[Reference]


@dataclass(frozen=True, slots=True)
class Local:
    """A file, to be uploaded. `kind`: what it is to be; None: its content tells."""

    content: Any
    kind: ReferenceKind | None = None


@dataclass(frozen=True, slots=True)
class OfTask:
    """Something that a task has made: its clip, or, for a frame, the last one."""

    task_id: str
    kind: ReferenceKind


Item: TypeAlias = Reference | str | Local | OfTask | Any
"""What isn't known is left to the request's own check, which names its place."""


def take_materials(arguments: Mapping[str, Any]) -> list[Item]:
    """What a clip is to be made after, in order.

    Raises:
        InvalidInputError: `references` is no list.
    """
    found = [_as_item(value) for value in _listed(arguments.get("references"))]
    for name, kind in (("first_frame", FirstFrame), ("last_frame", LastFrame)):
        if (value := arguments.get(name)) is not None:
            found.append(_as_frame(value, kind))
    return found


def needs_work(items: Iterable[Item]) -> bool:
    """Whether something is to be read or asked for, before the clip can be submitted."""
    return any(isinstance(item, Local | OfTask) for item in items)


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    if isinstance(value, str | bytes | os.PathLike | Mapping) or not isinstance(value, Iterable):
        kind: type = type(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
        raise InvalidInputError(f"references must be a list, not {kind.__name__}")
    return list(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def _as_item(value: Any) -> Item:
    if isinstance(value, Reference):
        return value if isinstance(value.url, str) else Local(_held(value.url), type(value))
    if isinstance(value, UploadedFile):
        return value.url
    if isinstance(value, Asset):
        return value.as_reference()
    if isinstance(value, VideoTask):
        return OfTask(value.task_id, VideoReference)
    return Local(_held(value)) if _is_local(value) else value


def _as_frame(value: Any, kind: type[FirstFrame] | type[LastFrame]) -> Item:
    if isinstance(value, VideoTask):
        return OfTask(value.task_id, kind)
    if isinstance(value, Asset):
        value = value.as_reference()
    if isinstance(value, ImageReference | kind):
        value = value.url
    item = _as_item(value)
    if isinstance(item, Local):
        return Local(item.content, kind)
    return kind(item) if isinstance(item, str) else kind(value)


def _is_local(value: object) -> bool:
    if isinstance(value, str):
        # A scheme of one letter is a Windows drive. Without this, " https://…" would be a file that isn't there.
        return bool(value.strip()) and value == value.strip() and len(urlsplit(value).scheme) < 2
    return isinstance(value, os.PathLike | bytes | bytearray | memoryview) or hasattr(value, "read")


def _held(content: Any) -> Any:
    """The content, independent of what the caller does to it afterwards."""
    if isinstance(content, bytearray | memoryview):
        return bytes(content)  # pyright: ignore[reportUnknownArgumentType]
    return content
