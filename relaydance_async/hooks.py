"""What the hooks of a client are told, and the hook that makes OpenTelemetry's spans and metrics of it.

from relaydance_async.hooks import CallEnded, HookEvent


def tell(event: HookEvent) -> None:
    if isinstance(event, CallEnded):
        print(event.call.path, event.outcome, event.elapsed)


client = AsyncRelayDance(hooks=[tell])
"""

from ._hooks import Hook, RetryEvent
from ._hooks._events import (
    Admitted,
    AttemptEnded,
    CallBegan,
    CallEnded,
    CallEvent,
    Downloaded,
    FirstToken,
    HookEvent,
    Outcome,
    Polled,
    Retrying,
    Sending,
    StreamEnded,
)
from ._hooks._otel import OpenTelemetry
from ._sansio.observer import CallInfo

__all__ = [
    "Admitted",
    "AttemptEnded",
    "CallBegan",
    "CallEnded",
    "CallEvent",
    "CallInfo",
    "Downloaded",
    "FirstToken",
    "Hook",
    "HookEvent",
    "OpenTelemetry",
    "Outcome",
    "Polled",
    "RetryEvent",
    "Retrying",
    "Sending",
    "StreamEnded",
]
