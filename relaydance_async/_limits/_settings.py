"""Limits that a caller knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .._sansio.ceiling import Ceiling, InFlight, PerMinute
from ..errors import ConfigurationError

KINDS = ("video", "image", "chat", "file", "poll")
"""What `per_kind` tells apart: submits, images, chats, uploads, and all that asks."""


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit.

    Attributes:
        requests_per_minute: in any 60 seconds; None: not set.
        in_flight: requests under way at once; None: not set.

    Raises:
        ConfigurationError: a number that is no whole one of 1 or more.
    """

    requests_per_minute: int | None = None
    in_flight: int | None = None

    def __post_init__(self) -> None:
        for name in ("requests_per_minute", "in_flight"):
            _check_whole(name, getattr(self, name))

    def ceilings(self, processes: int) -> list[Ceiling]:
        """A process's part of it."""
        built: list[Ceiling] = []
        if self.requests_per_minute is not None:
            built.append(PerMinute(max(1, self.requests_per_minute // processes)))
        if self.in_flight is not None:
            built.append(InFlight(max(1, self.in_flight // processes)))
        return built


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits that are known. They are never gone above; what lies below them is learned as ever.

    Attributes:
        requests_per_minute: of the key, in any 60 seconds; None: not known.
        in_flight: requests of the key under way at once, open streams included; None: not known.
        per_model: the same of a model, by its id; a plain number is `in_flight`.
        per_kind: the same of a kind of request: "video" (submits), "image", "chat", "file" (uploads) or "poll".
        processes: that share the key, this one included. What is set is divided by it, and what is learned is learned
            so that the processes come to equal parts.

    Raises:
        ConfigurationError: a number that is no whole one of 1 or more, or an unknown kind.
    """

    requests_per_minute: int | None = None
    in_flight: int | None = None
    per_model: Mapping[str, Limit | int] = field(default_factory=dict[str, "Limit | int"])
    per_kind: Mapping[str, Limit | int] = field(default_factory=dict[str, "Limit | int"])
    processes: int = 1

    def __post_init__(self) -> None:
        for name in ("requests_per_minute", "in_flight"):
            _check_whole(name, getattr(self, name))
        _check_whole("processes", self.processes, optional=False)
        if unknown := sorted(set(self.per_kind) - set(KINDS)):
            raise ConfigurationError(f"per_kind has no {', '.join(map(repr, unknown))}: there are {', '.join(KINDS)}")
        for name in ("per_model", "per_kind"):
            of: Mapping[str, Limit | int] = getattr(self, name)
            object.__setattr__(self, name, {key: _as_limit(name, value) for key, value in of.items()})

    @property
    def of_key(self) -> Limit:
        """What is set for all calls."""
        return Limit(self.requests_per_minute, self.in_flight)


def _check_whole(name: str, value: object, *, optional: bool = True) -> None:
    if (value is not None or not optional) and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
        raise ConfigurationError(f"{name} must be a whole number of 1 or more, not {value!r}")


def _as_limit(name: str, value: object) -> Limit:
    if isinstance(value, Limit):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return Limit(in_flight=value)
    raise ConfigurationError(f"{name} holds limits, or whole numbers of calls under way, not {value!r}")
