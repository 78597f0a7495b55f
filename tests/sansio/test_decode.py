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


def test_an_optional_field_of_the_wrong_type_is_put_aside_rather_than_losing_what_is_paid_for() -> None:
    images = decoded(ImagesResponse, {"created": "today", "data": [{"url": "u", "revised_prompt": [7]}, {"url": "v"}]})
    assert (images.created, images.raw_created) == (None, "today")
    assert [(image.url, image.revised_prompt) for image in images.data] == [("u", None), ("v", None)]
    assert images.data[0].raw_revised_prompt == [7]
    completion = decoded(ChatCompletion, chat({"content": "Hi"}, usage={"prompt_tokens": "many"}))
    assert completion.choices[0].message.content == "Hi"
    assert (completion.usage.prompt_tokens, completion.usage.raw_prompt_tokens) == (None, "many")


def chat(answer: Any, /, **more: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "message": answer, "finish_reason": "stop"}], **more}


NUMBERS: list[tuple[Any, int | None]] = [
    ("1700000000", 1700000000),
    ("1700000000.5", 1700000000),
    (1700000000.5, 1700000000),
    (12.0, 12),
    ("1.7e9", 1700000000),
    ("soon", None),
    ("nan", None),
    (float("nan"), None),
    (float("inf"), None),
    ("1e400", None),
    (1e30, None),
    ({}, None),
    ([], None),
]


@pytest.mark.parametrize(("number", "whole"), NUMBERS)
def test_a_number_in_another_form_is_converted(number: Any, whole: int | None) -> None:
    completion = decoded(ChatCompletion, chat({"content": "Hi"}, created=number, usage={"prompt_tokens": number}))
    assert (completion.created, completion.usage.prompt_tokens) == (whole, whole)
    assert completion.choices[0].message.content == "Hi"


def test_what_a_conversion_loses_is_kept_beside_it() -> None:
    completion = decoded(ChatCompletion, chat({"content": "Hi"}, created=1.5, id=5, usage=["?"], raw_usage=1))
    assert (completion.id, completion.usage) == ("5", None)
    assert completion.model_extra == {"raw_created": 1.5, "raw_usage": 1, "raw_usage_": ["?"]}


TEXTS: list[tuple[Any, str | None, bool]] = [
    ([{"type": "text", "text": "a"}, {"type": "output_text", "text": "b"}, "c", {"text": "d"}], "abcd", True),
    ([{"type": "text", "text": {"value": "a", "annotations": []}}], "a", True),
    ([{"type": "thinking", "thinking": "why"}, {"type": "text", "text": "a"}], "a", True),
    ([{"type": "image_url", "image_url": {"url": "u"}}], None, True),
    ([], None, True),
    ([None, 5, {"type": "text", "text": 5}], None, True),
    ({"type": "text", "text": "a"}, "a", True),
    ({"city": "Köln"}, '{"city": "Köln"}', False),
    (42, "42", False),
    (False, "false", False),
]


@pytest.mark.parametrize(("content", "text", "kept"), TEXTS)
def test_content_that_is_no_text_becomes_text_and_its_parts_are_kept(
    content: Any, text: str | None, kept: bool
) -> None:
    message = decoded(ChatCompletion, chat({"role": "assistant", "content": content})).choices[0].message
    assert message.content == text
    assert message.model_extra == ({"raw_content": content} if kept else {})


def test_the_arguments_of_a_function_may_come_as_an_object() -> None:
    functions: list[Any] = [{"name": "f", "arguments": {"a": [1, "ß"]}}, {"name": "g", "arguments": None}, "h"]
    calls = (
        decoded(
            ChatCompletion, chat({"content": None, "tool_calls": [{"id": 5, "function": each} for each in functions]})
        )
        .choices[0]
        .message.tool_calls
    )
    assert [(call.function.name, call.function.arguments) for call in calls] == [
        ("f", '{"a": [1, "ß"]}'),
        ("g", ""),
        ("h", ""),
    ]
    assert calls[0].id == "5"


@pytest.mark.parametrize(
    ("choice", "text"),
    [
        ({"message": None}, None),
        ({}, None),
        ({"message": "Hi"}, "Hi"),
        ({"message": [{"content": "Hi"}]}, "Hi"),
        ({"text": "Hi"}, "Hi"),
        ({"delta": {"content": "Hi"}}, "Hi"),
        ({"message": 5}, None),
        ({"message": {"content": "Hi", "tool_calls": None}, "index": None}, "Hi"),
        ({"message": {"content": "Hi", "tool_calls": {}}}, "Hi"),
        ({"message": {"content": "Hi"}, "finish_reason": {"type": "stop"}}, "Hi"),
    ],
)
def test_a_choice_without_its_message_is_a_choice(choice: Any, text: str | None) -> None:
    found = decoded(ChatCompletion, {"choices": [choice]}).choices[0]
    assert (found.index, found.message.content) == (0, text)


@pytest.mark.parametrize("choices", [None, [], {}, "", [None]])
def test_choices_of_null_are_none(choices: Any) -> None:
    assert decoded(ChatCompletion, {"choices": choices, "usage": None}).choices == []


def test_items_that_are_none_are_kept_in_another_list() -> None:
    completion = decoded(ChatCompletion, {"choices": [None, 5, *chat({"content": "Hi"})["choices"], "x"]})
    assert completion.choices[0].message.content == "Hi"
    assert completion.raw_choices == [5, "x"]


def test_a_list_of_one_completion_is_that_completion() -> None:
    assert decoded(ChatCompletion, [chat({"content": "Hi"})]).choices[0].message.content == "Hi"


def test_a_message_of_the_gateway_beside_choices_is_no_error() -> None:
    completion = decoded(ChatCompletion, chat({"content": "Hi"}, created=1.5, code="0", message="ok"))
    assert completion.choices[0].message.content == "Hi"


def test_very_deep_fields_become_text() -> None:
    body = json.dumps(chat({"content": "Hi"}))[:-1] + ', "id": 5, "deep": ' + "[" * 500 + "]" * 500 + "}"
    completion = decode_result(ChatCompletion, body.encode(), lambda: META)
    assert completion.choices[0].message.content == "Hi"
    assert "[" * 400 in repr(completion)


def test_bytes_and_numbers_that_can_not_be_read_cost_only_themselves() -> None:
    body = json.dumps(chat({"content": "Hi?"}))[:-1] + ', "huge": ' + "9" * 5000 + "}"
    completion = decode_result(ChatCompletion, body.replace("?", "\xe9").encode("latin-1"), lambda: META)
    assert completion.choices[0].message.content == "Hi\ufffd"
    assert completion.model_extra == {"huge": "9" * 5000}


def test_a_list_of_models_may_be_null_and_its_fields_odd() -> None:
    assert decoded(ModelList, {"object": "list", "data": None, "success": True}).data == []
    many = [{"id": n, "created": "1.5", "supported_endpoint_types": [1, None]} for n in range(2000)]
    models = decoded(ModelList, {"data": many}).data
    assert [(m.id, m.created, m.supported_endpoint_types) for m in models] == [(str(n), 1, ["1"]) for n in range(2000)]


def test_a_date_beyond_64_bits_is_put_aside() -> None:
    images = decoded(ImagesResponse, {"created": 10**300, "data": [{"url": "u"}]})
    assert (images.created, images.raw_created) == (None, 10**300)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), "nan", None, "much"])
def test_a_balance_that_is_no_number_is_no_balance(number: Any) -> None:
    usage = {"total_granted": number, "total_used": 1, "total_available": "2.5"}
    assert isinstance(refused(TokenUsage, json.dumps({"data": usage}).encode()), ResponseDecodeError)


@pytest.mark.parametrize("data", [None, "", {}, []])
def test_no_images_are_an_empty_list(data: Any) -> None:
    assert decoded(ImagesResponse, {"data": data}).data == []


def test_one_image_without_a_list_is_a_list_of_one() -> None:
    assert decoded(ImagesResponse, {"data": {"url": "u"}}).data[0].url == "u"


@pytest.mark.parametrize("content", [{"id": [7], "url": "u"}, {"id": "f"}, [], 7, None, "text", {}])
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
