"""Chats that answer what a test says, and objects that fit a schema."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import TypeAdapter

from relaydance_async.sandbox import ChatReply, Fault
from relaydance_async.sandbox._schema import sample
from tests.kit.routes import CHAT
from tests.sandbox.support import Caller, Json, Starter, chunks_of, deltas_of, events_of


def choice_of(caller: Caller, **changes: Any) -> Json:
    choice: Json = caller.chat(**changes).json()["choices"][0]
    return choice


def test_replies_come_in_their_order_and_then_the_usual_ones(start: Starter) -> None:
    caller = start()
    caller.sandbox.chat.reply("one")
    caller.sandbox.chat.add(ChatReply("two", finish_reason="length"), ChatReply(""))
    assert caller.sandbox.chat.left == 3
    seen = [choice_of(caller) for _ in range(4)]
    assert [choice["message"]["content"] for choice in seen] == ["one", "two", None, "You said: one two three"]
    assert [choice["finish_reason"] for choice in seen] == ["stop", "length", "stop", "stop"]


def test_a_chat_that_is_refused_takes_no_reply(start: Starter) -> None:
    caller = start(faults=[Fault(CHAT, status=503, at=(2,))])
    caller.sandbox.chat.reply("mine")
    assert [caller.chat(messages=[]).status_code, caller.chat().status_code] == [500, 503]
    assert choice_of(caller)["message"]["content"] == "mine"
    caller.sandbox.chat.reply("never")
    caller.sandbox.reset()
    assert caller.sandbox.chat.left == 0


def test_tools_are_called_as_scripted(start: Starter) -> None:
    caller = start()
    calls: list[Json] = [{"name": "a", "arguments": {"x": 1}}, {"name": "b", "arguments": "{broken", "id": "call_9"}]
    for stream in (False, True):
        caller.sandbox.chat.reply(tool_calls=calls, pieces=3)
        if stream:
            text = caller.chat(stream=True).text
            pieces = [delta["tool_calls"][0] for delta in deltas_of(text) if delta.get("tool_calls")]
            for index, expected in enumerate(['{"x": 1}', "{broken"]):
                own = [piece for piece in pieces if piece["index"] == index]
                assert "".join(piece["function"]["arguments"] for piece in own) == expected
                assert all(len(piece["function"]["arguments"]) <= 3 for piece in own)
        else:
            choice = choice_of(caller)
            assert choice["finish_reason"] == "tool_calls"
            made = [(call["id"], call["function"]) for call in choice["message"]["tool_calls"]]
            assert made == [
                ("call_sandbox_1", {"name": "a", "arguments": '{"x": 1}'}),
                ("call_9", {"name": "b", "arguments": "{broken"}),
            ]


def test_a_refusal_is_a_field_of_its_own(start: Starter) -> None:
    caller = start()
    for _ in range(2):
        caller.sandbox.chat.reply(refusal="I can't do that", finish_reason="content_filter")
    choice = choice_of(caller)
    assert (choice["message"]["refusal"], choice["message"]["content"]) == ("I can't do that", None)
    assert choice["finish_reason"] == "content_filter"
    text = caller.chat(stream=True).text
    assert "".join(delta.get("refusal", "") for delta in deltas_of(text)) == "I can't do that"


def test_a_stream_is_cut_into_the_pieces_asked_for(start: Starter) -> None:
    caller = start()
    caller.sandbox.chat.reply(pieces=["He", "llo ", "", "wörld"])
    caller.sandbox.chat.reply("Hello wörld", pieces=2, reasoning="hm")
    for expected in (["He", "llo ", "", "wörld"], ["He", "ll", "o ", "wö", "rl", "d"]):
        contents = [delta["content"] for delta in deltas_of(caller.chat(stream=True).text) if "content" in delta]
        assert contents[1:] == expected
    caller.sandbox.chat.reply(pieces=["a", "b"])
    assert choice_of(caller)["message"]["content"] == "ab"


def test_usage_is_charged_as_scripted(start: Starter) -> None:
    caller = start()
    caller.sandbox.chat.reply("x", usage={"prompt_tokens": 1000, "completion_tokens": 234, "total_tokens": 1234})
    caller.sandbox.chat.reply("x", usage={"total_tokens": "12"})
    assert caller.chat().json()["usage"]["total_tokens"] == 1234
    assert round(caller.sandbox.ledger.charged_usd * 500_000) == 1234
    assert caller.chat().json()["usage"] == {"total_tokens": "12"}
    assert caller.sandbox.ledger.billed(CHAT) == 2


def test_a_stream_may_never_say_why_it_ended(start: Starter) -> None:
    caller = start()
    caller.sandbox.chat.reply("cut off", finish_reason="")
    caller.sandbox.chat.reply("cut off", done=False)
    text = caller.chat(stream=True).text
    assert {choice["finish_reason"] for chunk in chunks_of(text) for choice in chunk["choices"]} == {None}
    assert events_of(text)[-1] == "[DONE]"
    assert "[DONE]" not in caller.chat(stream=True).text


@pytest.mark.parametrize("dialect", ["gateway", "documented"])
def test_an_error_instead_of_an_answer_is_not_billed(start: Starter, dialect: str) -> None:
    caller = start(dialect=dialect)
    caller.sandbox.chat.reply(error="the provider is down", code="bad_response", status=502)
    caller.sandbox.chat.reply(code="empty_response")
    answer = caller.chat(stream=True)
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "bad_response")
    assert answer.headers["content-type"].startswith("text/event-stream") is (dialect == "gateway")
    assert "the provider is down" in answer.json()["error"]["message"]
    assert caller.chat().status_code == 500
    assert caller.sandbox.ledger.billed(CHAT) == caller.sandbox.ledger.accepted(CHAT) == 0


def test_an_error_may_come_in_mid_stream(start: Starter) -> None:
    caller = start()
    caller.sandbox.chat.reply("one two three", error="broke off", code="bad_response", error_after=2)
    events = events_of(caller.chat(stream=True).text)
    assert len(events) == 3
    assert json.loads(events[2])["error"] == {
        "message": "broke off",
        "type": "upstream_error",
        "param": "",
        "code": "bad_response",
    }
    assert caller.sandbox.ledger.billed(CHAT) == 1


def test_a_message_has_parts_images_and_whatever_else(start: Starter) -> None:
    caller = start()
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    images = [{"type": "image_url", "image_url": {"url": "data:,"}}]
    for _ in range(2):
        caller.sandbox.chat.reply(parts, message={"images": images, "audio": None})
    message = choice_of(caller)["message"]
    assert (message["content"], message["images"], message["audio"]) == (parts, images, None)
    first = next(deltas_of(caller.chat(stream=True).text))
    assert (first["content"], first["images"]) == (parts, images)


def test_a_raw_answer_goes_out_as_it_is(start: Starter) -> None:
    caller = start()
    wrong: Json = {"choices": [{"message": {"content": None, "tool_calls": None}}], "usage": None}
    answers: list[Json | str | bytes] = [wrong, "not json", b"\xff"]
    for raw in answers:
        caller.sandbox.chat.reply(raw=raw)
    assert caller.chat(stream=True).json() == wrong
    assert caller.chat().text == "not json"
    assert caller.chat().content == b"\xff"


def test_raw_events_go_out_as_they_are(start: Starter) -> None:
    caller = start()
    raw: list[Json | str | bytes] = [b": hello\n\n", {"choices": None}, "{not json", b"event: x\ndata: 1\n\n"]
    caller.sandbox.chat.reply(raw=raw)
    caller.sandbox.chat.reply(raw=raw, done=False)
    expected = ': hello\n\ndata: {"choices":null}\n\ndata: {not json\n\nevent: x\ndata: 1\n\n'
    answer = caller.chat()
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.text == expected + "data: [DONE]\n\n"
    assert caller.chat(stream=True).text == expected


def test_an_upstream_may_ignore_what_was_asked_for(start: Starter) -> None:
    caller = start()
    caller.sandbox.chat.reply("whole", stream=False)
    caller.sandbox.chat.reply("streamed", stream=True)
    assert caller.chat(stream=True).json()["choices"][0]["message"]["content"] == "whole"
    assert "".join(delta.get("content", "") for delta in deltas_of(caller.chat().text)) == "streamed"


def test_a_slow_stream_has_silence_before_each_piece(start: Starter) -> None:
    caller = start()
    caller.sandbox.chat.reply("a b c", delay=0.01)
    headers = {"authorization": f"Bearer {caller.sandbox.api_key}"}
    body = {"model": "grok-4.3", "messages": [{"role": "user", "content": "x"}], "stream": True}
    url = f"{caller.sandbox.base_url}/chat/completions"
    with caller.http.stream("POST", url, json=body, headers=headers) as answer:
        assert len(list(answer.iter_raw())) > 3


def test_replies_are_scripted_over_http(start: Starter) -> None:
    caller = start()
    url = f"{caller.sandbox.root_url}/_sandbox/chat"
    assert caller.http.post(url, json={"text": "one"}).json() == {"left": 1}
    assert caller.http.post(url, json=[{"text": "two"}, {"error": "no"}]).json() == {"left": 3}
    assert choice_of(caller)["message"]["content"] == "one"
    assert caller.http.post(url, json={"clear": True}).json() == {"left": 0}
    for wrong in ({"txt": "x"}, 3, {"text": "x", "delay": -1}, {"status": 5}, {"pieces": 0}, {"error_after": -1}):
        assert caller.http.post(url, json=wrong).status_code == 400


PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}, "note": {"type": "string"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


@pytest.mark.parametrize("dialect", ["gateway", "documented"])
def test_a_schema_is_answered_with_an_object_that_fits(start: Starter, dialect: str) -> None:
    caller = start(dialect=dialect)
    wanted = {"type": "json_schema", "json_schema": {"name": "person", "strict": True, "schema": PERSON}}
    choice = choice_of(caller, response_format=wanted)
    assert json.loads(choice["message"]["content"]) == {"name": "sandbox", "age": 7}
    text = caller.chat(response_format=wanted, stream=True).text
    assert json.loads("".join(delta.get("content", "") for delta in deltas_of(text))) == {"name": "sandbox", "age": 7}
    assert json.loads(choice_of(caller, response_format={"type": "json_object"})["message"]["content"]) == {}
    caller.sandbox.chat.reply('{"name": 5}')
    assert choice_of(caller, response_format=wanted)["message"]["content"] == '{"name": 5}'


NO_SCHEMAS: list[Any] = [
    None,
    {},
    {"$ref": "#/$defs/Gone"},
    {"$ref": "#"},
    {"type": "string", "minLength": "x"},
    {"type": "array", "minItems": {}},
    {"type": "number", "minimum": "1"},
    {"type": "integer", "maximum": None, "minimum": []},
]


@pytest.mark.parametrize("schema", NO_SCHEMAS, ids=str)
def test_what_is_no_schema_is_refused(start: Starter, schema: Any) -> None:
    answer = start().chat(response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}})
    assert answer.status_code == 500
    assert answer.json()["error"]["param"] == "response_format"


SAMPLES: list[tuple[Json, Any]] = [
    ({"const": 3}, 3),
    ({"enum": ["b", "a"]}, "b"),
    ({"type": ["null", "string"]}, "sandbox"),
    ({"type": "null"}, None),
    ({"type": "boolean"}, True),
    ({"type": "string", "minLength": 9}, "sandboxxx"),
    ({"type": "string", "maxLength": 3}, "san"),
    ({"type": "string", "format": "date"}, "2026-08-07"),
    ({"type": "integer", "maximum": 3}, 3),
    ({"type": "integer", "exclusiveMaximum": 3}, 2),
    ({"type": "integer", "minimum": 10, "maximum": 20, "multipleOf": 4}, 12),
    ({"type": "number", "exclusiveMinimum": 10}, 10.5),
    ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, [7, 7]),
    ({"type": "array", "maxItems": 0}, []),
    ({"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}]}, [7, "sandbox"]),
    ({"type": "object", "properties": {"a": {"type": "null"}}}, {"a": None}),
    ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, 7),
    ({"oneOf": [{"$ref": "#/$defs/A"}], "$defs": {"A": {"const": "a"}}}, "a"),
    (
        {
            "allOf": [
                {"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"]},
                {"properties": {"b": {"const": 2}}, "required": ["b"]},
            ]
        },
        {"a": 1, "b": 2},
    ),
]


@pytest.mark.parametrize(("schema", "value"), SAMPLES, ids=str)
def test_a_sample_fits_its_schema(schema: Json, value: Any) -> None:
    assert sample(schema) == value


ITSELF: dict[str, Json] = {
    "in a list": {
        "type": "object",
        "properties": {"all": {"type": "array", "items": {"$ref": "#"}}},
        "required": ["all"],
    },
    "optional": {"type": "object", "properties": {name: {"$ref": "#"} for name in "abcdefgh"}},
    "or null": {
        "type": "object",
        "properties": {"next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}},
        "required": ["next"],
    },
    "for ever": {"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"]},
}


@pytest.mark.parametrize("schema", ITSELF.values(), ids=ITSELF)
def test_a_schema_that_holds_itself_has_a_small_value(schema: Json) -> None:
    assert len(json.dumps(sample(schema))) < 200_000


def test_the_schemas_of_pydantic_are_answered_with_what_pydantic_takes() -> None:
    types: tuple[Any, ...] = (list[int], dict[str, int], tuple[int, str], int | None, bool, float, list[dict[str, Any]])
    for type_ in types:
        adapter: TypeAdapter[Any] = TypeAdapter(type_)
        adapter.validate_python(sample(adapter.json_schema()))
