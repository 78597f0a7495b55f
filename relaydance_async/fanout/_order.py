"""The two orders in which outcomes are given out. Each holds those that nobody has taken yet."""

from __future__ import annotations

from collections import deque
from typing import Generic, Protocol, TypeVar

from ..models.outcome import Outcome

Item = TypeVar("Item")
Value = TypeVar("Value")


class Order(Protocol[Item, Value]):
    """Takes outcomes in as they come, and gives them out."""

    def put(self, outcome: Outcome[Item, Value]) -> None:
        """An item has ended."""
        ...

    def take(self) -> Outcome[Item, Value] | None:
        """The one that is next, if it has come."""
        ...

    def drain(self) -> list[Outcome[Item, Value]]:
        """All that are left, by index."""
        ...


class AsTheyEnd(Generic[Item, Value]):
    """The first that ends is the first that is given out."""

    def __init__(self) -> None:
        self._ended: deque[Outcome[Item, Value]] = deque()

    def put(self, outcome: Outcome[Item, Value]) -> None:
        """An item has ended."""
        self._ended.append(outcome)

    def take(self) -> Outcome[Item, Value] | None:
        """The one that has waited longest."""
        return self._ended.popleft() if self._ended else None

    def drain(self) -> list[Outcome[Item, Value]]:
        """All that are left, by index."""
        left = sorted(self._ended, key=lambda outcome: outcome.index)
        self._ended.clear()
        return left


class ByIndex(Generic[Item, Value]):
    """In the order of the items, each when all before it have been given out."""

    def __init__(self) -> None:
        self._ended: dict[int, Outcome[Item, Value]] = {}
        self._next = 0

    def put(self, outcome: Outcome[Item, Value]) -> None:
        """An item has ended."""
        self._ended[outcome.index] = outcome

    def take(self) -> Outcome[Item, Value] | None:
        """The next by index, if it has ended."""
        outcome = self._ended.pop(self._next, None)
        if outcome is not None:
            self._next += 1
        return outcome

    def drain(self) -> list[Outcome[Item, Value]]:
        """All that are left, by index."""
        left = [self._ended[index] for index in sorted(self._ended)]
        self._ended.clear()
        return left
