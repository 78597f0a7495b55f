"""A JSON schema by the rules of OpenAI's strict mode (OpenAI's guide "Structured model outputs", "Supported schemas").

- Every object is closed, and all its properties are required.
- A reference stands alone, without a sibling. The root is an object and no reference.
- There is `anyOf`, and neither `oneOf` nor `allOf`; no defaults, and no `uniqueItems`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from ..errors import InvalidInputError

_LEFT_OUT = frozenset({"default", "discriminator", "uniqueItems"})
_LISTS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_KINDS = frozenset({"$ref", "anyOf", "const", "enum", "type"})
"""One of these says what a value is."""
_MOST_PARTS = 20_000
"""Types that refer to each other in many ways, each with a description, would grow without an end."""


def strict_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema by these rules. The one that is given stays as it is.

    Raises:
        InvalidInputError: there is no such schema: an object with names of any kind (`dict[str, int]`), anything at
            all (`Any`), or references without an end.
    """
    return _Strict(schema).root()


class _Strict:
    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._schema = schema
        self._left = _MOST_PARTS

    def root(self) -> dict[str, Any]:
        schema = self._schema
        if isinstance(reference := schema.get("$ref"), str):
            schema = {**self._find(reference), **_without(schema, "$ref")}
        return self._closed(schema, "", frozenset())

    def _closed(self, schema: Mapping[str, Any], path: str, inside: frozenset[str]) -> dict[str, Any]:
        """One schema by the rules.

        Args:
            path: where it is, for people.
            inside: the references that it is a part of.
        """
        self._left -= 1
        if self._left < 0:
            raise _impossible(path, "its schema is too large")
        schema, inside = self._merged(schema, inside)
        kept = {name: value for name, value in schema.items() if name not in _LEFT_OUT}
        result = {name: self._member(name, value, path, inside) for name, value in kept.items()}
        if "oneOf" in result:
            result["anyOf"] = result.pop("oneOf")
        if result.get("type") == "object" or "properties" in result:
            self._close(result, path)
        if _KINDS.isdisjoint(result):
            raise _impossible(path, "it may be anything")
        return result

    def _merged(self, schema: Mapping[str, Any], inside: frozenset[str]) -> tuple[Mapping[str, Any], frozenset[str]]:
        """Without `allOf` of one, and without siblings of a reference: what it leads to stands in its place."""
        parts: list[dict[str, Any]] = schema.get("allOf") or []
        if len(parts) == 1:
            schema = {**parts[0], **_without(schema, "allOf")}
        reference = schema.get("$ref")
        if not isinstance(reference, str) or not schema.keys() - _LEFT_OUT - {"$ref"}:
            return schema, inside
        if reference in inside:
            return {"$ref": reference}, inside
        return {**self._find(reference), **_without(schema, "$ref")}, inside | {reference}

    def _member(self, name: str, value: Any, path: str, inside: frozenset[str]) -> Any:
        if name == "$defs":
            members = cast("Mapping[str, Any]", value)
            return {key: self._closed(part, key, frozenset({f"#/$defs/{key}"})) for key, part in members.items()}
        if name == "properties":
            members = cast("Mapping[str, Any]", value)
            return {key: self._closed(part, f"{path}.{key}", inside) for key, part in members.items()}
        if name in _LISTS:
            return [self._closed(part, path, inside) for part in cast("list[Any]", value)]
        if name == "items" and isinstance(value, Mapping):
            return self._closed(cast("Mapping[str, Any]", value), f"{path}[]", inside)
        return value

    def _close(self, schema: dict[str, Any], path: str) -> None:
        if schema.get("additionalProperties", False) is not False:
            raise _impossible(path, "it is an object with any names")
        properties: dict[str, Any] = schema.setdefault("properties", {})
        schema["required"] = list(properties)
        schema["additionalProperties"] = False

    def _find(self, reference: str) -> Mapping[str, Any]:
        found: Any = self._schema
        for name in filter(None, reference.removeprefix("#").split("/")):
            found = found.get(name.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
        if not isinstance(found, Mapping):
            raise InvalidInputError(f"the schema refers to {reference}, which isn't there")
        return cast("Mapping[str, Any]", found)


def _without(schema: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key != name}


def _impossible(path: str, why: str) -> InvalidInputError:
    place = path.lstrip(".") or "the type"
    return InvalidInputError(
        f"{place} has no strict JSON schema: {why}. Give it a type with named fields, or pass strict=False"
    )
