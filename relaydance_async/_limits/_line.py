"""A queue by priority, in which any place can be given up at once."""

from __future__ import annotations

import heapq
from collections import deque
from typing import Generic, Protocol, TypeVar


class Queued(Protocol):
    """What stands in a line."""

    @property
    def waits(self) -> bool:
        """Whether it still does; who has left is dropped later."""
        ...


T = TypeVar("T", bound=Queued)


class Line(Generic[T]):
    """The highest priority first, equal ones in the order they came.

    A place costs 8 bytes, and joining or leaving a constant time: who leaves is only marked. They are dropped when they
    come to the front, or together when they are more than those who wait.
    """

    __slots__ = ("_by_priority", "_left", "_priorities", "waiting")

    def __init__(self) -> None:
        self.waiting: int = 0
        """How many do."""
        self._left = 0
        self._by_priority: dict[int, deque[T]] = {}
        self._priorities: list[int] = []  # a heap of the negative ones, for the highest comes first

    def join(self, place: T, priority: int) -> None:
        """Stand at the end of those with the same priority."""
        places = self._by_priority.get(priority)
        if places is None:
            places = self._by_priority[priority] = deque()
            heapq.heappush(self._priorities, -priority)
        places.append(place)
        self.waiting += 1

    def first(self) -> T:
        """Whose turn it is. The line must not be empty."""
        while True:
            places = self._by_priority[-self._priorities[0]]
            while places:
                if places[0].waits:
                    return places[0]
                places.popleft()
                self._left -= 1
            del self._by_priority[-heapq.heappop(self._priorities)]

    def pop(self) -> T:
        """Take the first out of the line."""
        place = self.first()
        places = self._by_priority[-self._priorities[0]]
        places.popleft()
        self.waiting -= 1
        if not places:
            del self._by_priority[-heapq.heappop(self._priorities)]
        return place

    def left(self) -> None:
        """One of those in the line does not wait any more."""
        self.waiting -= 1
        self._left += 1
        if self._left > self.waiting:
            self._sweep()

    def all(self) -> list[T]:
        """Those who wait, in no order."""
        return [place for places in self._by_priority.values() for place in places if place.waits]

    def _sweep(self) -> None:
        self._left = 0
        kept = {priority: [place for place in places if place.waits] for priority, places in self._by_priority.items()}
        self._by_priority = {priority: deque(places) for priority, places in kept.items() if places}
        self._priorities = sorted(-priority for priority in self._by_priority)
