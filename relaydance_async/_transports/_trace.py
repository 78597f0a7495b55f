"""How far a request has come in a caller's client, as far as that tells.

By the events of httpcore, also below httpx and httpx2. Whether there are any depends on what somebody has put below.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from .._sansio.breakage import Broke, Reached, build_connection_error
from ._base import WireRequest

_SECOND_ANSWER = Broke(Reached.SENT, "closed", "what came is the second answer to an earlier request")


class Course:
    """Follows one request. Its `note` is for the `trace` extension."""

    __slots__ = ("_is_connecting", "_is_read", "_is_sending", "_request")

    def __init__(self, request: WireRequest) -> None:
        self._request = request
        self._is_connecting = False
        self._is_sending = False
        self._is_read = True

    async def note(self, event: str, info: Mapping[str, Any]) -> None:
        """Awaited with the name of each event and what it is about.

        Raises:
            APIConnectionError: this answer had been read before its request was sent: it is the second one to an
                earlier request. The pool drops the connection.
        """
        if event.endswith(".send_request_headers.started"):
            # To a proxy a CONNECT goes first, which is not the request.
            if getattr(info.get("request"), "method", None) != b"CONNECT":
                self._is_sending = True
        elif event.endswith((".connect_tcp.started", ".start_tls.started")):
            self._is_connecting = True
        elif event == "http11.receive_response_headers.started":
            self._wait_for_turn()
        elif event == "http11.receive_response_headers.complete" and not self._is_read:
            raise build_connection_error(_SECOND_ANSWER, peer=self._request.peer)

    def correct(self) -> None:
        """It is over: what it was doing when it was cancelled or broke may show that nothing was sent."""
        if self._is_connecting and not self._is_sending:
            self._request.progress.reached = Reached.NOT_SENT

    def _wait_for_turn(self) -> None:
        # To read from a connection takes a turn of the event loop at least. So a head that comes without one has lain
        # in the parser's buffer, or in that of TLS. Only HTTP/1.1 has this fault; under trio nothing is found.
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        self._is_read = False
        loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._is_read = True
