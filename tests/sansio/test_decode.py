"""Bytes of a good status into models, or into the error that they are."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from relaydance_async import (
    APIStatusError,
    ChatCompletion,
    ImagesResponse,
    ModelList,
    NotFoundError,
    RelayDanceError,
    ResponseDecodeError,
    UploadedFile,
    VideoTask,
)
from relaydance_async._sansio.decode import decode_result
from relaydance_async.models.account import TokenUsage
from relaydance_async.models.meta import ResponseMeta

META = ResponseMeta(method="GET", path="/x", status_code=200)
MODELS: list[type[BaseModel]] = [ModelList, ChatCompletion, ImagesResponse, UploadedFile, VideoTask, TokenUsage]


def decoded(model: type[Any], content: object) -> Any:
    return decode_result(model, json.dumps(content).encode(), lambda: META)


def refused(model: type[Any], body: bytes) -> RelayDanceError:
    with pytest.raises(RelayDanceError) as caught:
        decode_result(model, body, lambda: META)
    return caught.value


def test_unknown_fields_are_kept() -> None:
    models = decoded(ModelList, {"object": "list", "data": [{"id": "m", "new": {"a": 1}}], "success": True})
    assert models.success is True
    assert models.data[0].new == {"a": 1}


def test_the_circumstances_are_not_asked_for_when_all_is_well() -> None:
    def fail() -> ResponseMeta:
        raise AssertionError("not needed")

    assert decode_result(UploadedFile, b'{"id": "f", "url": "u"}', fail).id == "f"


@pytest.mark.parametrize("model", MODELS)
def test_an_error_in_a_good_answer_is_an_error(model: type[BaseModel]) -> None:
    body = b'{"error": {"message": "no such model", "code": "model_not_found"}}'
    error = refused(model, body)
    assert type(error) is NotFoundError
    assert (error.message, error.code, error.meta) == ("no such model", "model_not_found", META)


def test_an_error_beside_an_empty_result_is_an_error() -> None:
    error = refused(ImagesResponse, b'{"data": [], "error": {"message": "it broke"}}')
    assert type(error) is APIStatusError
    assert error.message == "it broke"


def test_an_error_of_null_beside_a_result_is_none() -> None:
    assert decoded(ImagesResponse, {"data": [{"url": "u"}], "error": None}).data[0].url == "u"


def test_a_task_with_an_error_is_a_task_and_not_an_error() -> None:
    task = decoded(VideoTask, {"id": "task_1", "status": "failed", "error": {"message": "nsfw", "code": "c"}})
    assert (task.status, task.error.message) == ("failed", "nsfw")


def test_an_optional_field_of_the_wrong_type_is_dropped_rather_than_losing_what_is_paid_for() -> None:
    images = decoded(ImagesResponse, {"created": "today", "data": [{"url": "u", "revised_prompt": 7}, {"url": "v"}]})
    assert images.created is None
    assert [(image.url, image.revised_prompt) for image in images.data] == [("u", None), ("v", None)]
    chat = {"choices": [{"index": 0, "message": {"content": "Hi"}}], "usage": {"prompt_tokens": "many"}}
    completion = decoded(ChatCompletion, chat)
    assert completion.choices[0].message.content == "Hi"
    assert completion.usage.prompt_tokens is None


@pytest.mark.parametrize("content", [{"id": 7, "url": "u"}, {"id": "f"}, [], 7, None, "text", {}])
def test_a_needed_field_that_is_missing_or_wrong_is_an_error_that_shows_what_came(content: object) -> None:
    body = json.dumps(content).encode()
    error = refused(UploadedFile, body)
    assert isinstance(error, ResponseDecodeError)
    assert error.message == f"the answer has not the shape of a UploadedFile: {json.dumps(content)!r}"
    assert (error.raw_body, error.body) == (body, content)
    assert not error.retryable


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"<html>", b"[" * 100_000, b'{"data": NaN}'])
def test_no_json_is_a_decode_error_of_ours(model: type[BaseModel], body: bytes) -> None:
    error = refused(model, body)
    assert isinstance(error, ResponseDecodeError)
    assert error.__cause__ is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["data", "id", "url", "choices", "message", "error", "task_id", "status", "progress", "code"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)


@given(JSON, st.sampled_from(MODELS))
def test_any_json_is_a_model_or_an_error_of_ours(content: Any, model: type[BaseModel]) -> None:
    try:
        result = decoded(model, content)
    except RelayDanceError as error:
        result = error
    assert isinstance(result, RelayDanceError | model)
    assert str(result)


def test_half_of_a_surrogate_pair_does_not_cost_a_paid_answer() -> None:
    body = rb'{"choices": [{"message": {"content": "Hi \ud83d, \ud83d\ude00"}, "finish_reason": "stop"}]}'
    answer = decode_result(ChatCompletion, body, lambda: META)
    assert answer.choices[0].message.content == "Hi \ufffd, \U0001f600"
    assert answer.model_dump_json()


def test_several_wrong_items_are_dropped_and_the_right_ones_stay() -> None:
    items: list[Any] = [1, {"id": "a"}, None, "x", {"id": "b"}, []]
    models = decoded(ModelList, {"data": items})
    assert [model.id for model in models] == ["a", "b"]


def test_an_answer_with_more_wrong_fields_than_right_ones_is_not_repaired_one_by_one() -> None:
    body = b'{"data": [' + b"0," * 200_000 + b"0]}"
    assert isinstance(refused(ModelList, body), ResponseDecodeError)
