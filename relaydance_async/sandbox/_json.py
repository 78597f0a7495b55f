"""JSON in and out, and safe looks into JSON that a caller sent."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, cast

Json = dict[str, Any]


def parse(text: bytes) -> Any:
    """JSON, without the `NaN` and `Infinity` that only Python knows; ValueError for those and for what is no JSON."""
    try:
        return _DECODER.decode(text.decode(json.detect_encoding(text)))
    except RecursionError:
        raise ValueError("the JSON is too deep") from None


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def dump(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def as_object(value: object) -> Json:
    """`value` when it is an object, else an empty one."""
    return cast(Json, value) if isinstance(value, dict) else {}


def as_list(value: object) -> list[Any]:
    """`value` when it is an array, else an empty one."""
    return [*cast("Iterable[Any]", value)] if isinstance(value, list) else []


def is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
