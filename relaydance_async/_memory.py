"""What a client, or one event loop of it, keeps between calls: one value of each type, made when it is asked for."""

from __future__ import annotations

from typing import Any, TypeVar

T = TypeVar("T")


class Memory:
    """Each endpoint keeps a value of its own type here, of which nobody else needs to know."""

    __slots__ = ("_values",)

    def __init__(self) -> None:
        self._values: dict[type, Any] = {}

    def of(self, kind: type[T]) -> T:
        """The value of this type. Its class is called without arguments; from any thread it is the same."""
        found: T | None = self._values.get(kind)
        return self._values.setdefault(kind, kind()) if found is None else found
