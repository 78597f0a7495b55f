"""Work that must not take long, however busy the machine is: the time of the processor counts, not that of a clock."""

from __future__ import annotations

import signal
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType
from typing import Never


@contextmanager
def at_most_cpu(seconds: float) -> Generator[None]:
    """Fail when the process has worked for longer.

    Raises:
        AssertionError: amid the work; regular expressions look for signals too.
    """

    def too_long(number: int, frame: FrameType | None) -> Never:
        raise AssertionError(f"it took more than {seconds} s of the processor")

    before = signal.signal(signal.SIGVTALRM, too_long)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
