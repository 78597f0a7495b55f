"""Content codings, undone a piece at a time: a megabyte can hold a gigabyte, which must never be in memory at once."""

from __future__ import annotations

import zlib
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, suppress

from ..errors import ResponseDecodeError

ACCEPTED = "gzip, deflate"
"""What is understood here. Nothing else is asked for."""

_PIECE_BYTES = 64 * 1024
_MOST_MEMBERS = 1000
"""Of one gzip: a body of empty ones would cost time and give nothing, so that no limit of bytes would end it."""


async def decoded(pieces: AsyncGenerator[bytes, None], coding: str, *, keep: int = 0) -> AsyncGenerator[bytes, None]:
    """A body as it was before it was compressed, in pieces of at most 64 KiB. Closing it closes `pieces`.

    Args:
        pieces: as they come.
        coding: its name.
        keep: bytes of the compressed body that an error may hold.

    Raises:
        ResponseDecodeError: it is not of this coding, breaks off, or the coding is none that was asked for. It has the
            body as far as it came, compressed.
    """
    came = bytearray()
    async with aclosing(pieces):
        try:
            inflater = _Inflater(coding.strip().lower())
            async for piece in pieces:
                came += piece[: keep - len(came)]
                for part in inflater.feed(piece):
                    yield part
            inflater.finish()
        except ResponseDecodeError as error:
            await _keep_rest(came, pieces, keep)
            error.raw_body = bytes(came)
            raise


async def _keep_rest(came: bytearray, pieces: AsyncGenerator[bytes, None], keep: int) -> None:
    with suppress(Exception):  # it broke off
        while len(came) < keep:
            came += (await anext(pieces))[: keep - len(came)]


class _Inflater:
    def __init__(self, coding: str) -> None:
        if coding not in ("gzip", "x-gzip", "deflate"):
            raise ResponseDecodeError(f"the answer has a content encoding that was not asked for: {coding[:80]!r}")
        self._coding = coding
        self._inflate = zlib.decompressobj()
        self._members = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What these bytes give."""
        while data:
            if not self._members or self._inflate.eof:
                self._begin_member(data)
            try:
                part = self._inflate.decompress(data, _PIECE_BYTES)
            except zlib.error as error:
                raise ResponseDecodeError(f"the answer's content encoding is broken: {error}") from None
            data = self._inflate.unconsumed_tail or self._inflate.unused_data
            if part:
                yield part

    def finish(self) -> None:
        """Check that the end has come."""
        if self._members and not self._inflate.eof:
            raise ResponseDecodeError("the answer's content encoding is broken: it ends too early")

    def _begin_member(self, data: bytes) -> None:
        self._members += 1
        # Only a gzip may have several (RFC 1952 section 2.2).
        if self._members > (1 if self._coding == "deflate" else _MOST_MEMBERS):
            raise ResponseDecodeError("the answer's content encoding is broken: it goes on after its end")
        self._inflate = zlib.decompressobj(self._window(data))

    def _window(self, data: bytes) -> int:
        if self._coding != "deflate":
            return 16 + zlib.MAX_WBITS
        # Some servers send the bare stream instead of the zlib format that "deflate" means (RFC 9110 section 8.4.1.2).
        return zlib.MAX_WBITS if data[0] & 0x0F == 8 else -zlib.MAX_WBITS
