"""Three clocks that need no real time.

- `QuickClock`: every sleep is over at once, and is written down.
- `HandClock`: stands still until it is advanced; whoever sleeps on it waits for that.
- `JumpingLoop`: an event loop whose own time, timeouts and all, can be put forward (`jumping_uvloop`: one of uvloop).
"""

from __future__ import annotations

import asyncio
import heapq
import random
import selectors
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import anyio.lowlevel

from relaydance_async._config import Clock


class QuickClock:
    """A clock on which every sleep is over at once and is written down.

    Args:
        after_sleep: runs at the end of each sleep; a coroutine function is awaited.
        jitter: what `random` draws each time; None: what a generator of seed 1 draws.
    """

    def __init__(
        self, after_sleep: Callable[[float], Awaitable[None] | None] | None = None, *, jitter: float | None = 1.0
    ) -> None:
        self.at = 1000.0
        self.sleeps: list[float] = []
        self.jitter = jitter
        self._after_sleep = after_sleep
        self._dice = random.Random(1)
        self._began = (self.at, datetime.now(UTC))

    def monotonic(self) -> float:
        return self.at

    def now(self) -> datetime:
        at, date = self._began
        return date + timedelta(seconds=self.at - at)

    def random(self) -> float:
        return self._dice.random() if self.jitter is None else self.jitter

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.at += seconds
        if self._after_sleep is not None and (answer := self._after_sleep(seconds)) is not None:
            await answer
        await anyio.lowlevel.checkpoint()

    @property
    def clock(self) -> Clock:
        """For a client."""
        return Clock(self.monotonic, self.sleep, self.random, self.now)


class HandClock:
    """A clock that stands still until it is advanced. `jitter` as for a `QuickClock`."""

    def __init__(self, *, jitter: float | None = 1.0) -> None:
        self.at = 1000.0
        self._jitter = jitter
        self._dice = random.Random(1)
        self._sleepers: list[tuple[float, int, anyio.Event]] = []
        self._numbers = 0

    def monotonic(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self._numbers += 1
        sleeper = (self.at + seconds, self._numbers, anyio.Event())
        heapq.heappush(self._sleepers, sleeper)
        try:
            await sleeper[2].wait()
        finally:
            if not sleeper[2].is_set():  # it was cancelled
                self._sleepers.remove(sleeper)
                heapq.heapify(self._sleepers)

    @property
    def sleeping(self) -> int:
        """How many sleep now."""
        return len(self._sleepers)

    def advance(self, seconds: float) -> None:
        """Wake everybody whose sleep is over then."""
        self.at += seconds
        while self._sleepers and self._sleepers[0][0] <= self.at:
            heapq.heappop(self._sleepers)[2].set()

    def wake_next(self) -> None:
        """Advance to the end of the shortest sleep, and wake that one only."""
        self.at, _, woken = heapq.heappop(self._sleepers)
        woken.set()

    @property
    def clock(self) -> Clock:
        """For a client."""
        draw = self._dice.random
        return Clock(self.monotonic, self.sleep, lambda: draw() if self._jitter is None else self._jitter)


class _JumpingSelector(selectors.DefaultSelector):
    """Waits for nothing, when there is nothing that could come from outside."""

    def __init__(self, jump: Callable[[float], None] | None) -> None:
        super().__init__()
        self._jump = jump

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if self._jump is None:
            return super().select(timeout)
        self._jump(max(timeout or 0.0, 0.0))
        return []


class Jumping(ABC):
    """A loop whose time can be put forward: what is timed then passes without being waited for.

    A client's clock may follow it, and a sleep on that puts it forward.
    """

    def __init__(self) -> None:
        self.sleeps: list[float] = []
        self.after_sleep: list[Callable[[float], Any]] = []
        self.step = 1.0
        """Seconds that a sleep puts it forward by at once; those who wait for timers have their turn in between."""
        self._began = (self.time(), datetime.now(UTC))

    @abstractmethod
    def time(self) -> float:
        """Seconds, those that were skipped included."""

    @abstractmethod
    def skip(self, seconds: float) -> None:
        """Put it forward."""

    def now(self) -> datetime:
        at, date = self._began
        return date + timedelta(seconds=self.time() - at)

    async def skip_in_steps(self, seconds: float) -> None:
        """Put it forward, so that all timers meanwhile are met in order."""
        left = seconds
        while left > 0:
            self.skip(min(left, self.step))
            left -= self.step
            for _ in range(3):  # for the timers that are due now, and for who waits for them
                await anyio.lowlevel.checkpoint()

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        await self.skip_in_steps(seconds)
        for hook in self.after_sleep:
            hook(seconds)

    @property
    def clock(self) -> Clock:
        """For a client that runs in this loop."""
        return Clock(self.time, self.sleep, lambda: 1.0, self.now)


class JumpingLoop(Jumping, asyncio.SelectorEventLoop):
    """Such a loop of asyncio's.

    Args:
        alone: nothing but timers runs in it, no sockets and no threads. Its time is no real one then: it begins with 0,
            and jumps whenever the loop would wait.
    """

    def __init__(self, *, alone: bool = False) -> None:
        self._alone = alone
        self._skipped = 0.0
        asyncio.SelectorEventLoop.__init__(self, _JumpingSelector(self.skip if alone else None))
        Jumping.__init__(self)

    def time(self) -> float:
        return self._skipped if self._alone else asyncio.SelectorEventLoop.time(self) + self._skipped

    def skip(self, seconds: float) -> None:
        self._skipped += seconds


def jumping() -> Jumping:
    """The loop that runs."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, Jumping)
    return loop
