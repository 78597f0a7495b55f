"""NaN and infinity are refused, without a second look at bodies that only hold such words."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaydance_async import InvalidInputError
from relaydance_async._sansio.request import build_json

NAN, INFINITY = float("nan"), float("inf")


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The lengths of the bodies that are parsed once more."""
    lengths: list[int] = []
    loads = json.loads

    def counted(body: bytes, **options: Any) -> Any:
        lengths.append(len(body))
        return loads(body, **options)

    monkeypatch.setattr("relaydance_async._sansio.request.json.loads", counted)
    return lengths


def picture() -> str:
    """Base64 of a megabyte; it holds "NaN" several times."""
    text = base64.b64encode(random.Random(1).randbytes(1_000_000)).decode()
    assert text.count("NaN") >= 3
    return text


@pytest.mark.parametrize("head", ["data:image/png;base64,", "", "x"])
def test_base64_that_holds_nan_by_chance_is_not_parsed_again(parsed: list[int], head: str) -> None:
    build_json({"messages": [{"content": [{"image_url": {"url": head + picture()}}]}]})
    assert parsed == []


@pytest.mark.parametrize("text", ["NaN", "x: NaN", "Infinity", "to Infinity", "minus -Infinity"])
def test_a_text_with_such_a_word_goes_through(text: str) -> None:
    assert json.loads(build_json({"a": text, text: [text]})) == {"a": text, text: [text]}


@pytest.mark.parametrize("text", ["a:NaN", "1,NaN", "[NaN]", "[-Infinity,Infinity]", '{"a":NaN}', ":-Infinity"])
def test_a_text_that_looks_like_one_is_parsed_and_goes_through(parsed: list[int], text: str) -> None:
    assert build_json({"a": text}) == json.dumps({"a": text}, separators=(",", ":")).encode()
    assert len(parsed) == 1


PLACES: list[Callable[[float], dict[str, Any]]] = [
    lambda number: {"a": number},
    lambda number: {"a": [number]},
    lambda number: {"a": [1, number]},
    lambda number: {"a": {"b": {"c": [[], [{"d": number}]]}}},
    lambda number: {"text": "a", "b": (number, 1)},
    lambda number: {"picture": "NaN" * 1000, "b": number},
]


@pytest.mark.parametrize("number", [NAN, -NAN, INFINITY, -INFINITY])
@pytest.mark.parametrize("place", PLACES, ids=range(len(PLACES)))
def test_it_is_refused_wherever_it_stands(place: Callable[[float], dict[str, Any]], number: float) -> None:
    with pytest.raises(InvalidInputError, match="is not a JSON number"):
        build_json(place(number))


VALUES = st.recursive(
    st.floats() | st.text("NaIinfty:,[-] ", max_size=12) | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("NaN:,[-", max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=3), VALUES, max_size=3))
def test_the_quick_look_overlooks_none(content: dict[str, Any]) -> None:
    try:
        expected: Any = json.loads(json.dumps(content, allow_nan=False))
    except ValueError:
        with pytest.raises(InvalidInputError):
            build_json(content)
    else:
        assert json.loads(build_json(content)) == expected
