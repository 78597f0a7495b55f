"""What a caller can watch."""

from ._attach import as_observers
from ._later import Backlog
from ._log import LOG, is_logging_attempts, tell_end
from ._protocol import Hook
from ._retry import RetryEvent, RetryHook, as_observer

__all__ = [
    "LOG",
    "Backlog",
    "Hook",
    "RetryEvent",
    "RetryHook",
    "as_observer",
    "as_observers",
    "is_logging_attempts",
    "tell_end",
]
