"""Admission of requests to other hosts: downloads."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from ._entrance import Entrance
from ._shares import Shares


class _Nothing:
    """The API's limits say nothing of other hosts."""

    is_search = False

    def delay(self, now: float) -> float:
        return 0.0

    def passed(self, now: float) -> None:
        return None


_NOTHING = _Nothing()


class ForeignAdmission(Entrance):
    """A fixed number of permits, for which nothing of the API is needed, and from which nothing is learned.

    Args:
        maximum: requests under way at once.
        monotonic: the clock, in seconds.
        sleep: for a number of seconds.
    """

    def __init__(self, maximum: int, monotonic: Callable[[], float], sleep: Callable[[float], Awaitable[None]]) -> None:
        super().__init__(Shares.undivided(maximum), lambda ticket: _NOTHING, monotonic, sleep)
