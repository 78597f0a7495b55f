"""Parts of a chat's message: images, files, sound. Plain dicts, as OpenAI's API has them."""

from __future__ import annotations

import base64
import os
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, cast

from .._sansio.media_type import media_type_of
from .._threads import in_thread
from ..errors import InvalidInputError
from ..models.files import UploadedFile
from ._open_file import open_file, size_of, unreadable

PartSource: TypeAlias = str | os.PathLike[str] | bytes | UploadedFile
"""A path or a web address, the bytes themselves, or what `client.files.upload` gave."""

_ADDRESSES = ("http://", "https://", "data:")
_MOST_BYTES = 96 * 1024 * 1024
"""As base64 that is 128 MiB, the largest body that the gateway takes (New API's default)."""
_QUICK = 1024 * 1024
"""Bytes that are encoded without a thread, in less than a millisecond."""
_FORMATS = {"audio/mpeg": "mp3", "audio/wav": "wav", "audio/x-wav": "wav", "audio/mp4": "m4a"}
"""Where the name of OpenAI's API isn't the second half of the media type."""


async def image_part(source: PartSource, *, detail: str | None = None, media_type: str | None = None) -> dict[str, Any]:
    """An image for a message's `content`, beside `{"type": "text", "text": …}`.

    A file or bytes become a `data:` URL. An address, or an uploaded file's, is sent as it is, and the model's host
    fetches it.

    Args:
        source: a path, a URL, bytes, or an `UploadedFile`.
        detail: "low", "high" or "auto": how closely the model looks.
        media_type: default: by the content, or else by the file's ending.

    Raises:
        InvalidInputError: no such file, none of an image, empty, or above 96 MiB.

    A file is read in a thread. Cancelling it leaves nothing behind.
    """
    url = _address_of(source)
    if url is None:
        content, name = await _read(source)
        url = await _data_url(content, _kind_of(content, name, media_type, "image/"))
    image = {"url": url} if detail is None else {"url": url, "detail": detail}
    return {"type": "image_url", "image_url": image}


async def file_part(
    source: PartSource, *, filename: str | None = None, media_type: str | None = None
) -> dict[str, Any]:
    """A document for a message's `content`, such as a PDF. An `UploadedFile` is named by its id.

    Args:
        source: a path, bytes, or an `UploadedFile`. OpenAI's API takes no address here.
        filename: default: the path's.
        media_type: default: by the content, or else by the file's ending.

    Raises:
        InvalidInputError: an address, no such file, of no known type, empty, or above 96 MiB.

    A file is read in a thread. Cancelling it leaves nothing behind.
    """
    if isinstance(source, UploadedFile):
        return {"type": "file", "file": {"file_id": source.id}}
    _refuse_address(source, "a file part")
    content, name = await _read(source)
    kind = _kind_of(content, filename or name, media_type, "")
    return {
        "type": "file",
        "file": {"filename": filename or name or "file", "file_data": await _data_url(content, kind)},
    }


async def audio_part(source: str | os.PathLike[str] | bytes, *, format: str | None = None) -> dict[str, Any]:
    """Sound for a message's `content`.

    Args:
        source: a path or bytes. OpenAI's API takes no address here.
        format: "wav", "mp3" or what else the model knows; default: by the content, or else by the file's ending.

    Raises:
        InvalidInputError: an address, no such file, none of sound, empty, or above 96 MiB.

    A file is read in a thread. Cancelling it leaves nothing behind.
    """
    _refuse_address(source, "an audio part")
    content, name = await _read(source)
    if format is None:
        kind = _kind_of(content, name, None, "audio/")
        format = _FORMATS.get(kind) or kind.partition("/")[2].removeprefix("x-")
    return {"type": "input_audio", "input_audio": {"data": await _base64(content), "format": format}}


def _address_of(source: PartSource) -> str | None:
    if isinstance(source, UploadedFile):
        return source.url
    return source if isinstance(source, str) and source.lower().startswith(_ADDRESSES) else None


def _refuse_address(source: PartSource, what: str) -> None:
    if _address_of(source) is not None:
        raise InvalidInputError(f"{what} is a path or bytes: OpenAI's API takes no address or upload here")


async def _read(source: object) -> tuple[bytes, str]:
    """The bytes, and the name of the file."""
    if isinstance(source, bytes | bytearray | memoryview):
        content, name = bytes(cast(bytes, source)), ""
    elif isinstance(source, str | os.PathLike):
        path = Path(cast(str, source))
        content, name = await in_thread(partial(_read_path, path), abandon_on_cancel=True), path.name
    else:
        raise InvalidInputError(f"a part is made of a path, a URL, bytes or an upload, not {type(source).__name__}")
    _check_size(len(content))
    return content, name


def _read_path(path: Path) -> bytes:
    with open_file(path) as file:
        _check_size(size_of(file))
        try:
            return file.read(_MOST_BYTES + 1)
        except OSError as error:
            raise unreadable(str(path), error) from None


def _check_size(size: int) -> None:
    if size == 0:
        raise InvalidInputError("the file is empty")
    if size > _MOST_BYTES:
        told = f"the file has more than {_MOST_BYTES // 1024**2} MiB, which no request can hold"
        raise InvalidInputError(f"{told}: pass `await client.files.upload(...)`, or a smaller one")


def _kind_of(content: bytes, name: str, given: str | None, wanted: str) -> str:
    kind = given or media_type_of(content, name)
    if kind is None:
        raise InvalidInputError("the type of the file can't be told from its content: pass media_type=")
    if given is None and not kind.startswith(wanted):
        raise InvalidInputError(f"the file is {kind}, and none of {wanted}*")
    return kind


async def _data_url(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{await _base64(content)}"


async def _base64(content: bytes) -> str:
    if len(content) <= _QUICK:
        return base64.b64encode(content).decode("ascii")
    return (await in_thread(partial(base64.b64encode, content))).decode("ascii")
