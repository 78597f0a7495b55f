"""The client was asked for something that can't be: nothing was sent."""

from __future__ import annotations

from typing import Any

from .._keylike import without_keys
from ._base import RelayDanceError


class _ArgumentError(RelayDanceError, ValueError):
    """Its text quotes an argument. An API key may have been pasted there by mistake."""

    def __init__(self, message: str = "", **details: Any) -> None:
        super().__init__(without_keys(message), **details)


class ConfigurationError(_ArgumentError):
    """The client was set up wrongly: no key, a bad URL, a limit out of range, a missing extra."""


class InvalidInputError(_ArgumentError):
    """An argument that can't be sent. Nothing was sent."""
