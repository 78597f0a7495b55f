"""The files of a form, as a caller names them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from ..errors import InvalidInputError
from ._upload import FileInput, UploadedPart

FilePart: TypeAlias = FileInput | tuple[str | None, FileInput] | tuple[str | None, FileInput, str | None]
"""A file as `files.upload` takes it, or a tuple of its name, itself and its media type."""
Files: TypeAlias = Mapping[str, FilePart | Sequence[FilePart]]
"""By the names of their fields; several of one field in a list."""


def parts_of(files: Files) -> list[UploadedPart]:
    """The parts of the form.

    Raises:
        InvalidInputError: there is none, or one is no file.
    """
    parts = [_part(name, item) for name, given in files.items() for item in _listed(given)]
    if not parts:
        raise InvalidInputError("files must not be empty")
    return parts


def _listed(given: Any) -> list[Any]:
    return list(given) if isinstance(given, list) else [given]  # pyright: ignore[reportUnknownArgumentType]


def _part(name: str, item: Any) -> UploadedPart:
    if not isinstance(item, tuple):
        return name, item, None, None
    parts: list[Any] = list(item)  # pyright: ignore[reportUnknownArgumentType]
    if len(parts) == 2:
        return name, parts[1], parts[0], None
    if len(parts) == 3:
        return name, parts[1], parts[0], parts[2]
    raise InvalidInputError(f"a tuple in files[{name!r:.80}] must be (name, file) or (name, file, media type)")
