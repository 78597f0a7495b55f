"""What callers add to one call, under OpenAI's names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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
        """The arguments of the API, and what this one call adds."""
        arguments = dict(params)
        given = [arguments.pop(name, None) for name in _NAMES]
        return arguments, _NONE if given == _NOTHING else cls(*given)


_NAMES = ("extra_body", "extra_headers", "extra_query", "timeout")
_NOTHING = [None] * len(_NAMES)
_NONE = CallExtras()
