"""What a hook is."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ._events import HookEvent


class Hook(Protocol):
    """A function, or an object that can be called, with one event. See docs/observability.md.

    A plain one is called in the event loop, in the task and the context (`contextvars`) of the call: what it does takes
    the call's time. What an `async` one returns runs in a task of its own, in a copy of that context, and no call waits
    for it; the events of one call come one after the other. Whatever a hook raises is logged, and is never the call's.
    """

    def __call__(self, event: HookEvent, /) -> Awaitable[None] | None: ...
