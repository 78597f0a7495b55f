"""A small value that fits a JSON schema: what the fake model answers when it is given one."""

from __future__ import annotations

from typing import Any

from ._json import Json, as_list, as_object

DEEPEST = 6
"""From here on nothing is made that the schema doesn't require."""
MOST_DEPTH = 50
"""Where a schema that requires itself ends, in a null that does not fit."""
MOST_VALUES = 10_000
MOST_ITEMS = 1000
MOST_CHARACTERS = 100_000
MOST_STEPS = 100
FORMATS = {
    "date-time": "2026-08-07T00:00:00Z",
    "date": "2026-08-07",
    "time": "00:00:00Z",
    "duration": "P1D",
    "email": "sandbox@example.com",
    "hostname": "example.com",
    "ipv4": "127.0.0.1",
    "ipv6": "::1",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def sample(schema: Json) -> Any:
    """A value of `schema`: no optional properties where it says which are required; patterns are not looked at.

    ValueError, TypeError or the like for what is no schema.
    """
    return _Sampler(schema).build(schema, 0)


class _Sampler:
    """Holds the root, which references point into, and ends what would have no end."""

    def __init__(self, root: Json) -> None:
        self._root = root
        self._left = MOST_VALUES

    def build(self, schema: Json, depth: int) -> Any:
        self._left -= 1
        if self._left < 0 or depth > MOST_DEPTH:
            return None
        schema = self._resolve(schema, depth)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return as_list(schema["enum"])[0]
        kind = _kind(schema)
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            return self._array(schema, depth)
        if kind == "string":
            return _string(schema)
        if kind in ("integer", "number"):
            return _number(schema, whole=kind == "integer")
        return True if kind == "boolean" else None

    def _object(self, schema: Json, depth: int) -> Json:
        parts = as_object(schema.get("properties"))
        names = as_list(schema["required"]) if "required" in schema else list(parts) if depth < DEEPEST else []
        return {str(name): self.build(as_object(parts.get(name, {"type": "string"})), depth + 1) for name in names}

    def _array(self, schema: Json, depth: int) -> list[Any]:
        if fixed := as_list(schema.get("prefixItems")):
            return [self.build(as_object(part), depth + 1) for part in fixed]
        least = schema.get("minItems", 1 if depth < DEEPEST else 0)
        number = min(least, schema.get("maxItems", least), MOST_ITEMS)
        return [self.build(as_object(schema.get("items")), depth + 1) for _ in range(number)]

    def _resolve(self, schema: Json, depth: int) -> Json:
        """Follow references and take a choice, until a plain schema is left."""
        for _ in range(MOST_STEPS):
            if isinstance(schema.get("$ref"), str):
                schema = self._find(schema["$ref"]) | _without(schema, "$ref")
            elif parts := as_list(schema.get("allOf")):
                schema = _without(schema, "allOf")
                for part in parts:
                    schema = _merge(schema, self._resolve(as_object(part), depth))
            elif choices := as_list(schema.get("anyOf")) or as_list(schema.get("oneOf")):
                schema = _choose([as_object(choice) for choice in choices], depth)
            else:
                return schema
        raise ValueError("the schema refers to itself")

    def _find(self, reference: str) -> Json:
        """What "#/$defs/Name" points at."""
        found: object = self._root
        for name in filter(None, reference.removeprefix("#").split("/")):
            found = as_object(found).get(name.replace("~1", "/").replace("~0", "~"))
        if not as_object(found):
            raise ValueError(f"{reference} points at nothing")
        return as_object(found)


def _choose(choices: list[Json], depth: int) -> Json:
    """The first, but null where a schema that holds itself has gone deep enough."""
    if depth >= DEEPEST:
        return next((choice for choice in choices if choice.get("type") == "null"), choices[0])
    return choices[0]


def _kind(schema: Json) -> str:
    kind = schema.get("type", "object")
    kinds = as_list(kind)
    # Of several types the one that is no null, as a model would choose.
    return str(next((each for each in kinds if each != "null"), "null")) if kinds else str(kind)


def _without(schema: Json, name: str) -> Json:
    return {key: value for key, value in schema.items() if key != name}


def _merge(first: Json, second: Json) -> Json:
    merged = first | second
    if "properties" in first and "properties" in second:
        merged["properties"] = as_object(first["properties"]) | as_object(second["properties"])
    if "required" in first and "required" in second:
        merged["required"] = [*as_list(first["required"]), *as_list(second["required"])]
    return merged


def _string(schema: Json) -> str:
    text = FORMATS.get(str(schema.get("format")), "sandbox")
    text = text.ljust(min(int(schema.get("minLength", 0)), MOST_CHARACTERS), "x")
    return text[: schema.get("maxLength", len(text))]


def _number(schema: Json, *, whole: bool) -> float:
    gap = 1 if whole else 0.5
    value: float = 7 if whole else 7.5
    if (most := schema.get("maximum", schema.get("exclusiveMaximum"))) is not None:
        value = min(value, most if "maximum" in schema else most - gap)
    if (least := schema.get("minimum", schema.get("exclusiveMinimum"))) is not None:
        value = max(value, least if "minimum" in schema else least + gap)
    if step := schema.get("multipleOf"):
        value = step * (value // step)
        value = value + step if least is not None and value < least else value
    return int(value) if whole else value
