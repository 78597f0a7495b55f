"""Admission of requests to other hosts: downloads."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from ._entrance import Entrance, Place
from ._shares import Shares


class _NoPace:
    """The API's rate limit says nothing of other hosts."""

    def pause(self, now: float) -> float:
        return 0.0

    def delay(self, now: float) -> float:
        return 0.0

    def admit(self, now: float) -> float:
        return 0.0


class ForeignAdmission(Entrance):
    """A fixed number of permits, for which nothing of the API is needed, and from which nothing is learned.

    Args:
        maximum: requests under way at once.
        monotonic: the clock, in seconds.
        sleep: for a number of seconds.
    """

    def __init__(self, maximum: int, monotonic: Callable[[], float], sleep: Callable[[float], Awaitable[None]]) -> None:
        super().__init__(Shares[Place].undivided(maximum), _NoPace(), monotonic, sleep)
