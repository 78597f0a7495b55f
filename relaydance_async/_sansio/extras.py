"""What callers add to one call, under OpenAI's names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import InvalidInputError
from .timeout import Timeout


@dataclass(frozen=True, slots=True)
class CallExtras:
    """See `models.CallOptions`, whose values these are.

    Attributes:
        body: merged into the JSON body, or into the fields of the form.
        headers: sent besides those of the client.
        query: added to the URL.
        timeout: of each I/O phase, in seconds.
    """

    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str] | None = None
    query: Mapping[str, str] | None = None
    timeout: float | Timeout | None = None

    @classmethod
    def take(cls, params: Mapping[str, Any]) -> tuple[dict[str, Any], CallExtras]:
        """The arguments of the API, and what this one call adds.

        Raises:
            InvalidInputError: what should be a mapping is something else.
        """
        arguments = dict(params)
        given = [arguments.pop(name, None) for name in _NAMES]
        if given == _NOTHING:
            return arguments, _NONE
        for name, value in zip(_MAPPINGS, given, strict=False):
            if value is not None and not isinstance(value, Mapping):
                raise InvalidInputError(f"{name} must be a mapping, not {type(value).__name__}")
        return arguments, cls(*given)


_MAPPINGS = ("extra_body", "extra_headers", "extra_query")
_NAMES = (*_MAPPINGS, "timeout")
_NOTHING = [None] * len(_NAMES)
_NONE = CallExtras()
