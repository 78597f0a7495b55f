"""The engine below an `httpx.AsyncClient`: what a plain install uses.

httpx's request carries the attempt that it was built from, and that is what is sent. What is not needed of the client
around it is switched off: its cookies, whose search takes a tenth of a request's time in every answer.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import cast

import httpx

from .._engine import Engine, Exchange
from ._base import WireRequest

REQUEST_MARK = "relaydance.request"
"""The extension under which the engine finds the `WireRequest`."""


class EngineFace(httpx.AsyncBaseTransport):
    """See above."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the attempt of a request; what breaks is told in our own exceptions."""
        exchange = await self._engine.send(cast(WireRequest, request.extensions[REQUEST_MARK]))
        assert exchange.head is not None
        return httpx.Response(
            exchange.status_code, headers=exchange.head.pairs(), stream=_Stream(exchange), request=request
        )

    async def aclose(self) -> None:
        """Close all connections."""
        await self._engine.aclose()


class _Stream(httpx.AsyncByteStream):
    """An answer's body as it came, coding and all."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._exchange.raw()

    async def aclose(self) -> None:
        await self._exchange.aclose()


class _NoCookies(httpx.Cookies):
    def extract_cookies(self, response: httpx.Response) -> None:
        """None."""


class PlainClient(httpx.AsyncClient):
    """A client without cookies, and without the environment, which the engine reads itself."""

    def __init__(self, engine: Engine) -> None:
        self._none = _NoCookies()
        super().__init__(transport=EngineFace(engine), trust_env=False)

    @property
    def cookies(self) -> httpx.Cookies:
        """None."""
        return self._none

    @cookies.setter
    def cookies(self, cookies: object) -> None:
        pass
