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
MID_REQUEST = 40
MID_HEADERS = 20
MID_BODY = 8
HEAD_END = b"\r\n\r\n"


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
        note_silence: Callable[[], None],
        flowing: asyncio.Event,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._connection_fault = fault
        self._fault = fault
        self._next_request_fault = next_request_fault
        self._note_silence = note_silence
        self._flowing = flowing
        self._answered = True
        self._sent = 0
        """Bytes of the request that have passed, and below those of the answer."""
        self._passed = 0
        self._head = b""
        self._is_silent = False

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
            self._fall_silent()

    def _fall_silent(self) -> None:
        if not self._is_silent:
            self._is_silent = True
            self._note_silence()

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
                self._sent, self._is_silent = 0, False
                if self._connection_fault is None:
                    self._passed, self._head = 0, b""
            if self._is("reset_before_request"):
                raise BrokenOnPurposeError
            if self._is("black_hole"):
                self._fall_silent()
                continue
            await self._send_on(writer, data)

    async def _send_on(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        fault = self._fault
        broken = fault is not None and fault.kind == "reset_mid_request"
        left = (fault.after_bytes or MID_REQUEST) - self._sent if fault is not None and broken else len(data)
        writer.write(data[:left])
        await writer.drain()
        self._sent += len(data)
        if broken and len(data) >= left:
            raise BrokenOnPurposeError

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
        elif fault.kind in ("cut_response", "reset_mid_headers", "reset_mid_body", "silence_mid_body"):
            await self._cut(fault, data)
        elif fault.kind == "drip":
            await self._drip(fault, data)
        elif fault.kind == "huge_header":
            await self._write(
                b"HTTP/1.1 200 OK\r\nx-huge: " + b"h" * HUGE_HEADER_BYTES + b"\r\ncontent-length: 0\r\n\r\n"
            )
        elif fault.kind == "endless_headers":
            await self._send_endless_headers()
        elif fault.kind in ("black_hole", "black_hole_response"):
            self._fall_silent()
        else:
            await self._write(data)

    async def _write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def _cut(self, fault: ConnectionFault, data: bytes) -> None:
        limit = self._limit(fault, data)
        allowed = data[: max(0, limit - self._passed)]
        self._passed += len(allowed)
        if allowed:
            await self._write(allowed)
        if self._passed < limit:
            return
        if fault.kind == "silence_mid_body":
            self._fall_silent()
            return
        if not fault.fin:
            raise BrokenOnPurposeError
        self._writer.close()
        await self._writer.wait_closed()

    def _limit(self, fault: ConnectionFault, data: bytes) -> int:
        """How many bytes of the answer may pass."""
        if fault.kind == "reset_mid_headers":
            return fault.after_bytes or MID_HEADERS
        if fault.kind == "cut_response":
            return fault.after_bytes
        if HEAD_END not in self._head:
            self._head += data
        end = self._head.find(HEAD_END)
        return len(self._head) + 1 if end < 0 else end + len(HEAD_END) + (fault.after_bytes or MID_BODY)

    async def _drip(self, fault: ConnectionFault, data: bytes) -> None:
        size = fault.after_bytes or 1
        interval = fault.interval if fault.interval is not None else 0.05
        if fault.rate is not None:
            interval = size / fault.rate
        for at in range(0, len(data), size):
            await self._write(data[at : at + size])
            self._fall_silent()
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
