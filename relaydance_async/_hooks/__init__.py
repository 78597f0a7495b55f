"""What a caller can watch."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from ..errors import RelayDanceError

log = logging.getLogger("relaydance_async")


@dataclass(frozen=True, slots=True)
class RetryEvent:
    """A failed attempt that will be repeated.

    Attributes:
        attempt: the number of the failed attempt, from 1.
        error: what it ended in.
        wait: seconds until the next attempt.
        elapsed: seconds since the call began.
        method, path: of the request.
    """

    attempt: int
    error: RelayDanceError
    wait: float
    elapsed: float
    method: str
    path: str


RetryHook: TypeAlias = Callable[[RetryEvent], Awaitable[None] | None]


async def report_retry(hook: RetryHook | None, event: RetryEvent) -> None:
    """Tell the log, and the hook if there is one. A hook that raises is logged: it must not cost the call."""
    log.debug("%s %s: attempt %d failed, again in %.2f s", event.method, event.path, event.attempt, event.wait)
    if hook is None:
        return
    try:
        answer = hook(event)
        if inspect.isawaitable(answer):
            await answer
    except Exception:
        log.exception("on_retry raised; the call goes on")
