"""How one item of a fan-out ended."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

Item_co = TypeVar("Item_co", covariant=True)
Value_co = TypeVar("Value_co", covariant=True)


class Outcome(Generic[Item_co, Value_co]):
    """How one item of a fan-out ended: with a `value`, or with an `error`.

    Attributes:
        index: of the item in the iterable, from 0.
        item: as it was taken from the iterable.
        error: what the function raised, or None. It is an `Exception`, or the `CancelledError` of a task that was
            cancelled: by itself, by somebody else, or because the fan-out was left early.
        seconds: how long the function took.
    """

    __slots__ = ("_value", "error", "index", "item", "seconds")

    def __init__(
        self, index: int, item: Item_co, *, value: Value_co | None = None, error: BaseException | None, seconds: float
    ) -> None:
        self.index: int = index
        self.item: Item_co = item
        self.error: BaseException | None = error
        self.seconds: float = seconds
        self._value: Any = value

    @property
    def value(self) -> Value_co:
        """What the function returned.

        Raises:
            BaseException: the item ended with an error; it is that one.
        """
        if self.error is not None:
            raise self.error
        value: Value_co = self._value
        return value

    def __repr__(self) -> str:
        ended = f"value={self._value!r}" if self.error is None else f"error={self.error!r}"
        return f"Outcome(index={self.index}, item={self.item!r}, {ended}, seconds={self.seconds:.3f})"
