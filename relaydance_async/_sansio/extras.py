"""What callers add to one call, under OpenAI's names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from ..errors import InvalidInputError
from ..models._options import NOT_GIVEN, NotGiven
from .misnamed import unknown_keyword
from .timeout import TimeoutTypes

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(slots=True)  # a frozen one takes three times as long to make
class CallExtras:
    """See `models.CallOptions`, whose values these are. It is never changed.

    Attributes:
        body: merged into the JSON body, or into the fields of the form.
        headers: sent besides those of the client.
        query: added to the URL.
        timeout: of each I/O phase, in seconds; None: no limit.
        deadline: of the whole call, in seconds; None: no limit.
        idempotency_key: of a billed call, for the journal.
    """

    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str] | None = None
    query: Mapping[str, str] | None = None
    timeout: TimeoutTypes | NotGiven | None = NOT_GIVEN
    deadline: float | NotGiven | None = NOT_GIVEN
    idempotency_key: str | None = None

    @classmethod
    def take(cls, params: Mapping[str, Any], known: frozenset[str]) -> tuple[dict[str, Any], CallExtras]:
        """The arguments of the API, and what this one call adds.

        Args:
            params: the keywords of the call.
            known: those that it takes.

        Raises:
            TypeError: it doesn't take one of them.
            InvalidInputError: what should be a mapping is something else.
        """
        if not params:
            return {}, NO_EXTRAS
        if not known.issuperset(params):
            raise TypeError(_unknown(next(name for name in params if name not in known), known))
        arguments = given(params)
        if _NAMES.isdisjoint(arguments):
            return arguments, NO_EXTRAS
        body, headers, query = (require_mapping(name, arguments.pop(name, None)) for name in _MAPPINGS)
        timeout, deadline = (arguments.pop(name, NOT_GIVEN) for name in _LIMITS)
        return arguments, cls(body, headers, query, timeout, deadline, arguments.pop("idempotency_key", None))


def require_mapping(name: str, value: Any) -> Any:
    """The value.

    Raises:
        InvalidInputError: it is neither None nor a mapping.
    """
    if value is not None and not isinstance(value, Mapping):
        raise InvalidInputError(f"{name} must be a mapping, not {type(value).__name__}")
    return value  # pyright: ignore[reportUnknownVariableType]


def is_omitted(value: object) -> bool:
    """Whether it is `NOT_GIVEN`, or openai's `omit`: an argument that isn't there."""
    return _IS_OMITTED[type(value)]


def given(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Those that are there."""
    if True not in map(_IS_OMITTED.__getitem__, map(type, arguments.values())):
        return {**arguments}
    return {name: value for name, value in arguments.items() if not _IS_OMITTED[type(value)]}


class _IsOmitted(dict[type, bool]):
    """By the type of the argument: this is asked for each one of each call."""

    def __missing__(self, kind: type) -> bool:
        found = kind is NotGiven or (kind.__name__ in _OMITTED and kind.__module__.partition(".")[0] == "openai")
        if len(self) < _KNOWN_TYPES:
            self[kind] = found
        return found


_IS_OMITTED = _IsOmitted()


def defaulting(function: Callable[P, T]) -> Callable[P, T]:
    """For a function of whose keywords one that is `NOT_GIVEN` has its default."""
    call: Any = function

    @wraps(function)
    def with_defaults(*args: P.args, **kwargs: P.kwargs) -> T:
        result: T = call(*args, **given(kwargs))
        return result

    return with_defaults


_OMITTED = ("NotGiven", "Omit")
_KNOWN_TYPES = 1000
"""That are remembered: a program may make types without end."""
_MAPPINGS = ("extra_body", "extra_headers", "extra_query")
_LIMITS = ("timeout", "deadline")
_NAMES = frozenset((*_MAPPINGS, *_LIMITS, "idempotency_key"))
NO_EXTRAS = CallExtras()
"""A call adds nothing."""


def _unknown(name: str, known: Iterable[str]) -> str:
    text = unknown_keyword(name, known)
    if "extra_body" in known:
        told = f"hat this version doesn't know goes through extra_body={{{name!r}: ...}}"
        text += f" W{told}" if text.endswith("?") else f"; w{told}"
    return text
