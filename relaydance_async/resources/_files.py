"""The files of a form, as a caller names them."""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, TypeAlias

from ..errors import InvalidInputError

FileInput: TypeAlias = str | os.PathLike[str] | bytes | BinaryIO | AsyncIterable[bytes]
"""A path, the bytes themselves, a binary file, or an asynchronous iterator of bytes."""


@dataclass(frozen=True, slots=True)
class CheckedFile:
    """A file that must have this content (SHA-256, in hexadecimal), or else is not sent whole."""

    content: FileInput
    digest: str


UploadedPart: TypeAlias = tuple[str, FileInput | CheckedFile, str | None, str | None]
"""Name of the field, content, file name and media type; the last two may be None."""
FilePart: TypeAlias = FileInput | tuple[str | None, FileInput] | tuple[str | None, FileInput, str | None]
"""A file as `files.upload` takes it, or a tuple of its name, itself and its media type."""
Files: TypeAlias = Mapping[str, FilePart | Sequence[FilePart]]
"""By the names of their fields; several of one field in a list."""


def parts_of(files: Files) -> list[UploadedPart]:
    """The parts of the form.

    Raises:
        InvalidInputError: there is none, or one is no file.
    """
    parts = [named_part(name, item) for name, given in files.items() for item in _listed(given)]
    if not parts:
        raise InvalidInputError("files must not be empty")
    return parts


def _listed(given: Any) -> list[Any]:
    return list(given) if isinstance(given, list) else [given]  # pyright: ignore[reportUnknownArgumentType]


def named_part(field: str, file: Any, filename: str | None = None, media_type: str | None = None) -> UploadedPart:
    """One file of the form. What is said apart counts more than what its tuple says.

    Raises:
        InvalidInputError: a tuple that is none of a file.
    """
    if not isinstance(file, tuple):
        return field, file, filename, media_type
    parts: list[Any] = list(file)  # pyright: ignore[reportUnknownArgumentType]
    if len(parts) not in (2, 3):
        raise InvalidInputError(f"a tuple as {field[:80]} must be (name, file) or (name, file, media type)")
    return field, parts[1], filename or parts[0], media_type or (parts[2] if len(parts) == 3 else None)


def is_named(file: object) -> bool:
    """Whether a tuple is one file with its name. One of several paths is not."""
    parts: list[Any] = list(file) if isinstance(file, tuple) else []  # pyright: ignore[reportUnknownArgumentType]
    return len(parts) in (2, 3) and not isinstance(parts[1], str)
