"""The writing of a body that doesn't go out in one piece with its head.

It runs in a task, so that an answer that comes before its end is heard meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TYPE_CHECKING

from .._sansio.request import BodyStream, closing_body
from ._exchange import Exchange

if TYPE_CHECKING:
    from ._connection import Connection

_PIECE = 256 * 1024


async def upload(connection: Connection, exchange: Exchange, body: bytes | BodyStream) -> None:
    """Write it, at the pace at which the other side takes it. Cancelling it lets go of the body."""
    request = exchange.request
    is_chunked = isinstance(body, BodyStream) and body.length is None
    try:
        async with closing_body(_pieces(body, exchange)) as stream:
            async for piece in stream:
                if not piece:
                    continue
                await connection.catch_up()  # before anything fails
                if is_chunked:
                    piece = b"".join((b"%x\r\n" % len(piece), piece, b"\r\n"))
                if not connection.write(piece):
                    return  # what has come is read yet, and then the loss is told
                if connection.has_unsent_bytes:
                    await connection.drained(request.timeout.write)
        if is_chunked and not connection.write(b"0\r\n\r\n"):
            return
        if connection.has_unsent_bytes:
            await connection.drained(request.timeout.write)
    except asyncio.CancelledError:
        raise
    except Exception as error:
        connection.fail("body", str(error))
    else:
        connection.uploaded(exchange)


def _pieces(body: bytes | BodyStream, exchange: Exchange) -> AsyncIterator[bytes | memoryview]:
    return _slices(body, exchange) if isinstance(body, bytes) else body.open()


async def _slices(body: bytes, exchange: Exchange) -> AsyncGenerator[memoryview, None]:
    view = memoryview(body)
    for start in range(0, len(body), _PIECE):
        if start + _PIECE >= len(body):
            exchange.request.progress.sent()
        yield view[start : start + _PIECE]
