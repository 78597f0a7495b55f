"""On which calls a fault fires."""

from __future__ import annotations

import random
from typing import Protocol

from ._checks import check_number, check_whole


class Selective(Protocol):
    """Anything with the three ways to choose calls; none of them means every call."""

    @property
    def at(self) -> tuple[int, ...]: ...
    @property
    def every(self) -> int | None: ...
    @property
    def probability(self) -> float | None: ...


def check_selection(fault: Selective) -> None:
    if fault.every is not None:
        check_whole("every", fault.every, 1)
    if fault.probability is not None:
        check_number("probability", fault.probability, 0, 1)
    for n in fault.at:
        check_whole("at (which counts from 1)", n, 1)


def selects(fault: Selective, n: int, seed: str) -> bool:
    """Whether `fault` fires on the nth call, from 1."""
    if n in fault.at:
        return True
    if fault.every is not None and n % fault.every == 0:
        return True
    if fault.probability is not None:
        # Drawn per call number, so that other traffic does not shift it.
        return random.Random(f"{seed}:{n}").random() < fault.probability
    return not fault.at and fault.every is None
