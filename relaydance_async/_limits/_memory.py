"""Shared limits in the memory of one process: what a `Store` does, without a server."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .._sansio.sharing import Grant, Kept, Report, exchange


class MemoryStore:
    """A `Store`.

    Args:
        now: the clock, in seconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._kept: dict[str, Kept] = {}

    async def exchange(self, reports: Sequence[Report]) -> list[Grant]:
        """See `Store`."""
        return [exchange(self._kept.setdefault(report.name, Kept()), report, self._now()) for report in reports]

    async def release(self, members: Sequence[tuple[str, str]]) -> None:
        """See `Store`."""
        for name, who in members:
            if name in self._kept:
                self._kept[name].members.pop(who, None)

    async def aclose(self) -> None:
        """See `Store`."""
