"""Whose turn it is among those who wait: lanes by rank, and in each lane one view after the other.

A lane is what may be held back together: one limit, one share of the permits, one rank. A higher rank goes first. Among
lanes of one rank, the one that was served least recently goes first. Within a lane, the views (`with_options`) take
turns; within a view, who came first goes first.

A lower rank is never starved: each 20th turn is offered to the lowest rank first, and each 20th to the lane that was
served least recently, whatever its rank.
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Hashable, Iterator
from typing import Generic, Protocol, TypeAlias, TypeVar

Rank: TypeAlias = tuple[int, int]
"""The caller's priority, then the order among requests of one priority; the higher goes first."""

_TURNS = 20
"""The lowest rank is offered one turn in so many: 5 %."""


class Queued(Protocol):
    """What stands in a lane."""

    @property
    def waits(self) -> bool:
        """Whether it still does; who has left is dropped later."""
        ...


T = TypeVar("T", bound=Queued)
O = TypeVar("O")  # noqa: E741  (what the lane's places are held back by)


class Lane(Generic[T, O]):
    """Those of one rank who wait for the same things. A place costs 8 bytes; joining and leaving a constant time."""

    __slots__ = ("_left", "_views", "key", "on", "rank", "served_at", "waiting")

    def __init__(self, key: Hashable, rank: Rank, on: O, served_at: int) -> None:
        self.key: Hashable = key
        self.rank: Rank = rank
        self.on: O = on
        """What they are held back by."""
        self.served_at: int = served_at
        self.waiting: int = 0
        """How many do."""
        self._left = 0
        self._views: dict[int, deque[T]] = {}

    def __lt__(self, other: Lane[T, O]) -> bool:
        """Whether its turn is before that of the other."""
        return (self.rank, -self.served_at) > (other.rank, -other.served_at)

    def join(self, place: T, view: int) -> None:
        """Stand at the end of those of that view."""
        places = self._views.get(view)
        if places is None:
            places = self._views[view] = deque()
        places.append(place)
        self.waiting += 1

    def first(self) -> T:
        """Whose turn it is. Somebody must be waiting."""
        while True:
            view, places = next(iter(self._views.items()))
            while places:
                if places[0].waits:
                    return places[0]
                places.popleft()
                self._left -= 1
            del self._views[view]

    def pop(self) -> T:
        """Take that one out. The next turn is another view's."""
        place = self.first()
        view, places = next(iter(self._views.items()))
        places.popleft()
        self.waiting -= 1
        del self._views[view]
        if places:
            self._views[view] = places
        return place

    def left(self) -> None:
        """One of them does not wait any more."""
        self.waiting -= 1
        self._left += 1
        if self._left > self.waiting:
            self._left = 0
            kept = {view: deque(p for p in places if p.waits) for view, places in self._views.items()}
            self._views = {view: places for view, places in kept.items() if places}

    def all(self) -> list[T]:
        """Those who wait, in no order."""
        return [place for places in self._views.values() for place in places if place.waits]


class Turns(Generic[T, O]):
    """All lanes in which somebody waits."""

    __slots__ = ("_lanes", "_order", "_served")

    def __init__(self) -> None:
        self._lanes: dict[Hashable, Lane[T, O]] = {}
        self._order: list[Lane[T, O]] = []
        self._served = 0

    def join(self, place: T, key: Hashable, rank: Rank, view: int, on: O) -> Lane[T, O]:
        """Stand in the lane of that key, which is made if nobody waits there."""
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = Lane(key, rank, on, self._served)
            insort(self._order, lane)
        lane.join(place, view)
        return lane

    def order(self) -> Iterator[Lane[T, O]]:
        """The lanes, the one whose turn it is first."""
        turn = self._served % _TURNS
        if turn == _TURNS - 1:
            return iter(sorted(self._order, key=_lowest))
        if turn == _TURNS // 2:
            return iter(sorted(self._order, key=_least_recent))
        return iter(self._order)

    def serve(self, lane: Lane[T, O]) -> T:
        """Take its first out. It has had its turn."""
        place = lane.pop()
        self._served += 1
        lane.served_at = self._served
        self._order.remove(lane)
        if lane.waiting:
            insort(self._order, lane)
        else:
            del self._lanes[lane.key]
        return place

    def left(self, lane: Lane[T, O]) -> None:
        """One of its places does not wait any more."""
        lane.left()
        if not lane.waiting:
            self._order.remove(lane)
            del self._lanes[lane.key]

    @property
    def lanes(self) -> list[Lane[T, O]]:
        """All, the first first."""
        return self._order


def _lowest(lane: Lane[T, O]) -> tuple[Rank, int]:
    return lane.rank, lane.served_at


def _least_recent(lane: Lane[T, O]) -> int:
    return lane.served_at
