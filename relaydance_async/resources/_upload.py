"""What can be uploaded, as a body that is sent while it is read: 2 MiB at a time, files in a thread."""

from __future__ import annotations

import io
import json
import mimetypes
import os
import secrets
import stat
import tempfile
import threading
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Mapping
from contextlib import ExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, cast

from .._sansio.fingerprint import canonical_form
from .._sansio.multipart import build_multipart
from .._sansio.request import BodyStream, PreparedRequest, RetrySafety, closing_body, model_of
from .._sansio.target import ApiTarget
from .._threads import in_thread
from ..errors import InvalidInputError, RelayDanceError, mark_accepted
from ._aside import aside
from ._files import CheckedFile, FileInput, UploadedPart
from ._open_file import open_file, size_of, unreadable
from ._progress import Progress, ProgressHook

PIECE = 2 * 1024 * 1024
"""Bytes read at once: each read costs a thread, and each upload in flight holds one or two of them."""

_OPEN_AS_TEXT = "the file is open as text; open it with mode 'rb'"


@asynccontextmanager
async def open_upload(
    target: ApiTarget,
    files: list[UploadedPart],
    fields: Mapping[str, Any] | None = None,
    on_progress: ProgressHook | None = None,
    *,
    method: str = "POST",
    safety: RetrySafety = RetrySafety.BILLED,
) -> AsyncGenerator[PreparedRequest, None]:
    """A multipart request. The files that sending it has opened are closed at the end, not only when the garbage
    is collected: the error of a broken or cancelled call holds on to the iterators that read them.

    Args:
        target: the endpoint.
        files: name of the field, content, file name and media type (None: taken from the path, or by the name's
            ending).
        fields: what else the form holds; None values are left out.
        on_progress: called with the bytes of the form that have been handed over, and all of them, or None.
        method, safety: of the route.

    Raises:
        InvalidInputError: a file that isn't there, is empty or can't be read as bytes.
        Exception: what `on_progress` raised, unchanged.
    """
    progress = Progress(on_progress)
    parts: list[tuple[str, str, str, BodyStream]] = []
    opened = ExitStack()
    try:
        for name, content, filename, media_type in files:
            known_as = filename or name_of(content)
            kind = media_type or mimetypes.guess_type(known_as)[0] or "application/octet-stream"
            parts.append((name, known_as, kind, await body_of(content, opened)))
    except BaseException as error:
        mark_accepted(error, False)
        raise
    texts = [(name, _as_field(value)) for name, value in (fields or {}).items() if value is not None]
    body, content_type = build_multipart(texts, parts, boundary=secrets.token_hex(16))
    if on_progress is not None:
        body = _told(body, progress)
    canonical = partial(_canonical, texts, parts)
    headers = {"content-type": content_type}
    if body.length is not None:
        headers["content-length"] = str(body.length)
    try:
        with opened:
            yield PreparedRequest(
                *(method, target, safety, body, headers),
                model=model_of(fields or {}),
                canonical=canonical,
                opened=opened,
            )
    except RelayDanceError:
        if progress.error is None:
            raise
    if progress.error is not None:
        raise progress.error


async def _canonical(texts: list[tuple[str, str]], parts: list[tuple[str, str, str, BodyStream]]) -> str:
    """What tells the form from others: its files are read, to be known by their content."""
    found: list[tuple[str, str, str, str]] = []
    for name, known_as, kind, content in parts:
        if not content.replayable:
            raise InvalidInputError(
                "idempotency_key needs a file that can be read twice, to be known by its content: pass a path, bytes or"
                " a file that can be rewound"
            )
        digest = sha256()
        async with closing_body(content.open()) as pieces:
            async for piece in pieces:
                await in_thread(partial(digest.update, piece))
        found.append((name, known_as, kind, digest.hexdigest()))
    return canonical_form(texts, found)


def _told(body: BodyStream, progress: Progress) -> BodyStream:
    async def pieces() -> AsyncIterator[bytes]:
        done = 0
        async with closing_body(body.open()) as stream:
            async for piece in stream:
                yield piece
                done += len(piece)  # whoever sends it has come back for more
                progress.tell(done, body.length)

    return BodyStream(pieces, body.length, body.replayable)


def _as_field(value: object) -> str:
    try:
        return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInputError(f"a field of the form can't be sent: {error}") from None


def name_of(content: object) -> str:
    """What a file is called, without its directory."""
    name: Any = getattr(content, "name", None) or content
    try:
        return Path(name).name or "upload"
    except TypeError:  # bytes, a file descriptor's number, an iterator
        return "upload"


def _is_text(file: object) -> bool:
    return isinstance(file, io.TextIOBase)


@asynccontextmanager
async def open_content(content: FileInput | CheckedFile) -> AsyncGenerator[BodyStream, None]:
    """A file as the whole body of a request. What sending it has opened is closed at the end.

    Raises:
        InvalidInputError: it isn't there, is empty or can't be read as bytes.
    """
    with ExitStack() as opened:
        yield await body_of(content, opened)


async def body_of(content: FileInput | CheckedFile, opened: ExitStack) -> BodyStream:
    """What is sent of a file. What reading it opens is to be closed with `opened`.

    Raises:
        InvalidInputError: it isn't there, is empty or can't be read as bytes.
    """
    if isinstance(content, CheckedFile):
        return _checked(await body_of(content.content, opened), content.digest)
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
    length = await aside(partial(_size_at, path))
    _check_not_empty(length)

    async def pieces() -> AsyncIterator[bytes]:
        reader = _PathReader(path)
        opened.callback(reader.close)
        async with aclosing(_exactly(length, reader.read)) as stream:
            async for piece in stream:
                yield piece
        reader.close()

    return BodyStream(pieces, length)


def _size_at(path: Path) -> int:
    with open_file(path) as file:
        return size_of(file)


class _PathReader:
    """A file that is opened and read in threads. It can be closed while one is still in there: that one closes it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._closed = False
        self._lock = threading.Lock()

    def read(self, done: int) -> bytes:
        """The next piece; they come in order."""
        try:
            with self._lock:
                return b"" if self._closed else self._read()
        except OSError as error:
            raise unreadable(str(self._path), error) from None
        finally:
            if self._closed:
                self.close()

    def _read(self) -> bytes:
        if self._file is None:
            self._file = open_file(self._path)  # perhaps long after it was looked at, and another each attempt
        return self._file.read(PIECE)

    def close(self) -> None:
        """Close it, without waiting for a thread in it."""
        self._closed = True
        if self._lock.acquire(blocking=False):
            try:
                if self._file is not None:
                    self._file.close()
            finally:
                self._lock.release()


def _checked(body: BodyStream, digest: str) -> BodyStream:
    async def pieces() -> AsyncIterator[bytes]:
        held, found = b"", sha256()
        async with closing_body(body.open()) as stream:
            async for piece in stream:
                if held:
                    yield held
                await in_thread(partial(found.update, piece))
                held = piece
        if found.hexdigest() != digest:  # the last piece is not sent: so the request is never whole
            raise InvalidInputError("the file was changed while it was being sent")
        yield held

    return BodyStream(pieces, body.length, body.replayable)


def _bytes_body(content: bytes) -> BodyStream:
    _check_not_empty(len(content))

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(content), PIECE):
            yield content[start : start + PIECE]

    return BodyStream(pieces, len(content))


async def _file_body(file: BinaryIO) -> BodyStream:
    found = await aside(partial(_examine, file))
    reader = _FileReader(file, found)
    if found is None:
        return BodyStream(partial(_to_the_end, reader.read), None, replayable=False)
    _check_not_empty(found.length)
    return BodyStream(partial(_exactly, found.length, reader.read), found.length)


@dataclass(frozen=True, slots=True)
class _Span:
    """What of a file is sent, in bytes."""

    start: int
    length: int


def _examine(file: BinaryIO) -> _Span | None:
    """What of it is to come; None: it can be read once, and has no end that is known."""
    if getattr(file, "closed", False) is True:
        raise InvalidInputError("the file is closed")
    readable = getattr(file, "readable", None)
    if callable(readable) and readable() is False:
        raise InvalidInputError("the file is not open for reading")
    if _is_stream(file):
        return None
    try:
        start = file.tell()
        file.seek(0, os.SEEK_END)
        length = file.tell() - start
        file.seek(start)
    except (OSError, AttributeError, ValueError):
        return None
    return _Span(start, length)


def _is_stream(file: BinaryIO) -> bool:
    """Whether it is a pipe, a socket or a terminal, whose position means nothing."""
    if isinstance(file, tempfile.SpooledTemporaryFile):
        return False  # asked for its number, it would move to the disk
    try:
        number = file.fileno()
        mode = os.fstat(number).st_mode
    except (OSError, AttributeError, ValueError, TypeError):
        return False  # none of the system's
    if stat.S_ISREG(mode):
        return False
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(number)):
        raise InvalidInputError("a directory or a device can't be uploaded")
    # One that says "nothing yet" can't be told from one at its end.
    if hasattr(os, "get_blocking") and not os.get_blocking(number):
        raise InvalidInputError("the file is in non-blocking mode; set os.set_blocking(file.fileno(), True)")
    return True


class _FileReader:
    """A caller's file, read in threads. One that was left behind in there keeps the next out, so that none gets bytes
    of another's place.
    """

    def __init__(self, file: BinaryIO, span: _Span | None) -> None:
        self._file = file
        self._span = span
        # A pipe's buffer would wait until a whole piece is there.
        self._read = file.read1 if span is None and isinstance(file, io.BufferedReader) else file.read
        self._lock = threading.Lock()

    def read(self, done: int) -> bytes:
        """The piece after so many bytes."""
        try:
            with self._lock:
                if self._span is not None:
                    self._file.seek(self._span.start + done)
                piece = cast(object, self._read(PIECE))
        except OSError as error:
            raise unreadable("the file", error) from None
        if not isinstance(piece, bytes):
            raise InvalidInputError(_OPEN_AS_TEXT if isinstance(piece, str) else "the file gives no bytes")
        return piece


async def _exactly(length: int, read: Callable[[int], bytes]) -> AsyncGenerator[bytes, None]:
    """So many bytes. The end is looked for before the last part of the form is sent: with another length than was
    announced the request is never whole.
    """
    done = 0
    while piece := await aside(partial(read, done)):
        done += len(piece)
        if done > length:
            raise InvalidInputError(f"the file grew while it was sent: it had {length} bytes")
        yield piece
    if done < length:
        raise InvalidInputError(f"the file shrank while it was sent, from {length} to {done} bytes")


async def _to_the_end(read: Callable[[int], bytes]) -> AsyncGenerator[bytes, None]:
    done = 0
    while piece := await aside(partial(read, done)):
        done += len(piece)
        yield piece


def _check_not_empty(size: int) -> None:
    if size <= 0:
        raise InvalidInputError("the file is empty")
