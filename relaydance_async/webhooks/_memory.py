"""What a receiver remembers; bounded, the oldest is forgotten first."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

T = TypeVar("T")


class Recent(Generic[T]):
    """The last so many values, each under a name."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[str, T] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    def get(self, name: str) -> T | None:
        """The value, if it is still known."""
        return self._values.get(name)

    def add(self, name: str, value: T) -> bool:
        """Remember it, unless there is one of that name; whether it is new."""
        if name in self._values:
            return False
        self._values[name] = value
        while len(self._values) > self._most:
            self._values.popitem(last=False)
        return True

    def discard(self, name: str) -> None:
        """Forget it."""
        self._values.pop(name, None)


class Bindings:
    """Which reference stands for which task: one for one."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._task_ids: OrderedDict[str, str] = OrderedDict()
        self._references: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._task_ids)

    def task_id(self, reference: str) -> str | None:
        """The task that the reference is bound to."""
        return self._task_ids.get(reference)

    def reference(self, task_id: str) -> str | None:
        """The reference that the task is bound to."""
        return self._references.get(task_id)

    def add(self, reference: str, task_id: str) -> None:
        """Bind them; earlier bindings of either end."""
        self._remove(reference)
        self._remove(self._references.get(task_id, reference))
        self._task_ids[reference] = task_id
        self._references[task_id] = reference
        if len(self._task_ids) > self._most:
            self._remove(next(iter(self._task_ids)))

    def _remove(self, reference: str) -> None:
        if reference in self._task_ids:
            del self._references[self._task_ids.pop(reference)]
