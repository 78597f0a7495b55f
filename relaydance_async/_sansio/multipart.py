"""multipart/form-data (RFC 7578), as a head and a tail around a body that is sent as it is read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable

from ..errors import InvalidInputError
from .request import BodyStream, closing_body


def build_multipart(
    fields: Iterable[tuple[str, str]], files: Iterable[tuple[str, str, str, BodyStream]], *, boundary: str
) -> tuple[BodyStream, str]:
    """A form.

    Args:
        fields: name and value.
        files: name, file name, media type, content.
        boundary: must not occur in the contents; a random one doesn't.

    Returns:
        The body and its content type. Its length is known when that of every file is.

    Raises:
        InvalidInputError: for what a form can't hold: lone surrogates, line breaks in a media type.
    """
    parts: list[bytes | BodyStream] = []
    for name, value in fields:
        parts.append(_head(boundary, name) + _encoded(value) + b"\r\n")
    for name, filename, kind, content in files:
        parts += [_head(boundary, name, filename, kind), content, b"\r\n"]
    parts.append(f"--{boundary}--\r\n".encode())
    streams = [part for part in parts if isinstance(part, BodyStream)]
    body = BodyStream(
        open=_opener(parts),
        length=_total(parts),
        replayable=all(stream.replayable for stream in streams),
    )
    return body, f"multipart/form-data; boundary={boundary}"


def _opener(parts: list[bytes | BodyStream]) -> Callable[[], AsyncIterator[bytes]]:
    async def run() -> AsyncIterator[bytes]:
        for part in parts:
            if isinstance(part, bytes):
                yield part
            else:
                async with closing_body(part.open()) as pieces:
                    async for piece in pieces:
                        yield piece

    return run


def _total(parts: list[bytes | BodyStream]) -> int | None:
    total = 0
    for part in parts:
        size = len(part) if isinstance(part, bytes) else part.length
        if size is None:
            return None
        total += size
    return total


def _head(boundary: str, name: str, filename: str | None = None, kind: str | None = None) -> bytes:
    disposition = f'form-data; name="{_quoted(name)}"'
    if filename is not None:
        # A name from the file system may hold what isn't text; it only names the file, so it needn't arrive exactly.
        readable = filename.encode("utf-8", "replace").decode()
        disposition += f'; filename="{_quoted(readable)}"'
    lines = [f"--{boundary}", f"Content-Disposition: {disposition}"]
    if kind is not None:
        if any(c in kind for c in "\r\n"):
            raise InvalidInputError("a media type must not hold line breaks")
        lines.append(f"Content-Type: {kind}")
    return _encoded("\r\n".join(lines) + "\r\n\r\n")


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise InvalidInputError(f"an argument can't be sent in a form: {error}") from None


def _quoted(value: str) -> str:
    # As browsers do (WHATWG HTML, "Multipart form data").
    return value.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")
