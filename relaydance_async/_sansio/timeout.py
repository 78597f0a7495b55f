"""How long one I/O phase of one attempt may take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from ..errors import ConfigurationError
from ..models._options import PhaseTimeouts
from .numbers import is_positive

_NO_LIMIT = float("inf")


@dataclass(frozen=True, slots=True)
class Timeout:
    """Limits of the I/O phases of one attempt, in seconds.

    Attributes:
        connect: to open a connection, TLS included.
        read: between two arriving pieces of the answer. The default is above 300 s, because a chat stream may be silent
            for that long while the model thinks.
        write: to hand over one piece of the body.

    Raises:
        ConfigurationError: when one is not more than 0.
    """

    connect: float = 10.0
    read: float = 320.0
    write: float = 60.0

    def __post_init__(self) -> None:
        for value in (self.connect, self.read, self.write):
            if not is_positive(value):
                raise ConfigurationError(f"a timeout must be a number of seconds more than 0, not {value!r}")

    def at_most(self, seconds: float) -> Timeout:
        """The same with no phase longer than that."""
        return Timeout(min(self.connect, seconds), min(self.read, seconds), min(self.write, seconds))


TimeoutTypes: TypeAlias = float | Timeout | PhaseTimeouts
"""Seconds for each phase, or a number for each."""


def as_timeout(value: TimeoutTypes | None) -> Timeout:
    """A number of seconds is the limit of each phase; None: there is none."""
    if isinstance(value, Timeout):
        return value
    if value is None or isinstance(value, int | float):
        seconds = _NO_LIMIT if value is None else value
        return Timeout(seconds, seconds, seconds)
    try:
        phases = [value.connect, value.read, value.write]
    except AttributeError:
        raise ConfigurationError(
            f"a timeout must be a number of seconds, a Timeout or an httpx.Timeout, not {type(value).__name__}"
        ) from None
    return Timeout(*(_NO_LIMIT if seconds is None else seconds for seconds in phases))


def finite(seconds: float) -> float | None:
    """For libraries, which have None for no limit."""
    return None if seconds == _NO_LIMIT else seconds
