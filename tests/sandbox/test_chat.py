"""Chat: whole answers, streams, tool calls (wire 4)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.sandbox.support import Starter, chunks_of, deltas_of, events_of

BOTH = pytest.mark.parametrize("dialect", ["gateway", "documented"])
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "days": {"type": "integer"},
                "unit": {"enum": ["C", "F"]},
                "hours": {"type": "array", "items": {"type": "number"}},
            },
        },
    },
}
ARGUMENTS = {"city": "sandbox", "days": 7, "unit": "C", "hours": [7.5]}


@BOTH
def test_an_answer_echoes_the_last_user_message(start: Starter, dialect: str) -> None:
    messages = [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": "ok"},
        {"role": "user", "content": [{"type": "text", "text": "second"}]},
    ]
    body = start(dialect=dialect).chat(messages=messages).json()
    choice = body["choices"][0]
    assert choice["message"] == {"role": "assistant", "content": "You said: second"}
    assert choice["finish_reason"] == "stop"
    usage = body["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_max_tokens_cuts_the_answer(start: Starter) -> None:
    choice = start().chat(max_tokens=2).json()["choices"][0]
    assert choice["message"]["content"] == "You said:"
    assert choice["finish_reason"] == "length"


def test_n_gives_as_many_choices(start: Starter) -> None:
    caller = start()
    assert [choice["index"] for choice in caller.chat(n=3).json()["choices"]] == [0, 1, 2]
    chunks = chunks_of(caller.chat(n=3, stream=True).text)
    assert {choice["index"] for chunk in chunks for choice in chunk["choices"]} == {0, 1, 2}


def test_a_tool_is_called_until_it_has_answered(start: Starter) -> None:
    caller = start()
    choice = caller.chat(tools=[WEATHER]).json()["choices"][0]
    call = choice["message"]["tool_calls"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    assert call["function"]["name"] == "weather"
    assert json.loads(call["function"]["arguments"]) == ARGUMENTS
    messages = [
        {"role": "user", "content": "weather?"},
        choice["message"],
        {"role": "tool", "tool_call_id": call["id"], "content": "rain"},
    ]
    second = caller.chat(tools=[WEATHER], messages=messages).json()["choices"][0]
    assert second["message"]["content"] == "The tool said: rain"


def test_tool_choice_is_obeyed(start: Starter) -> None:
    caller = start()
    other = {"type": "function", "function": {"name": "other"}}
    none = caller.chat(tools=[WEATHER], tool_choice="none").json()["choices"][0]
    named = caller.chat(tools=[WEATHER, other], tool_choice=other).json()["choices"][0]
    assert "tool_calls" not in none["message"]
    assert named["message"]["tool_calls"][0]["function"]["name"] == "other"


@BOTH
def test_a_stream_ends_in_finish_reason_and_done(start: Starter, dialect: str) -> None:
    answer = start(dialect=dialect).chat(stream=True)
    assert answer.headers["content-type"] == "text/event-stream"
    assert events_of(answer.text)[-1] == "[DONE]"
    chunks = chunks_of(answer.text)
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    text = "".join(delta.get("content", "") for delta in deltas_of(answer.text))
    assert text == "You said: one two three"
    assert sum("content" in delta for delta in deltas_of(answer.text)) > 3
    reasons = [choice["finish_reason"] for chunk in chunks for choice in chunk["choices"]]
    assert reasons[-1] == "stop"
    assert set(reasons[:-1]) == {None}


def test_the_gateway_pings_and_always_counts_usage(start: Starter) -> None:
    text = start().chat(stream=True).text
    last = chunks_of(text)[-1]
    assert text.startswith(": PING\n\n")
    assert text.count(": PING") > 1
    assert last["choices"] == []
    assert last["usage"]["total_tokens"] > 0


def test_the_documented_dialect_counts_usage_when_asked(start: Starter) -> None:
    caller = start(dialect="documented")
    assert all("usage" not in chunk for chunk in chunks_of(caller.chat(stream=True).text))
    asked = caller.chat(stream=True, stream_options={"include_usage": True}).text
    assert chunks_of(asked)[-1]["usage"]["total_tokens"] > 0


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_reasoning_comes_before_the_text(start: Starter, field: str) -> None:
    caller = start()
    text = caller.chat(stream=True, reasoning_effort="low", sandbox_reasoning_field=field).text
    deltas = [delta for delta in deltas_of(text) if delta.get("content") or field in delta]
    kinds = [field in delta for delta in deltas]
    assert kinds == sorted(kinds, reverse=True)
    assert "".join(delta.get(field, "") for delta in deltas) == "The user wrote 13 characters."
    whole = caller.chat(reasoning_effort="low").json()
    assert whole["choices"][0]["message"]["reasoning_content"] == "The user wrote 13 characters."


def test_streamed_tool_arguments_come_in_pieces_by_index(start: Starter) -> None:
    deltas = [
        delta["tool_calls"][0]
        for delta in deltas_of(start().chat(stream=True, tools=[WEATHER]).text)
        if delta.get("tool_calls")
    ]
    assert deltas[0]["id"]
    assert all("id" not in delta and delta["index"] == 0 for delta in deltas[1:])
    assert len(deltas) > 3
    assert json.loads("".join(delta["function"]["arguments"] for delta in deltas)) == ARGUMENTS


def test_a_benchmark_stream_has_as_many_chunks_as_asked(start: Starter) -> None:
    text = start().chat(stream=True, sandbox_chunks=500, sandbox_chunk_text="ab").text
    assert "".join(delta.get("content", "") for delta in deltas_of(text)) == "ab" * 500


def test_chunk_delay_spaces_a_stream(start: Starter) -> None:
    answer = start().chat(stream=True, sandbox_chunks=4, sandbox_chunk_delay=0.01)
    assert answer.elapsed.total_seconds() >= 0
    assert len(chunks_of(answer.text)) == 7


INVALID: list[dict[str, Any]] = [
    {"messages": []},
    {"messages": None},
    {"messages": [{"content": "no role"}]},
    {"stop": ["a", "b", "c", "d", "e"]},
    {"temperature": 3},
    {"max_tokens": 0},
    {"n": 99},
]


@pytest.mark.parametrize("changes", INVALID, ids=str)
def test_a_bad_chat_request_is_called_a_500_by_the_gateway(start: Starter, changes: dict[str, Any]) -> None:
    answer = start().chat(**changes)
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "invalid_request"
    assert answer.json()["error"]["param"] in changes


@pytest.mark.parametrize("changes", INVALID, ids=str)
def test_a_bad_chat_request_is_a_documented_400(start: Starter, changes: dict[str, Any]) -> None:
    answer = start(dialect="documented").chat(**changes)
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_an_error_of_a_stream_is_json_called_an_event_stream(start: Starter) -> None:
    gateway = start().chat(stream=True, messages=[])
    documented = start(dialect="documented").chat(stream=True, messages=[])
    assert gateway.headers["content-type"] == "text/event-stream"
    assert gateway.json()["error"]["code"] == "invalid_request"
    assert documented.headers["content-type"] == "application/json"
