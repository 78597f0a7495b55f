"""What is given from outside is refused before it does harm: a number that is endless or none, another type."""

from __future__ import annotations


def check_type(name: str, value: object, kind: type) -> None:
    """TypeError unless `value` is of that type: else it would fail in the middle of a request, as an HTTP 500."""
    if not isinstance(value, kind):
        raise TypeError(f"{name} must be a {kind.__name__}, not {value!r:.80}")


def check_number(name: str, value: object, least: float = 0.0, most: float = 1e12) -> float:
    """`value` as a float; ValueError unless it is a finite number from `least` to `most`."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name} must be a number, not {value!r}")
    # Compared as it came: a whole number may be too large for a float, and nothing compares to NaN.
    if not least <= value <= most:
        raise ValueError(f"{name} must be a number from {least:g} to {most:g}, not {str(value)[:40]}")
    return float(value)


def check_whole(name: str, value: object, least: int = 0, most: int = 2**53) -> int:
    """`value`; ValueError unless it is a whole number from `least` to `most`."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueError(f"{name} must be a whole number from {least} to {most}, not {str(value)[:40]}")
    return value
