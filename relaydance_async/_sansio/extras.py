"""What callers add to one call, under OpenAI's names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import InvalidInputError
from .misnamed import unknown_keyword
from .timeout import Timeout


@dataclass(slots=True)  # a frozen one takes three times as long to make
class CallExtras:
    """See `models.CallOptions`, whose values these are. It is never changed.

    Attributes:
        body: merged into the JSON body, or into the fields of the form.
        headers: sent besides those of the client.
        query: added to the URL.
        timeout: of each I/O phase, in seconds.
        deadline: of the whole call, in seconds.
        idempotency_key: of a billed call, for the journal.
    """

    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str] | None = None
    query: Mapping[str, str] | None = None
    timeout: float | Timeout | None = None
    deadline: float | None = None
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
        if not known.issuperset(params):
            raise TypeError(_unknown(next(name for name in params if name not in known), known))
        arguments = {name: value for name, value in params.items() if not is_omitted(value)}
        if _NAMES.isdisjoint(arguments):
            return arguments, _NONE
        given = [arguments.pop(name, None) for name in (*_MAPPINGS, *_OTHERS)]
        for name, value in zip(_MAPPINGS, given, strict=False):
            require_mapping(name, value)
        return arguments, cls(*given)


def require_mapping(name: str, value: Any) -> Any:
    """The value.

    Raises:
        InvalidInputError: it is neither None nor a mapping.
    """
    if value is not None and not isinstance(value, Mapping):
        raise InvalidInputError(f"{name} must be a mapping, not {type(value).__name__}")
    return value  # pyright: ignore[reportUnknownVariableType]


def is_omitted(value: object) -> bool:
    """Whether it is `omit` or `NOT_GIVEN` of openai's: an argument that isn't there."""
    kind = type(value)
    return kind.__module__.partition(".")[0] == "openai" and kind.__name__ in ("NotGiven", "Omit")


_MAPPINGS = ("extra_body", "extra_headers", "extra_query")
_OTHERS = ("timeout", "deadline", "idempotency_key")
_NAMES = frozenset((*_MAPPINGS, *_OTHERS))
_NONE = CallExtras()


def _unknown(name: str, known: Iterable[str]) -> str:
    text = unknown_keyword(name, known)
    if "extra_body" in known:
        text += f"{'' if text.endswith('?') else ';'} What this version doesn't know goes through"
        text += f" extra_body={{{name!r}: ...}}"
    return text
