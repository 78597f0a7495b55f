"""Arguments into the bytes and paths that are sent."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from relaydance_async import InvalidInputError
from relaydance_async._sansio.path import build_query, path_segment
from relaydance_async._sansio.request import (
    BodyStream,
    LargeJson,
    PreparedRequest,
    RetrySafety,
    build_get,
    build_json,
    build_model,
    build_post,
)
from relaydance_async._sansio.target import ApiTarget


class Message(BaseModel):
    role: str
    content: str | None = None


class Size(BaseModel):
    width: int
    ratio: str = "16:9"


X = ApiTarget("/x", "/x")


def body_of(arguments: dict[str, Any], extra_body: dict[str, Any] | None = None) -> Any:
    request = build_post(X, arguments, extra_body=extra_body)
    assert isinstance(request.body, bytes)
    return json.loads(request.body)


def test_a_get_is_safe_and_a_post_is_billed() -> None:
    assert build_get(X) == PreparedRequest("GET", X, RetrySafety.SAFE)
    post = build_post(X, {"a": 1})
    assert (post.method, post.safety, post.repeatable) == ("POST", RetrySafety.BILLED, True)
    assert post.headers == {"content-type": "application/json"}


def test_an_argument_that_is_none_is_left_out() -> None:
    assert body_of({"a": 1, "b": None, "c": False, "d": 0, "e": "", "f": []}) == {
        "a": 1,
        "c": False,
        "d": 0,
        "e": "",
        "f": [],
    }


def test_a_none_inside_of_an_argument_is_the_callers_and_is_sent() -> None:
    assert body_of({"messages": [{"role": "assistant", "content": None}]}) == {
        "messages": [{"role": "assistant", "content": None}]
    }


def test_a_model_of_the_callers_is_sent_without_its_empty_fields() -> None:
    assert body_of({"messages": [Message(role="user")]}) == {"messages": [{"role": "user"}]}


def test_extra_body_goes_on_top_and_may_hold_null() -> None:
    assert body_of({"a": 1, "b": None}, {"a": 2, "new": None}) == {"a": 2, "new": None}


def test_text_is_sent_as_utf_8() -> None:
    assert build_json({"a": "你好 é \u2028"}) == '{"a":"你好 é \u2028"}'.encode()


def test_the_words_nan_and_infinity_are_text_like_any_other() -> None:
    assert json.loads(build_json({"a": "NaN", "Infinity": "-Infinity"})) == {"a": "NaN", "Infinity": "-Infinity"}


def test_dates_are_sent_as_iso_8601() -> None:
    assert json.loads(build_json({"at": datetime(2026, 8, 7, tzinfo=UTC)})) == {"at": "2026-08-07T00:00:00Z"}


def endless() -> list[Any]:
    cycle: list[Any] = []
    cycle.append(cycle)
    return cycle


def deep() -> Any:
    value: Any = 1
    for _ in range(100_000):
        value = [value]
    return value


UNSENDABLE: dict[str, Callable[[], Any]] = {
    "NaN": lambda: float("nan"),
    "infinity": lambda: {"a": [float("-inf")]},
    "a lone surrogate": lambda: "a\ud800",
    "a lone surrogate in a name": lambda: {"\udfff": 1},
    "bytes that are no text": lambda: b"\xff",
    "an object": object,
    "a cycle": endless,
    "a tower": deep,
}


@pytest.mark.parametrize("case", UNSENDABLE)
def test_what_json_cannot_hold_is_refused_before_it_is_sent(case: str) -> None:
    with pytest.raises(InvalidInputError, match="an argument can't be sent as JSON: "):
        build_json({"a": UNSENDABLE[case]()})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), JSON, max_size=5))
def test_what_json_can_hold_arrives_as_it_was(content: dict[str, Any]) -> None:
    assert json.loads(build_json(content)) == content


@given(st.dictionaries(st.text(), st.floats() | st.text(st.characters()) | st.binary(max_size=4), max_size=3))
def test_nothing_is_ever_sent_that_is_not_json(content: dict[str, Any]) -> None:
    try:
        body = build_json(content)
    except InvalidInputError:
        return

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    json.loads(body.decode(), parse_constant=refuse)


SEGMENTS = {
    "grok-4.3": "grok-4.3",
    "vendor/model": "vendor%2Fmodel",
    "a?b#c": "a%3Fb%23c",
    "../keys": "..%2Fkeys",
    "%2e%2e": "%252e%252e",
    "é 你": "%C3%A9%20%E4%BD%A0",
    "...": "...",
    "a\r\nb": "a%0D%0Ab",
    "https://evil.example": "https%3A%2F%2Fevil.example",
}


@pytest.mark.parametrize("value", SEGMENTS)
def test_an_id_stays_one_segment_of_the_path(value: str) -> None:
    assert path_segment(value, name="model") == SEGMENTS[value]


@pytest.mark.parametrize("value", ["", " ", "\n", ".", "..", None, 7, b"id", ["id"]])
def test_what_is_no_id_is_refused_by_its_name(value: object) -> None:
    with pytest.raises(InvalidInputError, match=r"^task_id must be a non-empty string, not "):
        path_segment(value, name="task_id")


def test_an_id_that_no_url_can_hold_is_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"^model holds characters that can't be sent: "):
        path_segment("grok\ud800", name="model")


@given(st.text(st.characters(), min_size=1))
def test_no_id_reaches_another_path(value: str) -> None:
    try:
        segment = path_segment(value, name="model")
    except InvalidInputError:
        return
    assert not {"/", "?", "#", "\\", " ", "\r", "\n"} & set(segment)
    assert segment not in (".", "..")
    assert unquote(segment) == value


def test_a_query_is_escaped() -> None:
    query = {"a": "1&b=2", "é": "你 #"}
    assert parse_qs(build_query(query)) == {name: [value] for name, value in query.items()}


def test_a_query_that_no_url_can_hold_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="the query"):
        build_query({"a": "\ud800"})


def test_a_request_names_its_model() -> None:
    assert build_post(X, {"model": "m"}).model == "m"
    assert build_post(X, {"model": "m"}, extra_body={"model": "n"}).model == "n"
    assert build_post(X, {"model": ["m"]}).model is None


def test_a_large_body_stays_what_it_was_and_shares_the_texts_of_the_callers() -> None:
    image = "data:image/png;base64," + "A" * 100_000
    message: dict[str, Any] = {"role": "user", "content": [{"url": image}, Message(role="user")], "name": None}
    body = build_post(X, {"messages": [message]}).body
    assert isinstance(body, LargeJson)
    sent = body.take()
    message["content"].append("later")
    body.rest()
    assert body.take() == body.take() == sent
    assert json.loads(sent) == {
        "messages": [{"role": "user", "content": [{"url": image}, {"role": "user"}], "name": None}]
    }
    kept = body._content["messages"][0]["content"][0]["url"]  # pyright: ignore[reportPrivateUsage]
    assert kept is image


def test_a_large_body_with_an_iterator_in_it_is_the_same_at_each_attempt() -> None:
    parts = ({"text": text} for text in ("A" * 100_000, "B"))
    body = build_post(X, {"messages": [{"role": "user", "content": parts}]}).body
    assert isinstance(body, LargeJson)
    first = body.take()
    body.rest()
    assert body.take() == first
    assert [len(part["text"]) for part in json.loads(first)["messages"][0]["content"]] == [100_000, 1]


@pytest.mark.parametrize("replayable", [True, False])
def test_a_request_is_repeatable_when_its_body_is(replayable: bool) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"x"

    request = PreparedRequest("POST", X, RetrySafety.BILLED, BodyStream(pieces, 1, replayable))
    assert request.repeatable is replayable


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({}, "width: Field required"),
        ({"width": "wide"}, "width: Input should be a valid integer, unable to parse string as an integer"),
        ({"width": 1, "ratio": 9}, "ratio: Input should be a valid string"),
    ],
)
def test_an_argument_of_the_wrong_kind_is_named(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        build_model(Size, arguments)
    assert str(caught.value) == text
    assert isinstance(caught.value, ValueError)
