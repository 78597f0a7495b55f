"""An `httpx.AsyncClient` for other libraries, whose requests are sent by a client of ours."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeAlias

import httpx

from .._sansio.outside import OutsideAnswer, OutsideRequest
from ..errors import APIConnectionError, APITimeoutError, RelayDanceError

Send: TypeAlias = Callable[[OutsideRequest], Awaitable[OutsideAnswer]]


def build_outside_client(send: Send) -> httpx.AsyncClient:
    """The client. It has no time limit of its own, and closing it closes nothing."""
    return httpx.AsyncClient(transport=_Transport(send), timeout=None, trust_env=False)


class _Transport(httpx.AsyncBaseTransport):
    def __init__(self, send: Send) -> None:
        self._send = send

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request. What goes wrong is told in httpx's exceptions, with ours as the cause."""
        outside = OutsideRequest(
            request.method,
            str(request.url),
            {name.lower(): value for name, value in request.headers.items()},
            await request.aread(),
            request.extensions.get("timeout") or {},
        )
        try:
            answer = await self._send(outside)
        except RelayDanceError as error:
            raise _as_httpx(error) from error
        if isinstance(answer.body, bytes):
            # As a stream: httpx measures `elapsed` up to the end of one, and of nothing else.
            headers = {**answer.headers, "content-length": str(len(answer.body))}
            return httpx.Response(answer.status, headers=headers, stream=httpx.ByteStream(answer.body))
        return httpx.Response(answer.status, headers=answer.headers, stream=_Stream(answer))


class _Stream(httpx.AsyncByteStream):
    def __init__(self, answer: OutsideAnswer) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        assert not isinstance(self._answer.body, bytes)
        try:
            async for piece in self._answer.body:
                yield piece
        except RelayDanceError as error:
            raise _as_httpx(error, begun=True) from error

    async def aclose(self) -> None:
        if self._answer.close is not None:
            await self._answer.close()


def _as_httpx(error: RelayDanceError, *, begun: bool = False) -> Exception:
    """What httpx would have raised: other libraries know that."""
    if isinstance(error, APITimeoutError):
        return httpx.ReadTimeout(str(error))
    if begun:
        return httpx.RemoteProtocolError(str(error))
    return httpx.ConnectError(str(error)) if isinstance(error, APIConnectionError) else httpx.DecodingError(str(error))
