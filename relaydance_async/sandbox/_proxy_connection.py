"""One connection through the proxy, with the fault that it meets."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable

from ._proxy_faults import ConnectionFault
from ._sockets import reset_transport

PIECE_BYTES = 64 * 1024
HUGE_HEADER_BYTES = 10 * 2**20
ENDLESS_BYTES = 64 * 2**20
ENDLESS_SECONDS = 10.0
MID_HEADERS = 20


class BrokenOnPurposeError(Exception):
    """The fault has ended the connection."""


class ProxiedConnection:
    """Pumps bytes both ways."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        fault: ConnectionFault | None,
        next_request_fault: Callable[[], ConnectionFault | None],
        flowing: asyncio.Event,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._connection_fault = fault
        self._fault = fault
        self._next_request_fault = next_request_fault
        self._flowing = flowing
        self._answered = True
        self._passed = 0

    def reset(self) -> None:
        reset_transport(self._writer.transport)

    async def run(self, host: str, port: int) -> None:
        try:
            if self._is("refuse"):
                self.reset()
            elif self._is("black_hole"):
                await self._swallow()
            else:
                await self._pump_both(host, port)
        except (OSError, BrokenOnPurposeError):
            # Also the target refusing: the caller sees the reset that a dead port gives.
            self.reset()
        finally:
            self._writer.close()
            with contextlib.suppress(OSError):
                await self._writer.wait_closed()

    def _is(self, *kinds: str) -> bool:
        return self._fault is not None and self._fault.kind in kinds

    async def _swallow(self) -> None:
        while await self._reader.read(PIECE_BYTES):
            pass

    async def _pump_both(self, host: str, port: int) -> None:
        reader, writer = await asyncio.open_connection(host, port)
        pumps = [asyncio.ensure_future(self._pump_up(writer)), asyncio.ensure_future(self._pump_down(reader))]
        try:
            done, _ = await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for pump in done:
                pump.result()
        finally:
            # Before anything is awaited: the proxy may be stopping, and cancel this as well.
            writer.close()
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _pump_up(self, writer: asyncio.StreamWriter) -> None:
        while data := await self._reader.read(PIECE_BYTES):
            await self._flowing.wait()
            if self._answered:
                self._answered = False
                # Asked for every request, so that the proxy's count of them is right.
                request_fault = self._next_request_fault()
                self._fault = self._connection_fault or request_fault
                if self._connection_fault is None:
                    self._passed = 0
            if self._is("reset_before_request"):
                raise BrokenOnPurposeError
            if self._is("black_hole"):
                continue
            writer.write(data)
            await writer.drain()

    async def _pump_down(self, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(PIECE_BYTES):
            await self._flowing.wait()
            self._answered = True
            await self._pass_on(data)

    async def _pass_on(self, data: bytes) -> None:
        fault = self._fault
        if fault is None:
            await self._write(data)
        elif fault.kind == "reset_after_request":
            raise BrokenOnPurposeError
        elif fault.kind in ("cut_response", "reset_mid_headers"):
            await self._cut(fault, data)
        elif fault.kind == "drip":
            await self._drip(fault, data)
        elif fault.kind == "huge_header":
            await self._write(
                b"HTTP/1.1 200 OK\r\nx-huge: " + b"h" * HUGE_HEADER_BYTES + b"\r\ncontent-length: 0\r\n\r\n"
            )
        elif fault.kind == "endless_headers":
            await self._send_endless_headers()
        elif fault.kind not in ("black_hole", "black_hole_response"):
            await self._write(data)

    async def _write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def _cut(self, fault: ConnectionFault, data: bytes) -> None:
        limit = fault.after_bytes or (MID_HEADERS if fault.kind == "reset_mid_headers" else 0)
        allowed = data[: limit - self._passed]
        self._passed += len(allowed)
        if allowed:
            await self._write(allowed)
        if self._passed < limit:
            return
        if not fault.fin:
            raise BrokenOnPurposeError
        self._writer.close()
        await self._writer.wait_closed()

    async def _drip(self, fault: ConnectionFault, data: bytes) -> None:
        size = fault.after_bytes or 1
        interval = fault.interval if fault.interval is not None else 0.05
        if fault.rate is not None:
            interval = size / fault.rate
        for at in range(0, len(data), size):
            await self._write(data[at : at + size])
            await asyncio.sleep(interval)

    async def _send_endless_headers(self) -> None:
        await self._write(b"HTTP/1.1 200 OK\r\n")
        line = b"".join(b"x-endless-%d: %s\r\n" % (number, b"h" * 100) for number in range(500))
        ends = time.monotonic() + ENDLESS_SECONDS
        for _ in range(ENDLESS_BYTES // len(line)):
            if time.monotonic() > ends:
                break
            await self._write(line)
        raise BrokenOnPurposeError
