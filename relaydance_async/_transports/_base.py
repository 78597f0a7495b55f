"""What a transport takes and gives."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Protocol

from .._sansio.request import BodyStream
from .._sansio.timeout import Timeout


class WireRequest:
    """One attempt on its way. Its repr shows no headers: one of them is the key.

    Attributes:
        sent: set by the transport as soon as a byte of the request may have left; from then on a failure is ambiguous.
    """

    __slots__ = ("body", "headers", "method", "sent", "timeout", "url")

    def __init__(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | BodyStream | None, timeout: Timeout
    ) -> None:
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
        self.timeout = timeout
        self.sent = False

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
