"""How far a command is, and what it waits for: a line that moves on a terminal, and nothing anywhere else."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from .. import AsyncRelayDance, LimiterSnapshot, LimitsSnapshot, VideoTask
from .._sansio.redact import one_line

_TICK_SECONDS = 0.2


class Progress:
    """What is to be shown.

    Attributes:
        what: is made.
        state: of it.
    """

    def __init__(self, what: str) -> None:
        self.what: str = what
        self.state: str = "begun"
        self._began = time.monotonic()

    def saw(self, task: VideoTask) -> None:
        """The client's `on_update`."""
        done = f" {task.progress:.0f} %" if task.progress else ""
        self.state = f"{task.status}{done}"

    def line(self, snapshot: LimitsSnapshot) -> str:
        """As it is now."""
        seconds = time.monotonic() - self._began
        return " · ".join(filter(None, (one_line(self.what), self.state, f"{seconds:.0f} s", limits_in(snapshot))))


def limits_in(snapshot: LimitsSnapshot) -> str:
    """What calls wait for, in a few words; "" when for nothing."""
    waiting = sum(snapshot.queued.values())
    told = [_limit(limiter) for limiter in snapshot.limiters if limiter.state != "open"]
    queue = f"{waiting} waiting for their turn" if waiting else ""
    return "; ".join(filter(None, (queue, *told)))


def _limit(limiter: LimiterSnapshot) -> str:
    rate = f" to {limiter.rate * 60:,.0f}/min" if limiter.rate else ""
    after = f", next in {limiter.next_in:.0f} s" if 0 < limiter.next_in < float("inf") else ""
    return f"limited{rate} ({one_line(limiter.name)}){after}"


@asynccontextmanager
async def showing(client: AsyncRelayDance, what: str) -> AsyncGenerator[Progress]:
    """Show it on stderr until the end of the `async with`."""
    progress = Progress(what)
    # Not what rich thinks: FORCE_COLOR makes no terminal of a pipe.
    if not sys.stderr.isatty():
        yield progress
        return
    ticking = asyncio.ensure_future(_tick(client, progress))
    try:
        yield progress
    finally:
        ticking.cancel()
        await asyncio.wait((ticking,))


async def _tick(client: AsyncRelayDance, progress: Progress) -> None:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    with Live(console=Console(stderr=True), transient=True, auto_refresh=False) as live:
        while True:
            text = progress.line(client.limits.snapshot())
            live.update(Text(text, no_wrap=True, overflow="ellipsis"), refresh=True)
            await asyncio.sleep(_TICK_SECONDS)
