"""Several peers, each in a process of its own, measured in turns."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from statistics import median
from typing import Any, TypeVar

from .child import Child, ChildError

T = TypeVar("T")


class Children:
    """One process for each name, started on first need; a context manager. A peer that fails is left out after."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._children: dict[str, Child] = {}
        self.failed: dict[str, str] = {}

    def __enter__(self) -> Children:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stack.close()

    def call(self, name: str, module: str, function: str, /, **arguments: Any) -> Any | None:
        """See `Child.call`; None when that peer has failed, now or before."""
        if name in self.failed:
            return None
        if name not in self._children:
            self._children[name] = self._stack.enter_context(Child())
        try:
            return self._children[name].call(module, function, **arguments)
        except ChildError as error:
            self.failed[name] = str(error).strip().splitlines()[-1]
            print(f"{name} is left out: {self.failed[name]}", file=sys.stderr)
            return None


def in_turns(names: Iterable[str], repeats: int, measure: Callable[[str], T | None]) -> dict[str, list[T]]:
    """Measure all once, then all once more, …: a noisy minute hits them alike. Those that fail are left out."""
    results: dict[str, list[T]] = {name: [] for name in names}
    for _ in range(repeats):
        for name, found in results.items():
            result = measure(name)
            if result is not None:
                found.append(result)
    return {name: found for name, found in results.items() if len(found) == repeats}


def medians(results: Iterable[dict[str, float]]) -> dict[str, float]:
    """The median of each figure."""
    listed = list(results)
    return {key: median(result[key] for result in listed) for key in listed[0]}
