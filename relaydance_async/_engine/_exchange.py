"""One request on its connection, and the answer to it as its reader sees it.

Theory of operation. The connection feeds, the reader takes. As long as the answer is coming the two know each other;
with its last byte, or its failure, they part, and the connection is free while the reader still has what came. So a
small answer costs one future, the one for its head: when that has come, the body mostly has, too.

    sent --head--> answering --last byte--> whole (the connection goes back to its pool)
      |                |
      +----failure-----+-----> broken (what came before can still be taken)
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING

from .._sansio.breakage import Broke, build_connection_error
from .._sansio.request import BodyStream
from ..errors import RelayDanceError, ResponseTooLargeError
from ._coding import decoded
from ._outgoing import Outgoing
from ._rules import Head

if TYPE_CHECKING:
    from ._connection import Connection


class Fields(Mapping[str, str]):
    """Header fields, found by their names in any case; each is decoded when it is asked for."""

    __slots__ = ("_head",)

    def __init__(self, head: Head) -> None:
        self._head = head

    def __getitem__(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]
        """The value; of a field that came several times, all of them (RFC 9110 section 5.3)."""
        key = name.lower().encode("latin-1", "replace")
        value = self._head.fields.get(key)
        if value is None:
            return default
        if self._head.repeated is not None:
            value = b", ".join([value, *(more for known, more in self._head.repeated if known == key)])
        return value.decode("latin-1")

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.get(name) is not None

    def __iter__(self) -> Iterator[str]:
        return (name.decode("latin-1") for name in self._head.fields)

    def __len__(self) -> int:
        return len(self._head.fields)


_NO_FIELDS: Mapping[str, str] = {}


class Exchange:
    """See `TransportResponse`.

    Attributes:
        headers: none before the head has come.
        request: what is asked.
        waiter: what the reader waits for: the head, or more of the body.
        is_whole: whether the last byte of the answer has come.
        ends_with_connection: whether only the end of the connection told the end of the body, which a connection that
            broke in time can't be told from.
    """

    __slots__ = (
        "_connection",
        "_enough",
        "_failure",
        "_pieces",
        "ends_with_connection",
        "got",
        "head",
        "headers",
        "held",
        "is_whole",
        "request",
        "status_code",
        "waiter",
    )

    def __init__(self, request: Outgoing, connection: Connection, waiter: asyncio.Future[None]) -> None:
        self.request = request
        self.waiter: asyncio.Future[None] | None = waiter
        self.head: Head | None = None
        self.headers: Mapping[str, str] = _NO_FIELDS
        self.status_code: int = 0
        self.is_whole: bool = False
        self.ends_with_connection: bool = False
        self.held: int = 0
        self.got: int = 0
        self._connection: Connection | None = connection
        self._pieces: list[bytes] | None = None
        self._enough: int = 0
        self._failure: Broke | None = None

    # The connection's side.

    def answered(self, head: Head) -> None:
        """The head has come."""
        self.head = head
        self.headers = Fields(head)
        self.status_code = head.status

    def feed(self, piece: bytes) -> None:
        """A piece of the body has come."""
        self.held += len(piece)
        self.got += len(piece)
        if self._pieces is None:
            self._pieces = [piece]
        else:
            self._pieces.append(piece)

    def ended(self) -> None:
        """The last byte has come; the connection is no longer this exchange's."""
        self.is_whole = True
        self._connection = None

    def fail(self, broke: Broke) -> None:
        """It broke; the connection is no longer this exchange's."""
        if self._failure is None and not self.is_whole:
            self._failure = broke
        self._connection = None
        self.wake()

    def wake(self) -> None:
        """Let the reader go on."""
        waiter = self.waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    @property
    def is_awaited(self) -> bool:
        """Whether the reader waits."""
        return self.waiter is not None and not self.waiter.done()

    @property
    def has_enough(self) -> bool:
        """Whether there is what the reader waits for."""
        return self.held > self._enough

    # The reader's side.

    @property
    def is_over(self) -> bool:
        """See `TransportResponse`."""
        return self._connection is None and not isinstance(self.request.body, BodyStream)

    @property
    def failure(self) -> RelayDanceError | None:
        """Why there is no answer, or no more of it."""
        if self._failure is None:
            return None
        broke = self.request.body_broke
        return build_connection_error(broke if broke is not None else self._failure, peer=self.request.peer)

    async def read(self, limit: int) -> bytes:
        """See `TransportResponse`."""
        assert self.head is not None
        if self.head.fields.get(b"content-encoding", b"identity") != b"identity":
            return await self._read_decoded(limit)
        while not self.is_whole and self.held <= limit:
            await self._wait(limit)
            if self._failure is not None:
                await self._raise()
        pieces = self._take()
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if len(body) > limit:
            await self.aclose()
            raise ResponseTooLargeError(f"the answer is larger than {limit} bytes", raw_body=body[:limit])
        return body

    async def _read_decoded(self, limit: int) -> bytes:
        pieces: list[bytes] = []
        size = 0
        async with aclosing(self.chunks(keep=limit)) as chunks:
            async for piece in chunks:
                pieces.append(piece)
                size += len(piece)
                if size > limit:
                    came = b"".join(pieces)[:limit]
                    raise ResponseTooLargeError(f"the answer is larger than {limit} bytes", raw_body=came)
        return b"".join(pieces)

    def chunks(self, keep: int = 0) -> AsyncGenerator[bytes, None]:
        """See `TransportResponse`."""
        assert self.head is not None
        coding = self.head.fields.get(b"content-encoding", b"identity").decode("latin-1")
        raw = self.raw()
        return raw if coding == "identity" else decoded(raw, coding, keep=keep)

    async def raw(self) -> AsyncGenerator[bytes, None]:
        """The body as it comes, compressed or not. Closing it closes the exchange."""
        try:
            while True:
                if self.held:
                    for piece in self._take():
                        yield piece
                elif self.is_whole:
                    return
                elif self._failure is not None:
                    await self._raise()
                else:
                    await self._wait(0)
        finally:
            await self.aclose()

    async def _wait(self, enough: int) -> None:
        connection = self._connection
        if connection is None:
            return
        self._enough = enough
        connection.expect(self.request.timeout.read)
        self.waiter = connection.new_waiter()
        try:
            await self.waiter
        except BaseException:
            await self.aclose()
            raise
        finally:
            self.waiter = None

    def _take(self) -> list[bytes]:
        pieces, self._pieces = self._pieces, None
        self.held = 0
        if self._connection is not None:
            self._connection.taken()
        return pieces or []

    async def _raise(self) -> None:
        await self.aclose()
        failure = self.failure
        assert failure is not None
        raise failure

    async def aclose(self) -> None:
        """See `TransportResponse`. A connection whose answer has come to its end is back in the pool already."""
        connection = self._connection
        if connection is not None:
            # Another task may be reading.
            self.fail(Broke(self.request.progress.reached, "closed", "the answer was closed on this side"))
            connection.abandon()
        await self.request.close_body()
