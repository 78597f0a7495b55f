"""Waiters, first come first served."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

import anyio

T = TypeVar("T")


class _Place(Generic[T]):
    __slots__ = ("turn", "value")

    def __init__(self) -> None:
        self.turn = anyio.Event()
        self.value: T


class Queue(Generic[T]):
    """A queue of tasks of one event loop; each is let go with a value."""

    def __init__(self) -> None:
        # Ordered, and any entry can be removed at once when its waiter is cancelled.
        self._places: OrderedDict[_Place[T], None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._places)

    async def wait(self, give_back: Callable[[T], None]) -> T:
        """Return the value that this task is let go with.

        Cancellation leaves the queue, or gives back the value, when there is one already.
        """
        place: _Place[T] = _Place()
        self._places[place] = None
        try:
            await place.turn.wait()
        except BaseException:
            if place.turn.is_set():
                give_back(place.value)
            else:
                del self._places[place]
            raise
        return place.value

    def let_go(self, value: T) -> None:
        """Let the first one go, with that value."""
        place, _ = self._places.popitem(last=False)
        place.value = value
        place.turn.set()
