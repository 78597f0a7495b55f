"""`hooks=`: what a caller gives, as observers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol, runtime_checkable

from .._sansio.observer import Observer
from ..errors import ConfigurationError
from ._later import Backlog
from ._protocol import Hook


@runtime_checkable
class WatchesLimits(Protocol):
    """An observer that looks at what is known of the limits."""

    def attach(self, limits: Any) -> None:
        """The client's `AllLimits`. They are kept alive by the client alone."""
        ...


def as_observers(
    hooks: Iterable[Hook | Observer] | None, backlog: Backlog, monotonic: Callable[[], float], limits: object
) -> tuple[Observer, ...]:
    """The observers that call the hooks.

    Args:
        hooks: functions of an event, or observers.
        backlog: of the client.
        monotonic: the clock, in seconds.
        limits: what the client knows of its limits.

    Raises:
        ConfigurationError: one is neither.
    """
    if hooks is None:
        return ()
    found = [_checked(hook) for hook in _list_of(hooks)]
    for hook in found:
        if isinstance(hook, WatchesLimits):
            hook.attach(limits)
    return tuple(hook if hasattr(hook, "call_began") else _hooked(hook, backlog, monotonic) for hook in found)


def _list_of(hooks: Any) -> list[object]:
    if callable(hooks) or isinstance(hooks, str) or not isinstance(hooks, Iterable):
        raise ConfigurationError(f"hooks must be a list of hooks, not {type(hooks).__name__}")
    found: list[object] = [*hooks]  # pyright: ignore[reportUnknownVariableType]
    return found


def _checked(hook: Any) -> Any:
    if isinstance(hook, type):
        raise ConfigurationError(f"a hook must be an object: {hook.__name__}(...), not the class")
    if not callable(hook) and not hasattr(hook, "call_began"):
        raise ConfigurationError(f"a hook must be a function of one event, not {type(hook).__name__}")
    return hook


def _hooked(hook: Hook, backlog: Backlog, monotonic: Callable[[], float]) -> Observer:
    from ._hook import Hooked  # the events take milliseconds to define

    return Hooked(hook, backlog, monotonic)
