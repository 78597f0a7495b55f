"""Multipart bodies, parsed as they arrive and never held whole in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from python_multipart.exceptions import FormParserError
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.types import Message

from ._dialects import Refusal
from ._exchange import ClientGoneError, Exchange

MOST_FILES = 100


class _TooLargeError(MultiPartException):
    """A subclass of the parser's own error, because only that makes it close its temporary files."""


class _GoneError(MultiPartException):
    """The same, for a caller who left in the middle."""


class _StoppedError(MultiPartException):
    """The same, for a sandbox that ends meanwhile. Its cause is the cancellation."""


@asynccontextmanager
async def read_form(exchange: Exchange, limit: int) -> AsyncGenerator[FormData, None]:
    """The form, whose files are closed at the end of the block."""
    size = 0
    is_receiving = is_stopped = False

    async def receive() -> Message:
        nonlocal size, is_receiving
        if is_stopped:
            raise _StoppedError("the sandbox ends")
        is_receiving = True
        try:
            message = await exchange.receive()
        except asyncio.CancelledError as error:
            raise _StoppedError("the sandbox ends") from error
        finally:
            is_receiving = False
        if message["type"] == "http.disconnect":
            raise _GoneError("the caller left")
        size += len(message.get("body", b""))
        if size > limit:
            raise _TooLargeError("too large")
        return message

    if int(exchange.header(b"content-length") or 0) > limit:
        raise Refusal("too_large", "request body too large")
    if not exchange.header(b"content-type").startswith("multipart/form-data"):
        raise Refusal("malformed", "request Content-Type isn't multipart/form-data")
    request = Request({"type": "http", "headers": exchange.scope["headers"], "method": "POST"}, receive)
    parsing = asyncio.create_task(_parse(request))
    try:
        try:
            form = await asyncio.shield(parsing)
        except asyncio.CancelledError:
            # Only while it receives: a thread that writes meanwhile would leave the temporary file open.
            is_stopped = True
            if is_receiving:
                parsing.cancel()
            await asyncio.wait([parsing])
            if parsing.exception() is None:
                _close(parsing.result())
            raise
    except _TooLargeError:
        raise Refusal("too_large", "request body too large") from None
    except _GoneError:
        raise ClientGoneError from None
    except (MultiPartException, FormParserError) as error:  # the latter comes through older releases of starlette
        raise Refusal("malformed", f"multipart: {error}") from None
    exchange.body_bytes = size
    try:
        yield form
    finally:
        _close(form)


async def _parse(request: Request) -> FormData:
    return await request.form(max_files=MOST_FILES, max_fields=1000)


def _close(form: FormData) -> None:
    # Not by `form.close()`, which a cancellation keeps from closing what is on the disk.
    for _, value in form.multi_items():
        if isinstance(value, UploadFile):
            value.file.close()
