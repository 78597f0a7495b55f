"""Tells a caller's function how far a transfer has come."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TypeAlias

from ..errors import InvalidInputError

ProgressHook: TypeAlias = Callable[[int, int | None], None]
"""A plain function of the bytes so far, and of all bytes: None while that is not known."""


class StoppedByHook(Exception):
    """Ends a transfer whose hook raised. None of our own errors, so that nothing repeats or translates it.

    Attributes:
        reason: what the hook raised.
    """

    def __init__(self, reason: Exception) -> None:
        super().__init__()
        self.reason = reason


class Progress:
    """Calls a hook, and keeps what it raises, so that the caller gets that unchanged.

    Raises:
        InvalidInputError: the hook is asynchronous: nobody would await it.

    Attributes:
        error: what the hook raised, or None.
    """

    def __init__(self, hook: ProgressHook | None) -> None:
        if inspect.iscoroutinefunction(hook):
            raise InvalidInputError("on_progress must be a plain function, not an async one")
        self._hook = hook
        self.error: Exception | None = None

    def tell(self, done: int, total: int | None) -> None:
        """So many bytes have come, or gone.

        Raises:
            StoppedByHook: the hook raised.
        """
        if self._hook is None:
            return
        try:
            self._hook(done, total)
        except Exception as error:
            self.error = error
            raise StoppedByHook(error) from None


NO_PROGRESS = Progress(None)
"""For whom nobody asks."""
