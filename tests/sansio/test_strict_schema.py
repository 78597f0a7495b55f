"""JSON schemas by OpenAI's strict rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Annotated, Any, Literal, cast

import pytest
from pydantic import BaseModel, ConfigDict, Field, create_model

from relaydance_async import InvalidInputError
from relaydance_async._sansio.docstring import parse_docstring
from relaydance_async._sansio.response_format import MisfitError, ResponseFormat
from relaydance_async._sansio.strict_schema import strict_schema
from tests.kit.cpu import at_most_cpu


class Leaf(BaseModel):
    n: int = 3
    tags: set[str] = set()


class Tree(BaseModel):
    """Holds itself."""

    leaf: Annotated[Leaf, Field(description="of it")]
    kids: list[Tree] = []
    parent: Tree | None = Field(default=None, description="above")


class Cat(BaseModel):
    kind: Literal["cat"]


class Dog(BaseModel):
    kind: Literal["dog"]


class Pet(BaseModel):
    who: Cat | Dog = Field(discriminator="kind")


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")
    n: int


class Timed(BaseModel):
    model_config = ConfigDict(strict=True)
    at: datetime


class Twins(BaseModel):
    left: Annotated[Twins, Field(description="one")] | None
    right: Annotated[Twins, Field(description="two")] | None


def parts_of(schema: Any) -> Iterator[dict[str, Any]]:
    """All objects in a schema, at any depth."""
    inner: Iterable[Any] = ()
    if isinstance(schema, dict):
        whole = cast("dict[str, Any]", schema)
        yield whole
        inner = whole.values()
    elif isinstance(schema, list):
        inner = cast("Iterable[Any]", schema)
    for part in inner:
        yield from parts_of(part)


@pytest.mark.parametrize("model", [Leaf, Tree, Pet, Twins])
def test_every_object_is_closed_and_complete(model: type[BaseModel]) -> None:
    schema = ResponseFormat(model).to_param()["json_schema"]["schema"]
    assert schema["type"] == "object"
    for found in parts_of(schema):
        assert found.keys().isdisjoint({"default", "oneOf", "allOf", "discriminator", "uniqueItems"})
        if found.get("type") == "object":
            assert found["additionalProperties"] is False
            assert found["required"] == list(found["properties"])


def test_a_reference_stands_alone() -> None:
    schema = ResponseFormat(Tree).to_param()["json_schema"]["schema"]
    assert schema["properties"]["leaf"]["description"] == "of it"
    assert schema["properties"]["leaf"]["properties"].keys() == {"n", "tags"}
    assert schema["properties"]["kids"]["items"] == {"$ref": "#/$defs/Tree"}
    assert ResponseFormat(Tree).to_param()["json_schema"]["name"] == "Tree"


def test_the_schema_that_is_given_stays_as_it_is() -> None:
    given = Tree.model_json_schema()
    before = repr(given)
    strict_schema(given)
    assert repr(given) == before


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({"type": "object", "properties": {"a": {"type": "object", "additionalProperties": {}}}}, "a has no strict"),
        ({"type": "object", "properties": {"a": {"type": "array", "items": {}}}}, r"a\[\] has no strict"),
        ({"$ref": "#/$defs/Nowhere"}, "which isn't there"),
        ({"type": "object", "properties": {"a": {"$ref": "#/a/b", "title": "A"}}}, "which isn't there"),
    ],
)
def test_what_has_no_strict_schema(schema: Any, why: str) -> None:
    with pytest.raises(InvalidInputError, match=why):
        strict_schema(schema)


def test_a_schema_that_would_grow_without_end_is_refused() -> None:
    step: dict[str, Any] = {"type": "object", "properties": {}}
    definitions: dict[str, Any] = {"T0": step}
    for number in range(1, 30):
        reference = {"$ref": f"#/$defs/T{number - 1}"}
        both = {side: {**reference, "description": side} for side in ("left", "right")}
        definitions[f"T{number}"] = {"type": "object", "properties": both}
    with pytest.raises(InvalidInputError, match="too large"):
        strict_schema({"$ref": "#/$defs/T29", "$defs": definitions})


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "Invalid JSON"),
        ("[" * 100_000, "Invalid JSON"),
        ('{"n": 1e400}', "n: "),
        ("null", "the answer: Input should be an object"),
        ('{"n": "\\ud800"}', "Invalid JSON"),
    ],
)
def test_what_does_not_fit_is_told_without_the_values(text: str, problem: str) -> None:
    with pytest.raises(MisfitError) as caught:
        ResponseFormat(Leaf).parse(text)
    assert problem in str(caught.value)


@pytest.mark.parametrize("text", ["", "7", "[1]", '{"other": 1}', "[" * 100_000, '{"response": "x"}'])
def test_what_is_no_wrapped_value(text: str) -> None:
    with pytest.raises(MisfitError):
        ResponseFormat(list[int]).parse(text)


@pytest.mark.parametrize("text", ["", "{", '{"n', "no JSON", "[" * 100_000])
def test_half_a_value_is_no_error(text: str) -> None:
    ResponseFormat(Leaf).partial(text)
    ResponseFormat(list[int]).partial(text)


def test_problems_are_bounded() -> None:
    with pytest.raises(MisfitError) as caught:
        ResponseFormat(list[int]).parse('{"response": [' + ",".join(['"x"'] * 50) + "]}")
    assert len(caught.value.problems) == 11
    assert caught.value.problems[-1] == "and 40 more"


def test_a_problem_is_bounded_although_names_are_the_models_own() -> None:
    with pytest.raises(MisfitError) as caught:
        ResponseFormat(Closed).parse('{"n": 1, "' + "k" * 1_000_000 + '": 2}')
    (problem,) = caught.value.problems
    assert len(problem) < 400


@pytest.mark.parametrize(
    "text",
    [
        '```json\n{"n": 1}\n```',
        '```\n{"n": 1}```',
        ' \n```json \n\n {"n": 1} \n\n``` \n',
        '```json\r\n{"n": 1}\r\n```',
        '{"n": 1}',
    ],
)
def test_a_code_fence_is_no_part_of_the_answer(text: str) -> None:
    assert ResponseFormat(Leaf).parse(text) == Leaf(n=1)


@pytest.mark.parametrize(
    "text", ["```", "``````", "```json", "```json```", '```json {"n": 1}```', "```a b\n{}\n```", "x```\n```"]
)
def test_what_is_no_code_fence_stays_as_it_is(text: str) -> None:
    with pytest.raises(MisfitError):
        ResponseFormat(Leaf).parse(text)


@pytest.mark.parametrize("unit", ["\n", " ", " \n", "`", "```\n", "a\n"])
@pytest.mark.parametrize("end", ["", "```", "x"])
def test_a_model_that_lost_its_way_holds_nobody_up(unit: str, end: str) -> None:
    text = f"```json\n{unit * (500_000 // len(unit))}{end}"
    with at_most_cpu(10), pytest.raises(MisfitError):
        ResponseFormat(Leaf).parse(text)


def test_a_value_without_an_object_of_its_own_is_checked_as_json_too() -> None:
    wanted = ResponseFormat[list[Timed]](list[Timed])
    (timed,) = wanted.parse('{"response": [{"at": "2026-08-01T00:00:00"}]}')
    assert timed.at == datetime(2026, 8, 1)


@pytest.mark.parametrize("half", ["\ud800", '{"response": "\ud800"}', '{"n": "\ud800"}'])
def test_half_a_surrogate_pair_is_no_json(half: str) -> None:
    for wanted in (ResponseFormat[Any](Leaf), ResponseFormat[Any](str)):
        with pytest.raises(MisfitError):
            wanted.parse(half)
        assert wanted.partial(half) is None


def test_a_type_that_is_nested_too_deep_is_refused() -> None:
    nested: Any = Leaf
    for number in range(300):
        nested = create_model(f"Level{number}", inner=(nested, ...))
    for strict in (True, False):
        with pytest.raises(InvalidInputError, match="nested too deep"):
            ResponseFormat(nested, strict=strict)


def test_what_could_be_read_only_once_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="use a list"):
        ResponseFormat(Iterable[int])


NUMPY = """Add.

Parameters
----------
first : int
    The one,
    and more.
second
    The other.

Returns
-------
int
    The sum.
"""


@pytest.mark.parametrize(
    ("text", "summary", "told"),
    [
        (None, "", {}),
        ("Add.", "Add.", {}),
        ("Add\n  two.\n\n  More.", "Add two. More.", {}),
        ("Add.\n\nArgs:\n  a: one\n    and: more\n  b (int, optional): two\n\nRaises:\n  X: no", "Add.",
         {"a": "one and: more", "b": "two"}),
        ("Args:\n  **more: rest\n  not a parameter\n", "", {"more": "rest"}),
        (":param a: one\n    more\n:param int b: two\n:returns: c", "", {"a": "one more", "b": "two"}),
        (NUMPY, "Add.", {"first": "The one, and more.", "second": "The other."}),
    ],
)  # fmt: skip
def test_docstrings(text: str | None, summary: str, told: dict[str, str]) -> None:
    assert parse_docstring(text) == (summary, told)
