"""What httpcore tells the `trace` extension of a request, also below httpx and httpx2."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

Trace: TypeAlias = Callable[[str, Mapping[str, Any]], Awaitable[None]]
"""Awaited with the name of each event and what it is about."""


def begins_to_send(event: str, info: Mapping[str, Any]) -> bool:
    """Whether the first byte of the request leaves next, and not only one for a proxy."""
    if not event.endswith(".send_request_headers.started"):
        return False
    return getattr(info.get("request"), "method", None) != b"CONNECT"


class SecondAnswers:
    """Finds an answer that had been read before its request was sent: it is the second one to an earlier request.

    To read from a connection takes a turn of the event loop at least. So a head that comes without one has lain in the
    parser's buffer, or in that of TLS. Only HTTP/1.1 has this fault; under trio nothing is found.
    """

    __slots__ = ("_is_read",)

    def __init__(self) -> None:
        self._is_read = True

    def found(self, event: str) -> bool:
        """Whether this event of a request is the head of such an answer."""
        if event == "http11.receive_response_headers.started":
            self._wait_for_turn()
        return event == "http11.receive_response_headers.complete" and not self._is_read

    def _wait_for_turn(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        self._is_read = False
        loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._is_read = True
