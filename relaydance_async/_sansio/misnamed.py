"""Keywords that a function doesn't take: the error says what was probably meant."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def unknown_keyword(name: str, known: Iterable[str]) -> str:
    """What is wrong, and what may have been meant."""
    near = get_close_matches(name, known, 1)
    return f"unexpected keyword argument {name!r}{f'; did you mean {near[0]}?' if near else ''}"


def suggests(refused: Mapping[str, str]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Have the `TypeError` of an unknown keyword say what was meant. A call without one costs nothing more.

    Args:
        refused: names that people bring from other clients, and what is to be said of each.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        known = [name for name in inspect.signature(function).parameters if not name.startswith("_") and name != "self"]

        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return function(*args, **kwargs)
            except TypeError:
                unknown = next((name for name in kwargs if name not in known and not name.startswith("_")), None)
                if unknown is None:
                    raise
            raise TypeError(refused.get(unknown) or f"{function.__qualname__}: {unknown_keyword(unknown, known)}")

        return call

    return decorate
