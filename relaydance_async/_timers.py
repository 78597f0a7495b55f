"""Times at which something is to be done, most of which never come: deadlines and timeouts.

A timer of asyncio's costs two microseconds and more, most of that after it was cancelled, and leaves objects behind for
the garbage collector. Here one of them serves all: it is set to the earliest time. What is dropped stays in the heap as
a number, until the heap is more of those than of others. One number says both when, in microseconds, and which: pairs
the garbage collector would have to visit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context
from heapq import heapify, heappop, heappush
from itertools import count

_NEVER = float("inf")

_MICRO = 1e6
_BITS = 40
"""Of a number that say which."""
_WHICH = (1 << _BITS) - 1

_FEW = 100
"""Dropped times that are not worth a sweep."""


class Timers:
    """The times of one event loop. To be used in its thread.

    Args:
        loop: by whose clock they are, in seconds.
    """

    __slots__ = ("_acts", "_at", "_handle", "_heap", "_numbers", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop: asyncio.AbstractEventLoop = loop
        self._heap: list[int] = []
        self._acts: dict[int, Callable[[], object]] = {}
        self._numbers = count()
        self._handle: asyncio.TimerHandle | None = None
        self._at = _NEVER

    def __len__(self) -> int:
        """How many are to come."""
        return len(self._acts)

    def set(self, at: float, act: Callable[[], object]) -> int:
        """Call the function then, in no context of anybody's. It must not raise. An infinite time never comes.

        Returns:
            The number to `drop` it by.
        """
        if at == _NEVER:
            return -1
        number = round(at * _MICRO) << _BITS | next(self._numbers) & _WHICH
        self._acts[number] = act
        heappush(self._heap, number)
        if at < self._at:
            self._wake(at)
        return number

    def drop(self, number: int) -> None:
        """Forget it. Safe to do twice, and when its time has come."""
        self._acts.pop(number, None)
        if len(self._heap) > 2 * len(self._acts) + _FEW:
            self._heap = [number for number in self._heap if number in self._acts]
            heapify(self._heap)

    def _wake(self, at: float) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._at = at
        # The caller's context would be kept for as long as the timer.
        self._handle = self.loop.call_at(at, self._ring, context=Context())

    def _ring(self) -> None:
        self._handle, self._at = None, _NEVER
        now, heap, acts = round(self.loop.time() * _MICRO), self._heap, self._acts
        due: list[Callable[[], object]] = []
        while heap and (heap[0] >> _BITS <= now or heap[0] not in acts):
            if (act := acts.pop(heappop(heap), None)) is not None:
                due.append(act)
        if heap:
            self._wake((heap[0] >> _BITS) / _MICRO)
        for act in due:
            act()
