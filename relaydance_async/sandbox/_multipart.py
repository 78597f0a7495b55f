"""Multipart bodies, parsed as they arrive and never held whole in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from python_multipart.exceptions import FormParserError
from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.types import Message

from ._dialects import Refusal
from ._exchange import ClientGoneError, Exchange

MOST_FILES = 100
CLOSE_SECONDS = 0.5


class _TooLargeError(MultiPartException):
    """A subclass of the parser's own error, because only that makes it close its temporary files."""


class _GoneError(MultiPartException):
    """The same, for a caller who left in the middle."""


async def _to_its_end(request: Request) -> FormData:
    """The form, parsed in a task of its own. A sandbox that ends breaks the connection off first, so the parser finds
    out, and closes its files; cancelled, it would leave them open.
    """

    async def parse() -> FormData:
        return await request.form(max_files=MOST_FILES, max_fields=1000)

    parsing = asyncio.ensure_future(parse())
    try:
        return await asyncio.shield(parsing)
    except asyncio.CancelledError:
        await asyncio.wait([parsing], timeout=CLOSE_SECONDS)
        parsing.cancel()
        for form in await asyncio.gather(parsing, return_exceptions=True):
            if isinstance(form, FormData):
                await form.close()
        raise


@asynccontextmanager
async def read_form(exchange: Exchange, limit: int) -> AsyncGenerator[FormData, None]:
    """The form, whose files are closed at the end of the block."""
    size = 0

    async def receive() -> Message:
        nonlocal size
        message = await exchange.receive()
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
    try:
        form = await _to_its_end(request)
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
        await form.close()
