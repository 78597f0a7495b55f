"""A streamed completion is put together again from its pieces."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaydance_async import ChatCompletionChunk
from relaydance_async._sansio.completion import CompletionBuilder
from relaydance_async.models.chat import ChatCompletion

Json = dict[str, Any]


def chunk(*choices: Json, **fields: Any) -> ChatCompletionChunk:
    return ChatCompletionChunk.model_validate({"id": "c1", "created": 5, "model": "m", "choices": choices, **fields})


def choice(index: int = 0, finish_reason: str | None = None, **delta: Any) -> Json:
    return {"index": index, "delta": delta, "finish_reason": finish_reason}


def build(*chunks: ChatCompletionChunk) -> ChatCompletion:
    builder = CompletionBuilder()
    for item in chunks:
        builder.add(item)
    return builder.build()


def call(index: int, **fields: Any) -> Json:
    """A piece of a tool call."""
    return {"index": index, **fields}


def test_text_comes_together_with_the_head_of_the_first_chunk() -> None:
    whole = build(
        chunk(choice(role="assistant", content="")),
        chunk(choice(content="Hello")),
        chunk(choice(content=", you")),
        chunk(choice(finish_reason="stop")),
    )
    assert (whole.id, whole.created, whole.model, whole.object) == ("c1", 5, "m", "chat.completion")
    assert whole.choices[0].message.content == "Hello, you"
    assert whole.choices[0].message.role == "assistant"
    assert whole.choices[0].finish_reason == "stop"


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_reasoning_comes_together_in_either_spelling(name: str) -> None:
    pieces: list[Json] = [{name: "The user "}, {name: "asks."}, {"content": "Hi"}]
    whole = build(*(chunk(choice(**piece)) for piece in pieces))
    assert getattr(whole.choices[0].message, name) == "The user asks."
    assert whole.choices[0].message.content == "Hi"


def test_tool_call_arguments_come_together_by_index_however_they_are_mixed() -> None:
    whole = build(
        chunk(choice(tool_calls=[call(0, id="a", type="function", function={"name": "first", "arguments": ""})])),
        chunk(choice(tool_calls=[call(1, id="b", type="function", function={"name": "second", "arguments": "["})])),
        chunk(choice(tool_calls=[call(0, function={"arguments": '{"x"'}), call(1, function={"arguments": "1"})])),
        chunk(choice(tool_calls=[call(1, function={"arguments": "]"})])),
        chunk(choice(tool_calls=[call(0, function={"arguments": ": 1}"})])),
        chunk(choice(finish_reason="tool_calls")),
    )
    calls = whole.choices[0].message.tool_calls
    assert calls is not None
    assert [(c.id, c.type, c.function and c.function.name, c.function and c.function.arguments) for c in calls] == [
        ("a", "function", "first", '{"x": 1}'),
        ("b", "function", "second", "[1]"),
    ]
    assert whole.choices[0].message.content is None


def test_a_tool_call_may_come_without_arguments_or_with_null_ones() -> None:
    whole = build(chunk(choice(tool_calls=[call(0, id="a", function={"name": "now", "arguments": None})])))
    calls = whole.choices[0].message.tool_calls
    assert calls is not None
    assert calls[0].function is not None
    assert calls[0].function.arguments == ""


def test_several_choices_are_kept_apart_and_in_order() -> None:
    whole = build(
        chunk(choice(1, content="one"), choice(0, content="zero")),
        chunk(choice(0, content="!")),
        chunk(choice(1, finish_reason="length")),
        chunk(choice(0, finish_reason="stop")),
    )
    assert [(c.index, c.message.content, c.finish_reason) for c in whole.choices] == [
        (0, "zero!", "stop"),
        (1, "one", "length"),
    ]


def test_the_usage_chunk_has_no_choices_and_is_kept() -> None:
    whole = build(
        chunk(choice(content="Hi", finish_reason="stop")),
        chunk(usage={"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4, "cached": 2}),
    )
    assert whole.usage is not None
    assert whole.usage.total_tokens == 4
    assert whole.usage.model_extra == {"cached": 2}


def test_a_choice_without_a_finish_reason_is_unfinished() -> None:
    builder = CompletionBuilder()
    assert builder.empty
    builder.add(chunk(choice(0, content="a"), choice(1, content="b", finish_reason="stop")))
    assert builder.unfinished == [0]
    assert builder.text == "a"


def test_the_text_so_far_is_that_of_the_first_choice_only() -> None:
    builder = CompletionBuilder()
    assert builder.text == ""
    builder.add(chunk(choice(1, content="b")))
    assert builder.text == ""
    assert chunk(choice(1, content="b")).text() == ""
    assert chunk(choice(0, content="a"), choice(1, content="b")).text() == "a"
    assert chunk().text() == ""


def test_nothing_at_all_builds_a_completion_without_choices() -> None:
    assert build().choices == []


@given(st.text(max_size=40), st.lists(st.integers(0, 40), max_size=6))
def test_any_split_of_the_text_comes_together_the_same(text: str, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    pieces = [text[a:b] for a, b in pairwise(edges)]
    whole = build(*(chunk(choice(content=piece)) for piece in pieces), chunk(choice(finish_reason="stop")))
    assert (whole.choices[0].message.content or "") == text


def message_of(*deltas: Json) -> Json:
    """The fields of the whole message that the models don't know."""
    return build(*(chunk(choice(**delta)) for delta in deltas)).choices[0].message.model_extra or {}


def test_images_and_annotations_are_kept_in_order() -> None:
    assert message_of(
        {"images": [{"type": "image_url", "index": 0, "image_url": {"url": "data:a"}}]},
        {"annotations": [{"type": "url_citation", "url_citation": {"url": "https://a"}}]},
        {"images": [{"type": "image_url", "index": 0, "image_url": {"url": "data:b"}}], "annotations": None},
        {"images": []},
    ) == {
        "images": [
            {"type": "image_url", "index": 0, "image_url": {"url": "data:a"}},
            {"type": "image_url", "index": 0, "image_url": {"url": "data:b"}},
        ],
        "annotations": [{"type": "url_citation", "url_citation": {"url": "https://a"}}],
    }


def test_audio_comes_together_from_its_pieces() -> None:
    assert message_of(
        {"audio": {"id": "a1", "transcript": "Hel"}},
        {"audio": {"data": "AAA", "transcript": "lo"}},
        {"audio": {"data": "BBB", "expires_at": 5}},
    ) == {"audio": {"id": "a1", "transcript": "Hello", "data": "AAABBB", "expires_at": 5}}


def test_an_old_function_call_comes_together_too() -> None:
    assert message_of(
        {"function_call": {"name": "now", "arguments": ""}},
        {"function_call": {"arguments": '{"x":'}},
        {"function_call": {"arguments": " 1}"}},
    ) == {"function_call": {"name": "now", "arguments": '{"x": 1}'}}


@pytest.mark.parametrize(
    ("values", "whole"),
    [
        (["a", "b"], "b"),
        ([1, 2.5], 2.5),
        (["a", None], "a"),
        ([None, None], None),
        ([None, [1]], [1]),
        ([[1], "a", [2]], [2]),
        ([{"a": 1, "b": {"c": [1]}}, {"b": {"c": [2], "d": None}}], {"a": 1, "b": {"c": [1, 2], "d": None}}),
        ([{"text": "a"}, {"text": None}, {"text": "b"}], {"text": "ab"}),
        ([{"text": 1}, {"text": "b"}], {"text": "b"}),
    ],
)
def test_a_field_that_is_not_known_comes_together_by_its_shape(values: list[Any], whole: Any) -> None:
    assert message_of(*({"new": value} for value in values)) == {"new": whole}


def test_very_deep_objects_are_kept_as_they_are() -> None:
    deep: Any = 1
    for _ in range(150):
        deep = {"a": deep}
    assert message_of({"new": deep}, {"new": deep}) == {"new": deep}


def test_log_probabilities_and_other_fields_of_a_choice_are_kept() -> None:
    first = {**choice(content="a"), "logprobs": {"content": [{"token": "a"}], "refusal": None}}
    second = {**choice(content="b", finish_reason="stop"), "logprobs": {"content": [{"token": "b"}]}, "native": "STOP"}
    assert build(chunk(first), chunk(second)).choices[0].model_extra == {
        "logprobs": {"content": [{"token": "a"}, {"token": "b"}], "refusal": None},
        "native": "STOP",
    }


def test_of_a_chunks_own_fields_the_last_value_counts() -> None:
    whole = build(
        chunk(choice(content="a"), system_fingerprint="fp_1", citations=["https://a"], service_tier=None),
        chunk(choice(finish_reason="stop"), system_fingerprint="fp_2", citations=["https://a", "https://b"]),
        chunk(system_fingerprint=None),
    )
    assert whole.model_extra == {
        "system_fingerprint": "fp_2",
        "citations": ["https://a", "https://b"],
        "service_tier": None,
    }


def test_fields_of_a_tool_call_that_are_not_known_are_kept() -> None:
    whole = build(
        chunk(choice(tool_calls=[call(0, id="a", function={"name": "f", "strict": True}, extra={"sign": "x"})])),
        chunk(choice(tool_calls=[call(0, function={"arguments": "{}"}, extra={"more": [1]})])),
    )
    calls = whole.choices[0].message.tool_calls
    assert calls is not None
    assert calls[0].model_extra == {"extra": {"sign": "x", "more": [1]}}
    assert calls[0].function is not None
    assert calls[0].function.model_extra == {"strict": True}


def test_another_id_and_name_under_the_same_index_begin_another_call() -> None:
    whole = build(
        chunk(choice(tool_calls=[{"id": "a", "function": {"name": "first", "arguments": "{"}}])),
        chunk(choice(tool_calls=[{"id": "a", "function": {"arguments": "}"}}])),
        chunk(choice(tool_calls=[{"id": "b", "function": {"name": "second", "arguments": "["}}])),
        chunk(choice(tool_calls=[{"function": {"arguments": "]"}}])),
    )
    calls = whole.choices[0].message.tool_calls
    assert [(c.id, c.function and c.function.name, c.function and c.function.arguments) for c in calls or ()] == [
        ("a", "first", "{}"),
        ("b", "second", "[]"),
    ]


UNNUMBERED: dict[str, list[list[Json]]] = {
    "in one piece": [
        [{"id": "a", "function": {"name": "f", "arguments": "1"}}, {"id": "b", "function": {"name": "g"}}]
    ],
    "without ids": [
        [{"function": {"name": "f", "arguments": ""}}],
        [{"function": {"arguments": "1"}}],
        [{"function": {"name": "g", "arguments": ""}}],
    ],
    "mixed": [
        [{"id": "a", "function": {"name": "f", "arguments": ""}}],
        [{"id": "b", "function": {"name": "g", "arguments": ""}}],
        [{"id": "a", "function": {"arguments": "1"}}],
    ],
    "with an index in the first only": [
        [{"index": 0, "id": "a", "function": {"name": "f"}}],
        [{"function": {"arguments": "1"}}],
        [{"index": 1, "id": "b", "function": {"name": "g"}}],
        [{"function": {"arguments": ""}}],
    ],
}


@pytest.mark.parametrize("case", UNNUMBERED)
def test_tool_calls_without_an_index_are_kept_apart(case: str) -> None:
    whole = build(*(chunk(choice(tool_calls=calls)) for calls in UNNUMBERED[case]))
    calls = whole.choices[0].message.tool_calls
    assert [(c.function and c.function.name, c.function and c.function.arguments) for c in calls or ()] == [
        ("f", "1"),
        ("g", ""),
    ]


def test_building_leaves_the_chunks_as_they_are() -> None:
    chunks = [chunk(choice(images=[1], audio={"data": "a"})), chunk(choice(images=[2], audio={"data": "b"}))]
    before = [item.model_dump() for item in chunks]
    builder = CompletionBuilder()
    for item in chunks:
        builder.add(item)
    assert builder.build() == builder.build()
    assert [item.model_dump() for item in chunks] == before
