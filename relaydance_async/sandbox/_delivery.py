"""Sending an answer, whole or spoilt by a fault."""

from __future__ import annotations

import asyncio
import gzip
import time
import zlib
from collections.abc import Iterable, Iterator

from ._connections import Connections
from ._exchange import Answer, ClientGoneError, Event, Exchange
from ._fault_answers import build_error_event
from ._faults import Fault
from ._limits import retry_after_headers

ENDLESS_BYTES = 64 * 2**20
ENDLESS_SECONDS = 10.0
DONE = b"data: [DONE]\n\n"


class Delivery:
    """Sends answers over connections that it can break, which ASGI alone cannot."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def send(
        self, exchange: Exchange, answer: Answer, fault: Fault | None, common: list[tuple[str, str]]
    ) -> None:
        headers = list(common)
        if fault is not None:
            if not await self._before_answer(exchange, fault):
                return
            headers += fault.headers.items()
            if not fault.replaces_answer:
                headers += retry_after_headers(fault.retry_after, 1.0)
                answer.content_type = fault.content_type or answer.content_type
            answer = _encoded(answer, fault)
            if fault.endless_body:
                await self._send_endless(exchange, answer, headers)
                return
        headers += answer.headers
        if answer.content_type is not None:
            headers.append(("content-type", answer.content_type))
        if answer.events is not None:
            await self._send_events(exchange, answer, answer.events, fault, headers)
        else:
            cut = fault.cut_body_after if fault is not None else None
            await self._send_body(exchange, answer, cut, headers)

    async def _before_answer(self, exchange: Exchange, fault: Fault) -> bool:
        """Wait as the fault wants; False when there will be no answer."""
        await exchange.pause(fault.delay)
        if fault.stall:
            await exchange.wait_gone()
            return False
        if fault.loses_answer:
            self._connections.reset(exchange.scope)
            await exchange.wait_gone()
            return False
        return True

    async def _send_body(
        self, exchange: Exchange, answer: Answer, cut: int | None, headers: list[tuple[str, str]]
    ) -> None:
        length = answer.length if answer.pieces is not None else len(answer.body)
        headers.append(("content-length", str(length)))
        await exchange.start(answer.status, headers)
        if exchange.method == "HEAD":
            await exchange.write(b"", more=False)
        elif cut is not None and cut < length:
            await self._send_cut(exchange, answer, cut)
        elif answer.pieces is None:
            await exchange.write(answer.body, more=False)
        else:
            for piece in answer.pieces():
                await exchange.write(piece)
                # A write does not suspend while the socket takes it: let the others run between pieces.
                await asyncio.sleep(0)
            await exchange.write(b"", more=False)

    async def _send_cut(self, exchange: Exchange, answer: Answer, cut: int) -> None:
        left = cut
        for piece in _pieces(answer):
            await exchange.write(piece[:left])
            left -= len(piece)
            if left <= 0:
                break
        await self._hang_up(exchange)

    async def _hang_up(self, exchange: Exchange) -> None:
        # Closed and not reset: a reset could overtake the bytes that the caller is meant to get first.
        self._connections.close(exchange.scope)
        await exchange.wait_gone()

    async def _send_endless(self, exchange: Exchange, answer: Answer, headers: list[tuple[str, str]]) -> None:
        headers += [*answer.headers, ("content-type", answer.content_type or "application/octet-stream")]
        await exchange.start(answer.status, headers)
        piece = b" " * 65536
        ends = time.monotonic() + ENDLESS_SECONDS
        gone = asyncio.ensure_future(exchange.wait_gone())
        try:
            for _ in range(ENDLESS_BYTES // len(piece)):
                if gone.done() or time.monotonic() > ends:
                    break
                await exchange.write(piece)
                await asyncio.sleep(0)
            if not gone.done():
                await exchange.write(b"", more=False)
        finally:
            gone.cancel()

    async def _send_events(
        self,
        exchange: Exchange,
        answer: Answer,
        events: Iterable[Event],
        fault: Fault | None,
        headers: list[tuple[str, str]],
    ) -> None:
        headers += [("cache-control", "no-cache"), ("x-accel-buffering", "no")]
        await exchange.start(answer.status, headers)
        if fault is not None:
            events = _spoilt(events, fault)
        gone = asyncio.ensure_future(exchange.wait_gone())
        try:
            for event in events:
                if isinstance(event, bytes):
                    await exchange.write(event)
                    await asyncio.sleep(0)
                else:
                    await asyncio.wait((gone,), timeout=event)
                if gone.done():
                    raise ClientGoneError
        finally:
            gone.cancel()
        if fault is not None and fault.cut_stream_after is not None:
            await self._hang_up(exchange)
        else:
            await exchange.write(b"", more=False)


def _pieces(answer: Answer) -> Iterator[bytes]:
    return answer.pieces() if answer.pieces is not None else iter((answer.body,))


def _spoilt(events: Iterable[Event], fault: Fault) -> Iterator[Event]:
    """The first events, comments and silences not counted, then what the fault ends the stream with."""
    cuts = (fault.cut_stream_after, fault.truncate_stream_after, fault.stream_error_after)
    limit = next((cut for cut in cuts if cut is not None), None)
    left = limit
    for event in events:
        if left is not None and isinstance(event, bytes) and not event.startswith(b":"):
            if left <= 0:
                break
            left -= 1
        yield event
    if fault.truncate_stream_after is not None:
        yield DONE
    elif fault.stream_error_after is not None:
        yield build_error_event(fault)


def _encoded(answer: Answer, fault: Fault) -> Answer:
    if fault.encoding is None or answer.pieces is not None or answer.events is not None:
        return answer
    answer.headers = [*answer.headers, ("content-encoding", fault.encoding)]
    if fault.encoding == "gzip":
        answer.body = gzip.compress(answer.body)
    elif fault.encoding == "deflate":
        answer.body = zlib.compress(answer.body)
    return answer
