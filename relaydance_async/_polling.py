"""How many waits for tasks are under way in this process.

All clients, event loops and threads are counted together: the waits share one gateway and one schedule.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager


class ActiveWaits:
    """Counts the waits that are under way."""

    def __init__(self) -> None:
        # Not a number: the calls of a parent, which become garbage in a forked child, count down there as well. And
        # threads can add to a set at once without losing one.
        self._marks: set[object] = set()

    def __len__(self) -> int:
        return len(self._marks)

    @contextmanager
    def one_more(self) -> Generator[None, None, None]:
        """Count one wait while this is entered."""
        mark = object()
        self._marks.add(mark)
        try:
            yield
        finally:
            self._marks.discard(mark)

    def begin_anew(self) -> None:
        """Count from 0 in a forked child: the waits go on in the parent."""
        self._marks = set()


ACTIVE_WAITS = ActiveWaits()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=ACTIVE_WAITS.begin_anew)
