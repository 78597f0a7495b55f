"""What a transport takes and gives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Mapping
from contextlib import suppress
from typing import Protocol

import anyio

from .._engine import TransportStats as TransportStats
from .._sansio.breakage import Broke, Progress, Reached
from .._sansio.request import BodyStream, closing_body
from .._sansio.timeout import Timeout
from ..errors import InvalidInputError


class WireRequest:
    """One attempt on its way. Its repr shows no query, which may hold a signature, and no headers: one is the key.

    Attributes:
        body_broke: why the body could not be read to its end; whatever the connection said of that, this is the reason.
        objection: what `Progress.sending` raised; it ends the attempt as it is.
        peer: who is asked, for messages.
        progress: how far it has got. The transport moves it.
        tells_its_end: whether the body moves `progress` when its last piece is fetched. All others count as written
            with the first byte.
    """

    __slots__ = (
        "_opened",
        "body",
        "body_broke",
        "headers",
        "method",
        "objection",
        "peer",
        "progress",
        "tells_its_end",
        "timeout",
        "url",
    )

    def __init__(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | BodyStream | None,
        timeout: Timeout,
        *,
        peer: str = "the gateway",
        progress: Progress | None = None,
    ) -> None:
        self.method: str = method
        self.url: str = url
        self.headers: Mapping[str, str] = headers
        self.body: BodyStream | bytes | None = body
        self.tells_its_end: bool = False
        if isinstance(body, BodyStream):
            self.body = self._watched(body)
            self.tells_its_end = body.length != 0
        self.body_broke: Broke | None = None
        self.objection: Exception | None = None
        self.timeout: Timeout = timeout
        self.peer: str = peer
        self.progress: Progress = progress if progress is not None else Progress()
        self._opened: AsyncGenerator[bytes, None] | None = None

    def begin(self) -> Awaitable[None] | None:
        """There is a connection, and the first byte is about to leave: to be awaited before that, unless it is None.

        What `Progress.sending` raises comes out of here, and is kept as `objection`.
        """
        try:
            waiting = self.progress.sending()
        except Exception as error:
            self._stop(error)
            raise
        return None if waiting is None else self._begun(waiting)

    def sent_at_once(self) -> None:
        """The first write begins. A body that doesn't tell its end counts as written with it."""
        if not self.tells_its_end:
            self.progress.sent()

    def unsent(self) -> None:
        """The first write failed: no byte has left."""
        self.progress.unsent()

    def refused(self) -> None:
        """A later write failed, and nothing more of it will leave."""
        # A chunked body's last write is only its end mark: without that some servers take the request all the same.
        if not (isinstance(self.body, BodyStream) and self.body.length is None):
            self.progress.refused()

    async def _begun(self, waiting: Awaitable[None]) -> None:
        try:
            await waiting
        except BaseException as error:
            self._stop(error)
            raise

    def _stop(self, error: BaseException) -> None:
        self.progress.unsent()
        self.objection = error if isinstance(error, Exception) else None

    async def close_body(self) -> None:
        """Let go of what a body that was not sent to its end holds, such as a file. Safe to call at any time."""
        opened, self._opened = self._opened, None
        if opened is not None:
            # While the task of an upload waits for a piece the body can't be closed; its cancellation ends it.
            with anyio.CancelScope(shield=True), suppress(RuntimeError):
                await opened.aclose()

    def _watched(self, body: BodyStream) -> BodyStream:
        async def pieces() -> AsyncGenerator[bytes, None]:
            left = body.length or 0  # of an unknown length, any piece may be the last
            try:
                async with closing_body(body.open()) as stream:
                    while not isinstance(piece := await _next_in_time(stream, self.timeout.write), _End):
                        left -= len(piece)
                        if left <= 0:
                            self.progress.sent()
                        yield piece
                self.progress.sent()
            except _StalledError as error:
                # Its end was never sent, however much of it was.
                self.body_broke = Broke(Reached.PARTLY_SENT, "timeout", str(error))
                raise
            except InvalidInputError as error:
                self.body_broke = Broke(self.progress.reached, "body", error.message)
                raise
            except Exception as error:
                told = f"the body can't be read: {type(error).__name__}: {error}"
                self.body_broke = Broke(self.progress.reached, "body", told)
                raise

        def begin() -> AsyncGenerator[bytes, None]:
            self._opened = pieces()
            return self._opened

        return BodyStream(begin, body.length, body.replayable)

    def __repr__(self) -> str:
        return f"<WireRequest {self.method} {self.url.partition('?')[0]}>"


class _StalledError(Exception):
    """A body gave nothing for too long."""


class _End:
    """What no body gives, for its end."""


_END = _End()


async def _next_in_time(pieces: AsyncIterator[bytes], seconds: float) -> bytes | _End:
    """The next piece: whoever waits for a pipe writes nothing, so no other timeout ends it."""
    with anyio.move_on_after(seconds):
        return await anext(pieces, _END)
    raise _StalledError(f"the body gave nothing within {seconds:g} s")


class TransportResponse(Protocol):
    """An answer whose body is still to come. It must be closed; reading it whole closes it."""

    @property
    def status_code(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Names in lower case."""
        ...

    @property
    def is_over(self) -> bool:
        """Whether there is nothing left to close. It may say no all the same."""
        ...

    async def read(self, limit: int) -> bytes:
        """The whole body, decompressed.

        Raises:
            ResponseTooLargeError: above `limit` bytes; the rest is not read.
            APIConnectionError, APITimeoutError: it broke off.
        """
        ...

    def chunks(self, keep: int = 0) -> AsyncGenerator[bytes, None]:
        """The body, decompressed, in pieces as they come. Raises like `read`.

        Args:
            keep: bytes of a compressed body that the error of a broken coding may hold.
        """
        ...

    async def aclose(self) -> None:
        """Give the connection back, or drop it when the body was not read to its end. Safe to call twice."""
        ...


class Transport(Protocol):
    """Sends attempts.

    Cancelling `send`, or the reading of an answer, leaves no connection behind.
    """

    @property
    def name(self) -> str:
        """For the log."""
        ...

    async def send(self, request: WireRequest) -> TransportResponse:
        """Send the request and wait for the head of the answer.

        Raises:
            APIConnectionError, APITimeoutError: with `retryable` and `maybe_accepted` set.
            Exception: whatever `Progress.sending` raised; nothing was sent then.
        """
        ...

    async def aclose(self) -> None:
        """Close all connections."""
        ...

    async def warm(self, url: str, seconds: float) -> None:
        """Have a connection to that URL's host ready, if there is none. One of a caller's client can't be made so.

        Raises:
            APIConnectionError, APITimeoutError: there was none within these seconds.
        """
        ...

    def stats(self) -> TransportStats:
        """How many connections there are."""
        ...

    def filenos(self) -> list[int]:
        """The descriptors of the open connections."""
        ...

    def abort(self, loop: asyncio.AbstractEventLoop) -> None:
        """Break all connections off without awaiting, on a loop of asyncio that may be closed already."""
        ...
