"""A type as the format of a chat's answer: its JSON schema goes out, and its value comes back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from inspect import isroutine
from typing import Any, Generic, TypeVar, cast

from pydantic import PydanticUserError, TypeAdapter, ValidationError
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticSchemaGenerationError
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaWarningKind
from pydantic_core import SchemaValidator, core_schema, from_json

from ..errors import InvalidInputError
from .strict_schema import strict_schema

T = TypeVar("T")

_WRAP = "response"
"""The only property of the object around a value that is no object: the root of a strict schema is one."""
_FENCE = "```"
_LANGUAGE = re.compile(r"\w*\s*")
_NO_NAME = re.compile(r"[^a-zA-Z0-9_-]+")
_LONGEST_NAME = 64
_MOST_PROBLEMS = 10
_LONGEST_PROBLEM = 300
"""Characters: a name in it is the model's, and may be as long as the answer."""


class MisfitError(Exception):
    """A text doesn't fit the format.

    Attributes:
        problems: what is wrong with it, in sentences without the values.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class QuietJsonSchema(GenerateJsonSchema):
    """Leaves out a default that is no JSON without a warning: strict rules leave out all of them."""

    ignored_warning_kinds: set[JsonSchemaWarningKind] = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012


class ResponseFormat(Generic[T]):
    """A pydantic model, a TypedDict, a dataclass, an `Annotated` or any other type that pydantic knows.

    Args:
        wanted: the type, or a `TypeAdapter`.
        strict: see `strict_schema`; else the schema goes out as pydantic has it.

    Raises:
        InvalidInputError: there is no (strict) JSON schema of it.
    """

    def __init__(self, wanted: Any, *, strict: bool = True) -> None:
        if isinstance(wanted, Mapping) or isroutine(wanted):
            raise InvalidInputError("response_format must be a type; with a schema of your own use create()")
        self._adapter: TypeAdapter[T] = wanted if isinstance(wanted, TypeAdapter) else _adapter_of(wanted)
        try:
            schema = _schema_of(self._adapter)
            self._is_wrapped = _resolved(schema).get("type") != "object"
            if self._is_wrapped:
                schema = _wrapped(schema)
                self._around = _wrapping(self._adapter)
            self._schema = strict_schema(schema) if strict else schema
        except RecursionError:
            raise InvalidInputError("the type has no JSON schema: it is nested too deep") from None
        title = str(_resolved(schema).get("title", ""))
        self._name = _NO_NAME.sub("_", title).strip("_")[:_LONGEST_NAME] or _WRAP
        self._strict = strict

    def to_param(self) -> dict[str, Any]:
        """As the API takes it."""
        described = {"name": self._name, "strict": self._strict, "schema": self._schema}
        return {"type": "json_schema", "json_schema": described}

    def parse(self, text: str) -> T:
        """The value in a text, which may stand in a code fence: not all models leave that out.

        Raises:
            MisfitError: it doesn't fit.
            Exception: whatever a validator of the type raises that is no `ValueError`.
        """
        inner = _unfenced(text)
        try:
            if not self._is_wrapped:
                return self._adapter.validate_json(inner)
            value: T = self._around.validate_json(inner)[_WRAP]
            return value
        except ValidationError as error:
            raise MisfitError(problems_of(error)) from None
        except (ValueError, RecursionError) as error:
            raise MisfitError([f"the answer is no JSON: {error}"]) from None

    def partial(self, text: str) -> Any:
        """What of the value has come, as plain data: not checked. None before anything has."""
        try:
            found = from_json(text, allow_partial="trailing-strings") if text else None
        except (ValueError, TypeError):  # the latter for half of a surrogate pair
            return None
        if self._is_wrapped:
            return cast("dict[str, Any]", found).get(_WRAP) if isinstance(found, dict) else None
        return found


def format_of(wanted: Any, *, strict: bool = True) -> ResponseFormat[Any]:
    """The format of a type. It is kept: to make one takes a millisecond, as much as a dozen calls. Raises as that."""
    try:
        hash(wanted)
    except TypeError:  # an `Annotated` with a dict in it
        return ResponseFormat(wanted, strict=strict)
    return _known(wanted, bool(strict))


@lru_cache(maxsize=256)
def _known(wanted: Any, strict: bool) -> ResponseFormat[Any]:
    return ResponseFormat(wanted, strict=strict)


def _adapter_of(wanted: Any) -> TypeAdapter[Any]:
    try:
        return TypeAdapter(wanted)
    except (PydanticUserError, PydanticSchemaGenerationError, NameError) as error:
        raise InvalidInputError(f"pydantic knows no schema of {wanted!r:.100}: {_first_line(error)}") from None


def _schema_of(adapter: TypeAdapter[Any]) -> dict[str, Any]:
    try:
        if adapter.core_schema["type"] == "generator":
            raise InvalidInputError("an Iterable would be checked when it is read, and could be read once: use a list")
        return adapter.json_schema(schema_generator=QuietJsonSchema)
    except (PydanticUserError, PydanticInvalidForJsonSchema) as error:
        raise InvalidInputError(f"the type has no JSON schema: {_first_line(error)}") from None


def _wrapping(adapter: TypeAdapter[Any]) -> SchemaValidator:
    """Of an object around the value. (A value by itself could only be checked as Python's, not as JSON: a strict model
    then takes no text for a time.)"""
    field = core_schema.typed_dict_field(adapter.core_schema)
    return SchemaValidator(core_schema.typed_dict_schema({_WRAP: field}))


def _resolved(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    if not isinstance(reference := schema.get("$ref"), str):
        return schema
    return cast("Mapping[str, Any]", schema.get("$defs", {}).get(reference.removeprefix("#/$defs/"), {}))


def _wrapped(schema: Mapping[str, Any]) -> dict[str, Any]:
    inner = {name: value for name, value in schema.items() if name != "$defs"}
    whole = {"type": "object", "properties": {_WRAP: inner}, "required": [_WRAP], "additionalProperties": False}
    return {**whole, "$defs": schema["$defs"]} if "$defs" in schema else whole


def problems_of(error: ValidationError) -> list[str]:
    """What is wrong, in sentences without the values."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    problems = [_cut(f"{_place(each['loc'])}: {each['msg']}") for each in found[:_MOST_PROBLEMS]]
    more = len(found) - _MOST_PROBLEMS
    return [*problems, f"and {more} more"] if more > 0 else problems


def _place(location: tuple[int | str, ...]) -> str:
    return ".".join(map(str, location)) or "the answer"


def _cut(problem: str) -> str:
    return problem if len(problem) <= _LONGEST_PROBLEM else f"{problem[:_LONGEST_PROBLEM]}…"


def _unfenced(text: str) -> str:
    """What stands in the code fence, if the text is one. By hand: an expression goes through blank lines again and
    again, and models that lose their way write thousands."""
    stripped = text.strip()
    if len(stripped) < 2 * len(_FENCE) or not (stripped.startswith(_FENCE) and stripped.endswith(_FENCE)):
        return text
    language, line_end, inner = stripped[len(_FENCE) : -len(_FENCE)].partition("\n")
    return inner if line_end and _LANGUAGE.fullmatch(language) else text


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
