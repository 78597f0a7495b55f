"""An answer as whatever its caller wants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ForwardRef, TypeVar

import pytest
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from relaydance_async import APIStatusError, InvalidInputError, ResponseDecodeError, ResponseMeta
from relaydance_async._sansio.cast import Cast, cast_of
from relaydance_async._sansio.decode import decode_result, reports_error


class Point(TypedDict):
    x: int


@dataclass
class Place:
    x: int


class Sparse(BaseModel):
    """A caller's model that any object fits."""

    x: int | None = None


class Telling(BaseModel):
    error: dict[str, Any] | None = None


def decode(kind: Any, body: bytes) -> Any:
    cast = cast_of(kind)
    if isinstance(cast, Cast):
        return cast.decode(body, lambda: ResponseMeta(status_code=200))
    return decode_result(cast, body, lambda: ResponseMeta(status_code=200))


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Point, {"x": 1}),
        (Place, Place(1)),
        (dict, {"x": 1, "y": "kept"}),
        (dict[str, Any], {"x": 1, "y": "kept"}),
        (Sparse, Sparse(x=1)),
        (Place | Sparse, Place(1)),
        (Annotated[dict[str, Any], Field(min_length=1)], {"x": 1, "y": "kept"}),
        (Any, {"x": 1, "y": "kept"}),
        (None, {"x": 1, "y": "kept"}),
    ],
    ids=str,
)
def test_an_object(kind: Any, value: Any) -> None:
    assert decode(kind, b'{"x": 1, "y": "kept"}') == value


def test_lists_and_plain_values() -> None:
    assert decode(list[Point], b'[{"x": 1}, {"x": 2}]') == [{"x": 1}, {"x": 2}]
    assert decode(list[Sparse], b'[{"x": 1}]') == [Sparse(x=1)]
    assert decode(int, b"3") == 3
    assert decode(None, b"") is None
    assert decode(None, b"[1]") == [1]


@pytest.mark.parametrize("kind", [Point, Place, list[Point], int], ids=str)
def test_another_shape_is_an_error_that_keeps_the_answer(kind: Any) -> None:
    with pytest.raises(ResponseDecodeError, match="has not the shape of") as caught:
        decode(kind, b'{"z": 1}')
    assert caught.value.raw_body == b'{"z": 1}'
    assert caught.value.maybe_accepted
    assert caught.value.__context__ is None


@pytest.mark.parametrize("kind", [dict, None, Point, Sparse, list[Any]], ids=str)
@pytest.mark.parametrize(
    "body",
    [
        b'{"error": {"message": "it broke", "code": "bad_response"}}',
        b'{"error": "it broke"}',
        b'{"success": false, "message": "it broke"}',
    ],
)
def test_an_error_with_a_good_status_is_one(kind: Any, body: bytes) -> None:
    with pytest.raises(APIStatusError, match="it broke"):
        decode(kind, body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"id": "task_1", "status": "failed", "error": {"message": "no"}}',
        b'{"error": null, "x": 1}',
        b'{"success": true, "message": "", "data": []}',
        b'{"message": "it is only a message"}',
        b'{"text": "\\"error\\""}',
        b"[]",
        b'not JSON with "error" in it',
    ],
)
def test_a_result_may_speak_of_errors(body: bytes) -> None:
    assert not reports_error(body)


def test_a_model_that_has_a_field_for_an_error_gets_it() -> None:
    assert decode(Telling, b'{"error": {"message": "m"}}').error == {"message": "m"}


UNKNOWN: Any = ForwardRef("NotThere")


@pytest.mark.parametrize("kind", [UNKNOWN, "NotThere", list[UNKNOWN], 3, ..., TypeVar], ids=str)
def test_what_nothing_can_be_made_into_is_refused(kind: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"^cast_to can't be "):
        cast_of(kind)


def test_what_can_not_be_hashed_works_all_the_same() -> None:
    kind = Annotated[dict[str, int], Field(json_schema_extra={"a": 1})]
    assert decode(kind, b'{"x": 1}') == {"x": 1}


def test_a_value_reads_back_from_what_is_kept_of_it() -> None:
    for kind, body in [
        (Place, b'{"x": 1}'),
        (Point, b'{"x": 1}'),
        (list[Sparse], b'[{"x": 1}]'),
        (None, b'{"a": [null]}'),
    ]:
        cast = cast_of(kind)
        assert isinstance(cast, Cast)
        value = decode(kind, body)
        assert cast.recall(cast.written(value).model_dump_json(exclude_unset=True, by_alias=True)) == value
