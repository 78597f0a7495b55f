"""What a caller can watch."""

from ._retry import RetryEvent, RetryHook, as_observer

__all__ = ["RetryEvent", "RetryHook", "as_observer"]
