"""A record becomes a row: what is to be asked for, under which key, into which file. All of it is checked here."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from string import Formatter
from typing import Any, cast

from ..._sansio.request import build_model
from ...errors import InvalidInputError
from ...models.video import VideoRequest
from ._names import Names
from ._options import Columns, Format, Kind
from ._records import OPENAI_FIELDS, Fault, Read, Record

_URLS: Mapping[str, Kind] = {
    "/chat/completions": "chat",
    "/images/generations": "image",
    "/video/generations": "video",
}
_LONGEST_ID = 500


@dataclass(frozen=True, slots=True)
class Row:
    """What is to be asked for.

    Attributes:
        line: in the file.
        id: its idempotency key.
        kind: of endpoint.
        name: of its file, without the suffix.
        body: of the request, without what isn't given.
        fields: as they stand in the file.
    """

    line: int
    id: str
    kind: Kind
    name: str
    body: dict[str, Any]
    fields: dict[str, Any]

    @property
    def model(self) -> str:
        """The model that is asked for."""
        return str(self.body["model"])

    def to_json(self) -> str:
        """One line, without its end."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return json.dumps(values, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, line: str | bytes) -> Row:
        """What `to_json` gave."""
        return cls(**json.loads(line))


class BadRowError(Exception):
    """What is wrong with a row, in words."""


def build_rows(read: Read, form: Format, columns: Columns, names: Names) -> Iterator[Row | Fault]:
    """Rows and faults, in the order of the file. Of two rows with one id, the second is a fault."""
    lines: dict[str, int] = {}
    build = _from_openai if form == "openai" else _from_columns
    for record in read:
        if isinstance(record, Fault):
            yield record
            continue
        try:
            row = build(record, columns, names)
            _check_text(row)
        except BadRowError as error:
            yield Fault(record.line, str(error))
            continue
        if (before := lines.setdefault(row.id, row.line)) != row.line:
            yield Fault(row.line, f"the id {row.id!r} is that of line {before} already")
            continue
        yield row


def _check_text(row: Row) -> None:
    try:
        row.to_json().encode()
    except UnicodeEncodeError:
        raise BadRowError("a text holds half of a surrogate pair, which nobody can send") from None


def _from_openai(record: Record, columns: Columns, names: Names) -> Row:
    fields = record.fields
    if absent := [name for name in OPENAI_FIELDS if name not in fields]:
        raise BadRowError(f"{', '.join(absent)} is missing, as in OpenAI's Batch format")
    if fields["method"] != "POST":
        raise BadRowError(f"method must be POST, not {fields['method']!r}")
    url = str(fields["url"])
    kind = _URLS.get(url.removeprefix("/v1"))
    if kind is None:
        raise BadRowError(f"url must be one of {', '.join(f'/v1{known}' for known in _URLS)}, not {url!r}")
    if not isinstance(fields["body"], dict):
        raise BadRowError("body must be an object")
    body = cast("dict[str, Any]", fields["body"])
    _check(kind, body)
    row_id = _check_id(fields["custom_id"])
    return Row(record.line, row_id, kind, names.take(row_id), body, fields)


def _from_columns(record: Record, columns: Columns, names: Names) -> Row:
    fields = record.fields
    row_id = _id_of(record, columns)
    given = {name: value for name, value in fields.items() if value not in (None, "")}
    if columns.prompt is not None:
        given["prompt"] = fill(columns.prompt, fields)
    elif columns.prompt_column in given:
        given["prompt"] = given[columns.prompt_column]
    elif columns.prompt_column != "prompt":
        given.pop("prompt", None)
    body = _BUILDERS[columns.kind](_Columns(given), columns)
    body = {name: value for name, value in body.items() if value is not None}
    _check(columns.kind, body)
    name = fill(columns.name, {**fields, "id": row_id, "line": record.line})
    return Row(record.line, row_id, columns.kind, names.take(name), body, fields)


def _id_of(record: Record, columns: Columns) -> str:
    column = columns.id_column or "id"
    value = record.fields.get(column)
    if value in (None, ""):
        if columns.id_column is not None or column in record.fields:
            raise BadRowError(f"there is no id in the column {column!r}")
        return f"line-{record.line}"
    return _check_id(value)


def _check_id(value: Any) -> str:
    text = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if not text or len(text) > _LONGEST_ID or "\0" in text:
        raise BadRowError(f"an id must be a text of 1 to {_LONGEST_ID} characters, not {value!r:.80}")
    return text


def fill(template: str, fields: Mapping[str, Any]) -> str:
    """A template with the values of columns in the places of their names: no attributes, no indexes.

    Raises:
        BadRowError: there is no such column, or it can't be formatted so.
    """
    made: list[str] = []
    try:
        for text, name, form, conversion in Formatter().parse(template):
            made.append(text)
            if name is not None:
                if conversion or name not in fields:
                    raise BadRowError(f"the template {template!r} has {{{name}}}, and there is no such column")
                made.append(format(fields[name], form or ""))
    except ValueError as error:
        raise BadRowError(f"the template {template!r} can't be filled: {error}") from None
    return "".join(made)


class _Columns:
    """The cells of a row, read as what they have to be: those of a CSV file are texts."""

    def __init__(self, cells: Mapping[str, Any]) -> None:
        self._cells = cells

    def get(self, name: str, default: Any = None) -> Any:
        return self._cells.get(name, default)

    def number(self, name: str, kind: type[int] | type[float], default: Any = None) -> Any:
        value = self._cells.get(name, default)
        try:
            return kind(value) if isinstance(value, str) else value
        except ValueError:
            raise BadRowError(f"{name} must be a number, not {value!r:.80}") from None

    def truth(self, name: str) -> Any:
        value = self._cells.get(name)
        if not isinstance(value, str):
            return value
        if value.strip().lower() not in _TRUTHS:
            raise BadRowError(f"{name} must be true or false, not {value!r:.80}")
        return _TRUTHS[value.strip().lower()]

    def json(self, name: str, default: Any = None) -> Any:
        value = self._cells.get(name, default)
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except (ValueError, RecursionError) as error:
            raise BadRowError(f"{name} must be JSON: {error}") from None

    def words(self, name: str) -> Any:
        value = self._cells.get(name, [])
        if not isinstance(value, str):
            return value
        return self.json(name) if value.lstrip().startswith("[") else value.split()


_TRUTHS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def _clip(cells: _Columns, columns: Columns) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "model": cells.get("model", columns.model),
        "prompt": cells.get("prompt"),
        "seconds": cells.number("seconds", float, columns.seconds),
        "ratio": cells.get("ratio", columns.ratio),
        "resolution": cells.get("resolution", columns.resolution),
        "generate_audio": cells.truth("generate_audio"),
        "references": cells.words("references"),
        "metadata": cells.json("metadata", {}),
    }
    _require(arguments, "prompt", "model")
    return _built(arguments).body()


def _image(cells: _Columns, columns: Columns) -> dict[str, Any]:
    return {
        "model": cells.get("model", columns.model),
        "prompt": cells.get("prompt"),
        "n": cells.number("n", int),
        "size": cells.get("size", columns.size),
        **{name: cells.get(name) for name in ("quality", "aspect_ratio", "response_format", "style", "output_format")},
    }


def _chat(cells: _Columns, columns: Columns) -> dict[str, Any]:
    messages = cells.json("messages")
    if messages is None and (prompt := cells.get("prompt")) is not None:
        system = [] if columns.system is None else [{"role": "system", "content": columns.system}]
        messages = [*system, {"role": "user", "content": prompt}]
    return {
        "model": cells.get("model", columns.model),
        "messages": messages,
        "max_tokens": cells.number("max_tokens", int, columns.max_tokens),
        "temperature": cells.number("temperature", float),
        "top_p": cells.number("top_p", float),
        "seed": cells.number("seed", int),
        "response_format": cells.json("response_format"),
    }


_BUILDERS: Mapping[Kind, Callable[[_Columns, Columns], dict[str, Any]]] = {
    "video": _clip,
    "image": _image,
    "chat": _chat,
}


def _check(kind: Kind, body: Mapping[str, Any]) -> None:
    """Whether a body can be sent; what only the gateway knows is left to it."""
    _require(body, "model")
    if kind == "chat":
        _check_chat(body)
        return
    _require(body, "prompt")
    if kind == "video":
        _built({name: body[name] for name in ("model", "prompt", "seconds", "metadata") if name in body})


def _check_chat(body: Mapping[str, Any]) -> None:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise BadRowError("messages must be a list of messages; or give a prompt")
    if not all(isinstance(message, dict) for message in cast("list[object]", messages)):
        raise BadRowError("each of messages must be an object")
    if body.get("stream"):
        raise BadRowError("stream: a batch keeps whole answers")


def _require(body: Mapping[str, Any], *names: str) -> None:
    for name in names:
        value = body.get(name)
        if not isinstance(value, str) or not value.strip():
            raise BadRowError(f"there is no {name}" if value is None else f"{name} must be a text, not {value!r:.80}")


def _built(arguments: Mapping[str, Any]) -> VideoRequest:
    try:
        return build_model(VideoRequest, dict(arguments))
    except InvalidInputError as error:
        raise BadRowError(error.message) from None
