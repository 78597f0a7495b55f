"""What counts as a number in an argument."""

from __future__ import annotations


def is_positive(value: object) -> bool:
    """Whether it is a number above 0. NaN is none, nor is `True`."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0
