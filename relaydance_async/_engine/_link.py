"""The side of a connection that is turned to the event loop: its transport, the pace of both directions, and its timer.

What is written is handed to the kernel at once, as far as that takes it. The limits of the transport are set so that it
says when it holds a single byte of ours (`pause_writing`), and when it holds none (`resume_writing`): so it is known at
any time whether all has left.

What arrives comes into one buffer that all connections of a pool share. asyncio alone would make 256 KiB for each
arrival, and throw them away: a third of the CPU of a call.

One timer for each connection, put off when it goes off too early: a request moves a number, not a timer.
"""

from __future__ import annotations

import asyncio
import contextvars
from abc import abstractmethod
from typing import cast

from ._descriptors import Poll, ask, fileno_of, poll_of

NEVER = float("inf")

_TURNS = 4
"""Of the loop, at most, until it has read what has come: asyncio wakes those who wait for a turn before it reads."""


class Link(asyncio.BufferedProtocol):
    """See above.

    Args:
        context: for the timer, which would hold a copy of that of its call. Of one loop only: a context can't be
            entered by two threads at once.
        inbox: what it receives into.
    """

    __slots__ = (
        "_alarm",
        "_context",
        "_deadline",
        "_drained",
        "_inbox",
        "_is_blocked",
        "_is_paused",
        "_loop",
        "_poll",
        "_transport",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, context: contextvars.Context, inbox: memoryview) -> None:
        self._loop = loop
        self._context = context
        self._inbox = inbox
        self._transport: asyncio.Transport | None = None
        self._poll: Poll | None = None
        self._is_blocked = False
        self._is_paused = False
        self._drained: asyncio.Future[None] | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._deadline = NEVER

    @abstractmethod
    def data_received(self, data: bytes) -> None:
        """These bytes have come; also called by whoever held the connection before."""

    @abstractmethod
    def late(self) -> None:
        """What was expected has not happened in time."""

    @property
    def is_open(self) -> bool:
        """Whether it can be written to, as far as the loop knows."""
        transport = self._transport
        return transport is not None and not transport.is_closing()

    @property
    def is_readable(self) -> bool:
        """Whether bytes or its end have come that the loop has not read yet: asked of the kernel."""
        transport, poll = self._transport, self._poll
        return transport is None or poll is None or transport.is_closing() or bool(poll.poll(0))

    @property
    def is_secure(self) -> bool:
        """Whether it is over TLS."""
        return self._transport is not None and ask(self._transport, "ssl_object") is not None

    @property
    def fileno(self) -> int:
        """Of its socket; -1 when that is closed."""
        return fileno_of(self._transport)

    @property
    def has_unsent_bytes(self) -> bool:
        """Whether the kernel has not taken all that was written."""
        return self._is_blocked

    async def catch_up(self) -> None:
        """Let the loop read what has come.

        Over TLS that need not be for us: a server sends tickets after the handshake (RFC 8446 section 4.6.1).
        """
        for _ in range(_TURNS):
            if not self.is_open or not self.is_readable:
                return
            await asyncio.sleep(0)

    def new_waiter(self) -> asyncio.Future[None]:
        """For somebody who waits for what comes."""
        return self._loop.create_future()

    def write(self, data: bytes | memoryview) -> bool:
        """Hand this to the kernel, as far as it takes it; whether the connection was there for it."""
        transport = self._transport
        if transport is None:
            return False
        transport.write(data)
        # If it is not open now, it was not before, or the one try to send this failed: the kernel has nothing of it.
        return not transport.is_closing()

    async def drained(self, seconds: float) -> None:
        """Until the kernel has taken all that was written. What it waits longer for than that ends the exchange."""
        while self._is_blocked:
            self.expect(seconds)
            self._drained = self._loop.create_future()
            try:
                await self._drained
            finally:
                self._drained = None
        self.expect(NEVER)

    def taken(self) -> None:
        """The reader has taken what had come."""
        if self._is_paused and self._transport is not None:
            self._is_paused = False
            # In a context of its own: the loop keeps the one in which it begins to read.
            contextvars.Context().run(self._transport.resume_reading)

    def pause(self) -> None:
        """The reader has enough for now."""
        if not self._is_paused and self._transport is not None:
            self._is_paused = True
            self._transport.pause_reading()

    def hang_up(self) -> None:
        """Close it at once. Over TLS it says goodbye, and waits for none."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if self._transport is not None:
            if not self._transport.is_closing() and ask(self._transport, "ssl_object") is not None:
                self._transport.close()
            self._transport.abort()

    def expect(self, seconds: float) -> None:
        """From now on, something has to happen within so many seconds."""
        if seconds == NEVER:
            self._deadline = NEVER
            return
        deadline = self._deadline = self._loop.time() + seconds
        alarm = self._alarm
        if alarm is not None:
            if alarm.when() <= deadline:
                return
            alarm.cancel()
        self._alarm = self._loop.call_at(deadline, self._ring, context=self._context)

    def put_off(self, seconds: float) -> None:
        """Something has happened, if anything was expected."""
        if self._deadline != NEVER:
            self._deadline = self._loop.time() + seconds

    def _ring(self) -> None:
        self._alarm = None
        if self._deadline == NEVER:
            return
        if self._loop.time() < self._deadline:
            self._alarm = self._loop.call_at(self._deadline, self._ring, context=self._context)
        else:
            self.late()

    # What the loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's has its methods, but is none by its class
        self._poll = poll_of(transport)
        # Over TLS asyncio pauses at the limit itself, otherwise above it.
        is_tls = ask(transport, "ssl_object") is not None
        self._transport.set_write_buffer_limits(high=1 if is_tls else 0, low=0)

    def pause_writing(self) -> None:
        self._is_blocked = True

    def resume_writing(self) -> None:
        self._is_blocked = False
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._inbox

    def buffer_updated(self, nbytes: int) -> None:
        self.data_received(bytes(self._inbox[:nbytes]))
