"""The ways to send, and a place between a client and its transport."""

from __future__ import annotations

import pkgutil
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from importlib import import_module
from typing import Any

import httpx
import pytest

from relaydance_async import _transports
from relaydance_async._transports import WireRequest, build_transport

TRANSPORTS = ("direct", "httpx", "caller")


def import_all() -> None:
    """Import what the transports import when they are first used."""
    for _, name, _ in pkgutil.iter_modules(_transports.__path__, f"{_transports.__name__}."):
        with suppress(ImportError):  # of a library that is not installed
            import_module(name)


@asynccontextmanager
async def transport_options(name: str) -> AsyncGenerator[dict[str, Any], None]:
    """What to make a client with, to have it send in one of these ways."""
    if name != "caller":
        yield {"transport": name}
        return
    async with httpx.AsyncClient(verify=False) as http:
        yield {"http_client": http}


def use_h11(patch: pytest.MonkeyPatch) -> None:
    """As without the extra `[fast]`."""
    patch.setattr("relaydance_async._transports._choice.has_httptools", lambda: False)


def change_transport(patch: pytest.MonkeyPatch, change: Callable[[Any], Any]) -> None:
    """Have the clients that first send from now on send with `change(their transport)`."""

    async def build_changed(*args: Any, **options: Any) -> Any:
        return change(await build_transport(*args, **options))

    patch.setattr("relaydance_async._client._settings.build_transport", build_changed)


class Tap:
    """What passes between a client and its transport."""

    def __init__(self) -> None:
        self.requests: list[WireRequest] = []
        self.reads = 0
        """How often the reading of a whole answer was begun."""
        self.on_piece: Callable[[bytes], None] = lambda _: None
        """Called with each piece of an answer that is read in pieces."""


def tap(patch: pytest.MonkeyPatch) -> Tap:
    """Listen to the clients that first send, or send again after `aclose`, from now on."""
    heard = Tap()
    change_transport(patch, lambda transport: _TappedTransport(transport, heard))
    return heard


class _TappedTransport:
    def __init__(self, transport: Any, heard: Tap) -> None:
        self._transport = transport
        self._heard = heard

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    async def send(self, request: WireRequest) -> Any:
        self._heard.requests.append(request)
        return _TappedResponse(await self._transport.send(request), self._heard)


class _TappedResponse:
    def __init__(self, response: Any, heard: Tap) -> None:
        self._response = response
        self._heard = heard

    def __getattr__(self, name: str) -> Any:
        return getattr(self._response, name)

    async def read(self, limit: int) -> bytes:
        self._heard.reads += 1
        body: bytes = await self._response.read(limit)
        return body

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        async with aclosing(self._response.chunks()) as pieces:
            async for piece in pieces:
                self._heard.on_piece(piece)
                yield piece
