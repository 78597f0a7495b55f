"""Sends attempts through httpx: an `AsyncClient` of the caller's, or a transport of ours below one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import anyio
import httpx

from .._sansio.request import BodyStream
from ..errors import RelayDanceError, ResponseTooLargeError
from ._base import WireRequest
from ._failures import build_failure

CLOSE_SECONDS = 2.0
"""How long a cancelled call may take to say goodbye to its connection (TLS close)."""


class HttpxResponse:
    """An answer of httpx's, under our face."""

    def __init__(self, response: httpx.Response, request: WireRequest) -> None:
        self._response = response
        self._request = request
        self.status_code = response.status_code

    @property
    def headers(self) -> Mapping[str, str]:
        return self._response.headers

    async def read(self, limit: int) -> bytes:
        pieces: list[bytes] = []
        size = 0
        async for piece in self.chunks():
            pieces.append(piece)
            size += len(piece)
            if size > limit:
                await self.aclose()
                raise ResponseTooLargeError(f"the answer is larger than {limit} bytes", body=pieces[0][:1024])
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def chunks(self) -> AsyncIterator[bytes]:
        failure: RelayDanceError | None = None
        try:
            async for piece in self._response.aiter_bytes():
                yield piece
        except Exception as error:
            failure = build_failure(error, self._request)
        finally:
            await self.aclose()
        if failure is not None:
            # Outside of the handler, so that it doesn't keep the library's exception (and the key in its request)
            # alive.
            raise failure

    async def aclose(self) -> None:
        with anyio.CancelScope(shield=True), anyio.move_on_after(CLOSE_SECONDS):
            await self._response.aclose()


class ForeignClientTransport:
    """An `httpx.AsyncClient` or `httpx2.AsyncClient` of the caller's: its pool, proxies, hooks, TLS options hold."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.name = f"{type(client).__module__.partition('.')[0]}.AsyncClient of the caller"

    async def send(self, request: WireRequest) -> HttpxResponse:
        """See `Transport`."""
        timeout = request.timeout
        failure: RelayDanceError
        try:
            outgoing = self._client.build_request(
                request.method,
                request.url,
                headers=dict(request.headers),
                content=_content(request.body),
                timeout={
                    "connect": timeout.connect,
                    "read": timeout.read,
                    "write": timeout.write,
                    "pool": timeout.connect,
                },
            )
            request.sent = True
            response = await self._client.send(outgoing, stream=True, follow_redirects=False, auth=None)
        except Exception as error:
            failure = build_failure(error, request)
        else:
            return HttpxResponse(response, request)
        raise failure

    async def aclose(self) -> None:
        """Leave it open: whoever made it closes it."""


class OwnTransport:
    """A transport of ours below `httpx.AsyncClient`."""

    def __init__(self, transport: httpx.AsyncBaseTransport, name: str) -> None:
        self._transport = transport
        self.name = name

    async def send(self, request: WireRequest) -> HttpxResponse:
        """See `Transport`."""
        failure: RelayDanceError
        try:
            response = await self._transport.handle_async_request(_build_request(request))
        except Exception as error:
            failure = build_failure(error, request)
        else:
            return HttpxResponse(response, request)
        raise failure

    async def aclose(self) -> None:
        """Close all connections."""
        await self._transport.aclose()


def _build_request(request: WireRequest) -> httpx.Request:
    timeout = request.timeout
    return httpx.Request(
        request.method,
        request.url,
        headers=request.headers,
        content=_content(request.body),
        extensions={
            "timeout": {
                "connect": timeout.connect,
                "read": timeout.read,
                "write": timeout.write,
                "pool": timeout.connect,
            },
            "relaydance.request": request,
        },
    )


def _content(body: bytes | BodyStream | None) -> bytes | AsyncIterator[bytes] | None:
    return body.open() if isinstance(body, BodyStream) else body
