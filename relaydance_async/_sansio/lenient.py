"""What doesn't fit a model, made to fit: converted where that is possible, and kept under another name where it is not.

Good answers never come here: this is the second look at one that pydantic has refused, and it is told what was wrong.

- A number as text or with a fraction becomes a whole number, a number becomes text, an object where JSON text is wanted
  becomes that text, and the texts of a list of parts are joined.
- `null` where a list or an object must be counts as an empty one.
- What was lost by that, or can't be converted, stays beside the field as `raw_NAME`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Protocol, TypeGuard

_DEEPEST = 64
"""Levels of objects and lists. Deeper ones become JSON text: pydantic and pickle have limits of their own."""
_LONGEST_NUMBER = 400
"""Digits. Python refuses to read more than 4300."""
_WHOLE_BITS = 63
_UNFIT = object()
_PARSED_TEXT = frozenset({"content", "reasoning", "reasoning_content", "refusal"})
_MESSAGE = ("message", "delta")


class Problem(Protocol):
    """One of a `ValidationError`'s errors: `type` and `loc`."""

    def __getitem__(self, name: Any, /) -> Any: ...


def parse_lenient(body: bytes) -> Any:
    """JSON in any of its encodings. Bytes and halves of surrogate pairs that no text can hold become U+FFFD.

    Raises:
        ValueError, RecursionError: it is no JSON, or nested too deeply to be read.
    """
    text = body.decode(json.detect_encoding(body), "replace")
    return _plain(json.loads(text, parse_int=_parse_int), _DEEPEST)


def _parse_int(digits: str) -> int | str:
    return int(digits) if len(digits) <= _LONGEST_NUMBER else digits


def _plain(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if not depth and isinstance(value, dict | list):
        return _plain(json.dumps(value, ensure_ascii=False), 0)
    if _is_list(value):
        return [_plain(item, depth - 1) for item in value]
    if _is_object(value):
        return {_plain(name, 0): _plain(item, depth - 1) for name, item in value.items()}
    return value


def fit(content: Any, problems: Iterable[Problem], absent: Collection[str] = ()) -> Any:
    """The content with each of these problems out of the way. It is changed in place. What lay inside of a value that
    had a problem is looked at by pydantic for the first time then, and may have others.

    Args:
        content: JSON.
        problems: from the last to the first, so that an item keeps its place in a list until it is its turn.
        absent: lists that may be missing.
    """
    for problem in problems:
        path: tuple[int | str, ...] = problem["loc"]
        if not path:
            content = _fit_whole(content)
            continue
        *above, last = path
        parent = _find(content, above)
        if _is_object(parent) and isinstance(last, str):
            _fit_field(parent, last, problem["type"], absent)
        elif isinstance(parent, list) and isinstance(last, int) and above:
            _fit_item(_find(content, above[:-1]), above[-1], last, problem["type"])
    return content


def _fit_whole(content: Any) -> Any:
    """Some answer with a list of one."""
    return content[0] if _is_list(content) and len(content) == 1 else content


def _find(content: Any, path: Iterable[int | str]) -> Any:
    for part in path:
        try:
            content = content[part]
        except (LookupError, TypeError):
            return None
    return content


def _fit_field(parent: dict[str, Any], name: str, problem: str, absent: Collection[str]) -> None:
    if problem == "missing":
        if name in _MESSAGE:
            parent[name] = _stand_in(parent, name)
        elif name in absent:
            parent[name] = []
        return
    if name not in parent:
        return
    value = parent.pop(name)
    fitting, lost = _convert(problem, name, value)
    if fitting is not _UNFIT:
        parent[name] = fitting
    if lost and value is not None:
        parent[_raw(parent, name)] = value


def _fit_item(parent: Any, name: int | str, at: int, problem: str) -> None:
    items: list[Any] = parent[name]
    if at >= len(items):
        return
    value = items.pop(at)
    fitting, _ = _convert(problem, "", value)
    if fitting is not _UNFIT:
        items.insert(at, fitting)
    elif value is not None and _is_object(parent):
        before = parent.get(f"raw_{name}")
        parent[f"raw_{name}"] = [value, *(before if _is_list(before) else [])]


def _raw(parent: Mapping[str, Any], name: str) -> str:
    name = f"raw_{name}"
    while name in parent:
        name = f"{name}_"
    return name


def _stand_in(choice: Mapping[str, Any], name: str) -> Any:
    """The message of a choice that has none under the name that it should have."""
    # A chunk's `message` may also be the sum of all chunks before it: that is for the decoder of the stream to tell.
    if name == "message" and _is_object(choice.get("delta")):
        return choice["delta"]
    return {"content": choice["text"]} if isinstance(choice.get("text"), str) else {}


def _convert(problem: str, name: str, value: Any) -> tuple[Any, bool]:
    """What fits, or _UNFIT; and whether it doesn't say all that the value says."""
    for kind, convert in _CONVERTERS.items():
        if problem.startswith(kind):
            return convert(name, value)
    return _UNFIT, True


def _to_text(name: str, value: Any) -> tuple[Any, bool]:
    if value is None or (name == "finish_reason" and not value):
        return _UNFIT, True
    if isinstance(value, str):
        return _UNFIT, True  # it has another fault than its type
    if not isinstance(value, dict | list):
        return json.dumps(value), False
    if name in _PARSED_TEXT:
        texts = [text for text in map(_part_text, _as_list(value)) if text is not None]
        if texts or isinstance(value, list):
            return ("".join(texts) if texts else _UNFIT), True
        return json.dumps(value, ensure_ascii=False), False
    if name in ("arguments", "finish_reason"):
        return json.dumps(value, ensure_ascii=False), False
    return _UNFIT, True


def _part_text(part: Any) -> str | None:
    """The text of a part of a message; None when it is of another kind, such as an image or a thought."""
    if isinstance(part, str):
        return part
    if not _is_object(part) or not str(part.get("type") or "text").endswith("text"):
        return None
    text = part.get("text")
    text = text.get("value") if _is_object(text) else text
    return text if isinstance(text, str) else None


def _to_whole(_: str, value: Any) -> tuple[Any, bool]:
    number, lost = _to_number(_, value)
    if number is _UNFIT or abs(number) >= 2**_WHOLE_BITS:
        return _UNFIT, True
    return int(number), lost or number != int(number)


def _to_number(_: str, value: Any) -> tuple[Any, bool]:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return _UNFIT, True
    return (number, False) if math.isfinite(number) else (_UNFIT, True)


def _to_list(_: str, value: Any) -> tuple[Any, bool]:
    if value is None or value == "":
        return [], False
    return (_as_list(value), False) if isinstance(value, dict) else (_UNFIT, True)


def _as_list(value: Any) -> list[Any]:
    if _is_list(value):
        return value
    return [value] if value else []


def _to_object(name: str, value: Any) -> tuple[Any, bool]:
    value = _fit_whole(value)
    if _is_object(value):
        return value, False
    if name in _MESSAGE and (value is None or isinstance(value, str)):
        return ({} if value is None else {"content": value}), False
    return ({"name": value}, False) if name == "function" and isinstance(value, str) else (_UNFIT, True)


def _is_object(value: Any) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)


def _is_list(value: Any) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


_CONVERTERS: dict[str, Callable[[str, Any], tuple[Any, bool]]] = {
    "string_": _to_text,
    "int_": _to_whole,
    "float_": _to_number,
    "list_": _to_list,
    "model_": _to_object,
}
"""By the beginning of what pydantic calls the problem. What it calls otherwise can't be converted."""
