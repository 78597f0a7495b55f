"""What can be uploaded, as a body that is sent while it is read: 1 MiB at a time, files in a thread."""

from __future__ import annotations

import io
import json
import mimetypes
import os
import secrets
import threading
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import anyio
import anyio.to_thread

from .._sansio.multipart import build_multipart
from .._sansio.request import BodyStream, PreparedRequest, RetrySafety, model_of
from .._sansio.target import ApiTarget
from ..errors import InvalidInputError, mark_accepted

PIECE = 1024 * 1024
"""Bytes read at once."""

_OPEN_AS_TEXT = "the file is open as text; open it with mode 'rb'"

FileInput: TypeAlias = str | os.PathLike[str] | bytes | BinaryIO | AsyncIterable[bytes]
"""A path, the bytes themselves, a binary file, or an asynchronous iterator of bytes."""

UploadedPart: TypeAlias = tuple[str, FileInput, str | None, str | None]
"""Name of the field, content, file name and media type; the last two may be None."""


@asynccontextmanager
async def open_upload(
    target: ApiTarget,
    files: list[UploadedPart],
    fields: Mapping[str, Any] | None = None,
) -> AsyncGenerator[PreparedRequest, None]:
    """A billed multipart POST. The files that sending it has opened are closed at the end, not only when the garbage
    is collected: the error of a broken or cancelled call holds on to the iterators that read them.

    Args:
        target: the endpoint.
        files: name of the field, content, file name and media type (None: taken from the path, or by the name's
            ending).
        fields: what else the form holds; None values are left out.

    Raises:
        InvalidInputError: a file that isn't there, is empty or can't be read as bytes.
    """
    parts: list[tuple[str, str, str, BodyStream]] = []
    opened = ExitStack()
    try:
        for name, content, filename, media_type in files:
            known_as = filename or _name_of(content)
            kind = media_type or mimetypes.guess_type(known_as)[0] or "application/octet-stream"
            parts.append((name, known_as, kind, await _body_of(content, opened)))
    except BaseException as error:
        mark_accepted(error, False)
        raise
    texts = [(name, _as_field(value)) for name, value in (fields or {}).items() if value is not None]
    body, content_type = build_multipart(texts, parts, boundary=secrets.token_hex(16))
    headers = {"content-type": content_type}
    if body.length is not None:
        headers["content-length"] = str(body.length)
    with opened:
        yield PreparedRequest("POST", target, RetrySafety.BILLED, body, headers, model=model_of(fields or {}))


def _as_field(value: object) -> str:
    try:
        return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInputError(f"a field of the form can't be sent: {error}") from None


def _name_of(content: object) -> str:
    name: Any = getattr(content, "name", None) or content
    try:
        return Path(name).name or "upload"
    except TypeError:  # bytes, a file descriptor's number, an iterator
        return "upload"


def _is_text(file: object) -> bool:
    return isinstance(file, io.TextIOBase)


async def _body_of(content: FileInput, opened: ExitStack) -> BodyStream:
    if isinstance(content, str | os.PathLike):
        return await _path_body(Path(content), opened)
    if isinstance(content, bytes | bytearray | memoryview):
        return _bytes_body(bytes(content))
    if isinstance(content, AsyncIterable):
        stream = aiter(content)
        return BodyStream(lambda: stream, None, replayable=False)
    if _is_text(content):
        raise InvalidInputError(_OPEN_AS_TEXT)
    if hasattr(content, "read"):
        return await _file_body(content)
    raise InvalidInputError(
        f"can't upload a {type(content).__name__}: pass a path, bytes, a binary file or an async iterator"
    )


async def _path_body(path: Path, opened: ExitStack) -> BodyStream:
    try:
        status = await anyio.Path(path).stat()
        if not await anyio.Path(path).is_file():
            raise InvalidInputError(f"{path} is not a file")
    except OSError as error:
        raise InvalidInputError(f"can't read {path}: {error.strerror}") from None
    _check_not_empty(status.st_size)

    async def pieces() -> AsyncIterator[bytes]:
        reader = _PathReader(path)
        opened.callback(reader.close)
        while piece := await anyio.to_thread.run_sync(reader.read):
            yield piece
        reader.close()

    return BodyStream(pieces, status.st_size)


class _PathReader:
    """A file that is opened and read in threads. A cancelled caller can close it while one is still in there."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._closed = False
        self._lock = threading.Lock()

    def read(self) -> bytes:
        with self._lock:
            if self._closed:
                return b""
            if self._file is None:
                self._file = self._path.open("rb")
            return self._file.read(PIECE)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            if self._file is not None:
                self._file.close()


def _bytes_body(content: bytes) -> BodyStream:
    _check_not_empty(len(content))

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(content), PIECE):
            yield content[start : start + PIECE]

    return BodyStream(pieces, len(content))


async def _file_body(file: BinaryIO) -> BodyStream:
    try:
        start = file.tell()
        length = await anyio.to_thread.run_sync(lambda: file.seek(0, os.SEEK_END) - start)
        file.seek(start)
    except (OSError, AttributeError, ValueError):
        start, length = -1, None  # a pipe: it can be read once
    if length is not None:
        _check_not_empty(length)

    async def pieces() -> AsyncIterator[bytes]:
        if start >= 0:
            await anyio.to_thread.run_sync(file.seek, start)
        while piece := await anyio.to_thread.run_sync(file.read, PIECE):
            if not isinstance(piece, bytes):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise InvalidInputError(_OPEN_AS_TEXT)
            yield piece

    return BodyStream(pieces, length, replayable=start >= 0)


def _check_not_empty(size: int) -> None:
    if size <= 0:
        raise InvalidInputError("the file is empty")
