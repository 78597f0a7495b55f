"""What the tests of hooks share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from relaydance_async.hooks import (
    Admitted,
    AttemptEnded,
    CallBegan,
    CallEnded,
    Downloaded,
    FirstToken,
    HookEvent,
    Polled,
    Retrying,
    Sending,
    StreamEnded,
)

E = TypeVar("E")

KINDS = (
    Admitted,
    AttemptEnded,
    CallBegan,
    CallEnded,
    Downloaded,
    FirstToken,
    Polled,
    Retrying,
    Sending,
    StreamEnded,
)

ATTEMPT = ["Admitted", "Sending", "AttemptEnded"]
ONCE = ["CallBegan", *ATTEMPT, "CallEnded"]
"""The events of a call that succeeds at once."""


class Heard:
    """A hook that writes down what it is told.

    Args:
        then: called with each event.
    """

    def __init__(self, then: Callable[[HookEvent], Any] = lambda _: None) -> None:
        self.events: list[HookEvent] = []
        self._then = then

    def __call__(self, event: HookEvent) -> None:
        self.events.append(event)
        self._then(event)

    @property
    def names(self) -> list[str]:
        return [type(event).__name__ for event in self.events]

    def all(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    def one(self, kind: type[E]) -> E:
        (event,) = self.all(kind)
        return event


class HeardLater(Heard):
    """The same, told asynchronously."""

    async def __call__(self, event: HookEvent) -> None:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        super().__call__(event)
