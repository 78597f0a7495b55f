"""Paths and queries. A path that a caller gives leads to the API and nowhere else, whatever it looks like."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, unquote, urlencode

from ..errors import InvalidInputError

_REFUSED = re.compile(r"[\x00-\x1f\x7f\\#]|%(?:[01][0-9a-fA-F]|7[fF]|5[cC])")
"""What no path needs, and some server takes for the end of a line or of a directory's name."""
_STRAY = re.compile(r"%(?![0-9a-fA-F]{2})")
_PLAIN = "/%:@!$&'()*+,;=-._~"
_WORD = re.compile(r"[a-z_][a-z_-]{0,23}|")
_MOST_SEGMENTS = 8


def parse_path(path: object) -> tuple[str, str]:
    """The path and the query in what a caller gives, such as "/embeddings" or "models?limit=3", both encoded.

    Raises:
        InvalidInputError: it is no path below the base URL: a URL, a way upwards (".."), control characters, and what
            else would lead elsewhere.
    """
    if not isinstance(path, str) or not path.strip("/ "):
        raise InvalidInputError(f"path must be a path below the base URL, such as '/embeddings', not {path!r:.80}")
    address, _, query = path.partition("?")
    if "//" in address:
        raise InvalidInputError(
            f"path must be a path below the base URL, such as '/embeddings', not {path!r:.80}: the key goes to no other"
            " address"
        )
    if _REFUSED.search(path) or _leads_upwards(address):
        raise InvalidInputError(f"path must not hold '..', '\\', '#' or control characters: {path!r:.80}")
    return "/" + _encoded(address.removeprefix("/")), _encoded(query)


def _leads_upwards(address: str) -> bool:
    # What stands behind a semicolon some servers take for a parameter of the segment.
    return any(part.partition(";")[0] in (".", "..") for part in unquote(address).split("/"))


def _encoded(part: str) -> str:
    try:
        return quote(_STRAY.sub("%25", part), safe=_PLAIN + "?")
    except UnicodeEncodeError:
        raise InvalidInputError(f"path holds characters that can't be sent: {part!r:.80}") from None


def template_of(path: str, known: Iterable[tuple[re.Pattern[str], str]]) -> str:
    """What paths that ask for the same have in common: limits are learned, and calls counted, by it.

    It is a known template that fits, or the path with "{id}" for whatever is no plain word. So a million ids are one
    template, not a million.

    Args:
        path: encoded.
        known: patterns of paths, and their templates.
    """
    for pattern, template in known:
        if pattern.fullmatch(path):
            return template
    segments = path.split("/")[: _MOST_SEGMENTS + 1]
    return "/".join(part if _WORD.fullmatch(part) else "{id}" for part in segments)


def path_segment(value: object, *, name: str) -> str:
    """An id, escaped for use in a path.

    Raises:
        InvalidInputError: when it is empty or would change the path.
    """
    if not isinstance(value, str) or not value.strip() or value in (".", ".."):
        raise InvalidInputError(f"{name} must be a non-empty string, not {value!r}")
    try:
        return quote(value, safe="")
    except UnicodeEncodeError:
        raise InvalidInputError(f"{name} holds characters that can't be sent: {value!r}") from None


def build_query(query: Mapping[str, Any]) -> str:
    """A query string, encoded. A list is its values under the same name; None is left out.

    Raises:
        InvalidInputError: for what a URL can't hold: lone surrogates, objects.
    """
    pairs = [(name, _query_text(name, value)) for name, given in query.items() for value in _values(given)]
    try:
        return urlencode(pairs)
    except UnicodeEncodeError:
        raise InvalidInputError("the query holds characters that can't be sent") from None


def _values(given: Any) -> list[Any]:
    values: list[Any] = list(given) if isinstance(given, list | tuple) else [given]  # pyright: ignore[reportUnknownArgumentType]
    return [value for value in values if value is not None]


def _query_text(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if isinstance(value, int | float):
        return str(value)
    raise InvalidInputError(f"the query's {name!r} must be a text, a number, a bool or a list of these")
