"""The sandbox's own clock: real time, faster if wanted, and moved forward by hand."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

from ._checks import check_number

MOST_SCALE = 1_000_000.0
MOST_SECONDS = 100 * 366 * 86_400.0
"""A century: a clock that is moved further has no dates that can be written."""


class Clock:
    """Seconds since the epoch as the sandbox sees them.

    It runs `scale` times faster than real time; with ``scale=0`` it stands still and only `advance` moves it.
    """

    def __init__(self, scale: float = 1.0) -> None:
        self.scale: float = check_number("time_scale", scale, 0, MOST_SCALE)
        """0 is a clock that is moved only by hand."""
        self._epoch = time.time()
        self._started = time.monotonic()
        self._offset = 0.0
        self._lock = threading.Lock()
        self._listeners: list[Callable[[], None]] = []
        self._sleepers: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    def now(self) -> float:
        """Seconds since the epoch on this clock."""
        return self._epoch + self._offset + (time.monotonic() - self._started) * self.scale

    def to_real(self, seconds: float) -> float:
        """How long `seconds` of this clock are in real time; as long, when only `advance` moves it."""
        return seconds / (self.scale or 1.0)

    def advance(self, seconds: float) -> None:
        """Move the clock `seconds` forward at once; what falls due then has happened when this returns.

        ValueError for anything but a finite number of 0 or more, and for more than a century in all.
        """
        with self._lock:
            check_number("what the clock is moved by (never back)", seconds, 0, MOST_SECONDS - self._offset)
            self._offset += seconds
            sleepers = list(self._sleepers)
        for listener in list(self._listeners):
            listener()
        for loop, event in sleepers:
            if not loop.is_closed():
                loop.call_soon_threadsafe(event.set)

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Call `listener` in the advancing thread after every `advance`."""
        self._listeners.append(listener)

    async def sleep(self, seconds: float, *, interrupt: asyncio.Event | None = None) -> None:
        """Wait `seconds` of this clock, however they pass, or until `interrupt` is set."""
        due = self.now() + seconds
        event = interrupt or asyncio.Event()
        entry = (asyncio.get_running_loop(), event)
        with self._lock:
            self._sleepers.add(entry)
        try:
            while (left := due - self.now()) > 0:
                try:
                    await asyncio.wait_for(event.wait(), left / self.scale if self.scale else None)
                except TimeoutError:
                    continue
                event.clear()
                if interrupt is not None:
                    return
        finally:
            with self._lock:
                self._sleepers.discard(entry)
