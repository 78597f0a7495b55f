"""Values from outside, made what they should be: converted where that is safe, bounded, and else left out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

_LONGEST_NUMBER = 32
"""Characters; a number that is written longer is none."""
_MILLISECONDS_FROM = 1e11
"""A time above it, in the year 5138, is one in milliseconds."""


def is_object(value: object) -> TypeGuard[Mapping[str, Any]]:
    """Whether it is a JSON object."""
    return isinstance(value, Mapping)


def inner(fields: object, *path: str | int) -> Any:
    """What lies at the end of the path; None when nothing does."""
    value: Any = fields
    for name in path:
        if isinstance(name, int):
            value = _item(value, name) if isinstance(value, list) else None  # pyright: ignore[reportUnknownArgumentType]
        else:
            value = value.get(name) if is_object(value) else None
    return value


def _item(items: Sequence[Any], number: int) -> Any:
    return items[number] if len(items) > number else None


def text(value: Any, most: int | None = None) -> str:
    """A word without white space around it; "" when it is none, or longer than `most` characters."""
    word = value.strip() if isinstance(value, str) else ""
    return word if most is None or len(word) <= most else ""


def number(value: Any, unit: str = "") -> float | None:
    """A finite number, also one in a string that may end in its unit."""
    if isinstance(value, str):
        value = value.strip().removesuffix(unit)
        if len(value) > _LONGEST_NUMBER:
            return None
    try:
        found = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def between(value: float | None, least: float, most: float) -> float | None:
    """The number, if it lies within these bounds."""
    return value if value is not None and least <= value <= most else None


def integer(value: Any, least: int, most: int) -> int | None:
    """A whole number within these bounds, also one in a string."""
    if isinstance(value, str) and len(value) <= _LONGEST_NUMBER:
        try:
            value = int(value)
        except ValueError:
            value = number(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # Not by way of a float where it can be helped: a seed may have more digits than one holds.
    return int(value) if least <= value <= most and value == int(value) else None


def unix_time(value: Any) -> int | None:
    """A Unix time in whole seconds, also from milliseconds; None when there is none, which may come as 0."""
    found = between(number(value), 0, _MILLISECONDS_FROM * 1000)
    if found is not None and found > _MILLISECONDS_FROM:
        found /= 1000
    return int(found) if found is not None and found >= 1 else None


def address(value: Any) -> str | None:
    """A web address. A sentence that begins with one is none."""
    if not isinstance(value, str) or not value.lower().startswith(("https://", "http://")):
        return None
    return None if any(letter.isspace() for letter in value) else value
