"""What a transport takes and gives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from typing import NamedTuple, Protocol

import anyio

from .._sansio.breakage import Progress, Reached
from .._sansio.request import BodyStream, closing_body
from .._sansio.timeout import Timeout
from ..errors import InvalidInputError


class WireRequest:
    """One attempt on its way. Its repr shows no headers: one of them is the key.

    Attributes:
        body_error: why the body could not be read to its end; whatever the connection said of that, this is the reason.
        public_only: see `PreparedRequest`.
        sent: set by the transport as soon as a byte of the request may have left; from then on a failure is ambiguous.
    """

    __slots__ = ("_opened", "body", "body_error", "headers", "method", "public_only", "progress", "timeout", "url")

    def __init__(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | BodyStream | None,
        timeout: Timeout,
        *,
        public_only: bool = False,
        peer: str = "the gateway",
        progress: Progress | None = None,
    ) -> None:
        self.method: str = method
        self.url: str = url
        self.headers: Mapping[str, str] = headers
        self.body: BodyStream | bytes | None = self._watched(body) if isinstance(body, BodyStream) else body
        self.body_error: InvalidInputError | None = None
        self.timeout: Timeout = timeout
        self.public_only: bool = public_only
        self.progress = progress or Progress()
        self._opened: AsyncGenerator[bytes, None] | None = None

    @property
    def sent(self):
        return self.progress.reached is not Reached.NOT_SENT

    @sent.setter
    def sent(self, value):
        if value:
            self.progress.sending()
            self.progress.reached = Reached.SENT
        else:
            self.progress.reached = Reached.NOT_SENT

    async def close_body(self) -> None:
        """Let go of what a body that was not sent to its end holds, such as a file. Safe to call at any time."""
        opened, self._opened = self._opened, None
        if opened is not None:
            # While aiohttp's task waits for a piece the body can't be closed; the cancellation of that task ends it.
            with anyio.CancelScope(shield=True), suppress(RuntimeError):
                await opened.aclose()

    def _watched(self, body: BodyStream) -> BodyStream:
        async def pieces() -> AsyncGenerator[bytes, None]:
            try:
                async with closing_body(body.open()) as stream:
                    async for piece in stream:
                        yield piece
            except InvalidInputError as error:
                self.body_error = error
                raise
            except Exception as error:
                self.body_error = InvalidInputError(f"the body can't be read: {type(error).__name__}: {error}")
                raise

        def begin() -> AsyncGenerator[bytes, None]:
            self._opened = pieces()
            return self._opened

        return BodyStream(begin, body.length, body.replayable)

    def __repr__(self) -> str:
        return f"<WireRequest {self.method} {self.url}>"


class TransportResponse(Protocol):
    """An answer whose body is still to come. It must be closed; reading it whole closes it."""

    @property
    def status_code(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Names in lower case."""
        ...

    async def read(self, limit: int) -> bytes:
        """The whole body, decompressed.

        Raises:
            ResponseTooLargeError: above `limit` bytes; the rest is not read.
            APIConnectionError, APITimeoutError: it broke off.
        """
        ...

    def chunks(self) -> AsyncGenerator[bytes, None]:
        """The body, decompressed, in pieces as they come. Raises like `read`."""
        ...

    async def aclose(self) -> None:
        """Give the connection back, or drop it when the body was not read to its end. Safe to call twice."""
        ...


class TransportStats(NamedTuple):
    """How many connections a transport has; (0, 0) for a caller's client, whose connections are the caller's."""

    open: int
    """Idle ones, and those that are being opened, included."""
    idle: int


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
        """
        ...

    async def aclose(self) -> None:
        """Close all connections."""
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
