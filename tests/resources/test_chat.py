"""`chat.completions.create` without streaming, in both dialects."""

from __future__ import annotations

import json
from typing import Any, assert_type, cast

import pytest

from relaydance_async import (
    APITimeoutError,
    AsyncRelayDance,
    BadRequestError,
    ChatCompletion,
    ChatStream,
    ContentRefusedError,
    InsufficientBalanceError,
    InvalidInputError,
    NotFoundError,
    ResponseDecodeError,
    ServerError,
)
from relaydance_async._sansio import request
from relaydance_async.models.chat import ChatParams
from relaydance_async.sandbox import Account, Fault, Sandbox
from tests.kit.routes import CHAT
from tests.kit.transports import tap
from tests.resources.support import Bench

pytestmark = pytest.mark.anyio

MESSAGES = [{"role": "user", "content": "one two three"}]
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}},
    },
}


async def test_an_answer_is_reached_under_openais_attribute_paths(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    chat = await client.chat.completions.create(model="grok-4.3", messages=MESSAGES)
    assert chat.choices[0].message.content == "You said: one two three"
    assert chat.choices[0].message.role == "assistant"
    assert chat.choices[0].finish_reason == "stop"
    assert chat.object == "chat.completion"
    assert chat.model == "grok-4.3"
    assert chat.usage is not None
    assert chat.usage.total_tokens == (chat.usage.prompt_tokens or 0) + (chat.usage.completion_tokens or 0)
    assert sandbox.ledger.billed(CHAT) == 1


async def test_whatever_is_true_asks_for_a_stream(client: AsyncRelayDance) -> None:
    stream = await client.chat.completions.create(model="grok-4.3", messages=MESSAGES, stream=cast(bool, 1))
    assert isinstance(stream, ChatStream)
    async with stream:
        assert (await stream.get_final_completion()).choices[0].message.content == "You said: one two three"


async def test_the_type_of_the_answer_follows_stream(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    create = client.chat.completions.create
    assert_type(await create(model="grok-4.3", messages=MESSAGES), ChatCompletion)
    assert_type(await create(model="grok-4.3", messages=MESSAGES, stream=False), ChatCompletion)
    assert_type(await create(model="grok-4.3", messages=MESSAGES, stream=None), ChatCompletion)
    stream = await create(model="grok-4.3", messages=MESSAGES, stream=True)
    assert_type(stream, ChatStream)
    async with stream:
        assert_type(await stream.get_final_completion(), ChatCompletion)
    for wanted in (True, False):
        answer = await create(model="grok-4.3", messages=MESSAGES, stream=wanted)
        assert_type(answer, ChatCompletion | ChatStream)
        assert isinstance(answer, ChatStream) is wanted
        if isinstance(answer, ChatStream):
            await answer.aclose()


async def test_arguments_that_no_overload_takes_are_errors_for_the_type_checker_and_at_run_time(
    client: AsyncRelayDance, sandbox: Sandbox
) -> None:
    create = client.chat.completions.create
    with pytest.raises(TypeError):
        await create(messages=MESSAGES)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    with pytest.raises(TypeError):
        await create("grok-4.3", MESSAGES)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    assert sandbox.ledger.entries == []


async def test_every_named_argument_reaches_the_body(client: AsyncRelayDance, recorded: list[Any]) -> None:
    arguments: ChatParams = {
        "temperature": 0.5,
        "max_tokens": 2,
        "top_p": 0.9,
        "stop": ["a", "b"],
        "n": 2,
        "seed": 7,
        "reasoning_effort": "low",
        "response_format": {"type": "text"},
        "user": "me",
        "metadata": {"k": "v"},
    }
    chat = await client.chat.completions.create(model="grok-4.3", messages=MESSAGES, **arguments)
    assert len(chat.choices) == 2
    assert chat.choices[0].finish_reason == "length"
    assert chat.choices[0].message.reasoning_content
    assert recorded == [{"model": "grok-4.3", "messages": MESSAGES, **arguments}]


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The JSON bodies that leave the client."""
    bodies: list[Any] = []
    build = request.build_json

    def build_and_record(content: Any) -> bytes:
        body = build(content)
        bodies.append(json.loads(body))
        return body

    monkeypatch.setattr(request, "build_json", build_and_record)
    return bodies


async def test_what_is_none_is_not_sent(client: AsyncRelayDance, recorded: list[Any]) -> None:
    await client.chat.completions.create(
        model="grok-4.3", messages=MESSAGES, temperature=None, stop=None, stream=False, extra_body=None, timeout=None
    )
    assert recorded == [{"model": "grok-4.3", "messages": MESSAGES}]


async def test_null_inside_of_an_argument_is_sent_as_it_is(client: AsyncRelayDance, recorded: list[Any]) -> None:
    schema = {"type": "json_schema", "json_schema": {"schema": {"enum": [None, "a"], "default": None}}}
    await client.chat.completions.create(model="grok-4.3", messages=MESSAGES, response_format=schema)
    assert recorded[0]["response_format"] == schema


async def test_extra_body_is_merged_in_and_wins(client: AsyncRelayDance, recorded: list[Any]) -> None:
    chat = await client.chat.completions.create(
        model="grok-4.3", messages=MESSAGES, n=1, extra_body={"n": 3, "not_known_yet": {"a": [1]}}
    )
    assert len(chat.choices) == 3
    assert recorded[0]["not_known_yet"] == {"a": [1]}


async def test_extra_headers_extra_query_and_timeout_are_of_one_call_only(
    client: AsyncRelayDance, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = tap(monkeypatch)
    options: dict[str, Any] = {"extra_headers": {"X-Trace": "t1"}, "extra_query": {"a": "1 2"}, "timeout": 7.5}
    await client.chat.completions.create(model="grok-4.3", messages=MESSAGES, **options)
    await client.chat.completions.create(model="grok-4.3", messages=MESSAGES)
    with_options, without = heard.requests
    headers = {name.lower(): value for name, value in with_options.headers.items()}
    assert headers["x-trace"] == "t1"
    assert headers["authorization"] == f"Bearer {sandbox.api_key}"
    assert with_options.url.endswith("/chat/completions?a=1+2")
    assert with_options.timeout.read == 7.5
    assert "x-trace" not in {name.lower() for name in without.headers}
    assert without.url.endswith("/chat/completions")
    assert without.timeout.read > 300
    assert sandbox.ledger.accepted(CHAT) == 2


@pytest.mark.parametrize(
    "options",
    [
        {"extra_headers": {"Authorization": "Bearer other"}},
        {"extra_headers": {"x-a": "b\r\nx-c: d"}},
        {"timeout": 0},
        {"timeout": -1},
    ],
)
async def test_a_wrong_option_of_a_call_is_refused_before_anything_is_sent(
    client: AsyncRelayDance, sandbox: Sandbox, options: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match=r"header|timeout"):
        await client.chat.completions.create(model="grok-4.3", messages=MESSAGES, **options)
    assert sandbox.ledger.entries == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"messages": []},
        {"messages": "Hi"},
        {"messages": {"role": "user"}},
        {"messages": b"Hi"},
        {"model": ""},
        {"model": None},
        {"temperature": float("nan")},
        {"extra_body": {"x": object()}},
        {"messages": [{"role": "user", "content": "\ud800"}]},
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_what_can_not_be_sent_is_an_input_error_before_any_request(
    client: AsyncRelayDance, sandbox: Sandbox, wrong: dict[str, Any], stream: bool
) -> None:
    arguments: dict[str, Any] = {"model": "grok-4.3", "messages": MESSAGES, **wrong}
    with pytest.raises(InvalidInputError):
        await client.chat.completions.create(**arguments, stream=stream)
    assert sandbox.ledger.entries == []


async def test_a_read_timeout_of_one_call_ends_it_as_possibly_accepted(bench: Bench) -> None:
    _, client = bench.start(faults=[Fault(CHAT, stall=True)])
    await client.models.list()  # the connection is there, so that only the answer is waited for
    with pytest.raises(APITimeoutError, match=r"within 0\.01 s") as caught:
        await client.chat.completions.create(model="grok-4.3", messages=MESSAGES, timeout=0.01)
    assert caught.value.maybe_accepted
    assert len(caught.value.attempts) == 1


async def test_messages_may_be_any_iterable(client: AsyncRelayDance) -> None:
    chat = await client.chat.completions.create(model="grok-4.3", messages=(message for message in MESSAGES))
    assert chat.choices[0].message.content == "You said: one two three"


async def test_the_message_of_an_answer_can_be_passed_back_as_it_is(
    client: AsyncRelayDance, recorded: list[Any]
) -> None:
    first = await client.chat.completions.create(model="grok-4.3", messages=MESSAGES, tools=[TOOL])
    message = first.choices[0].message
    assert first.choices[0].finish_reason == "tool_calls"
    assert message.content is None
    assert message.tool_calls
    call = message.tool_calls[0]
    assert call.function is not None
    assert call.function.name == "weather"
    assert json.loads(call.function.arguments) == {"city": "sandbox", "days": 7}

    answer = {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
    second = await client.chat.completions.create(
        model="grok-4.3", messages=[*MESSAGES, message, answer], tools=[TOOL], tool_choice="auto"
    )
    assert second.choices[0].message.content == "The tool said: sunny"
    passed_back = recorded[1]["messages"][1]
    assert passed_back["role"] == "assistant"
    assert passed_back["tool_calls"] == [
        {"id": call.id, "type": "function", "function": {"name": "weather", "arguments": call.function.arguments}}
    ]
    assert "reasoning" not in passed_back  # what had not come is not made up


async def test_fields_that_this_version_does_not_know_are_kept(client: AsyncRelayDance) -> None:
    chat = await client.chat.completions.create(model="grok-4.3", messages=MESSAGES)
    assert chat.usage is not None
    assert chat.usage.model_extra is not None
    assert chat.usage.model_extra["prompt_tokens_details"] == {"cached_tokens": 0}


async def test_an_unknown_model_is_not_found_and_not_retried(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    with pytest.raises(NotFoundError) as caught:
        await client.chat.completions.create(model="no-such-model", messages=MESSAGES)
    assert caught.value.request_id
    assert not caught.value.retryable
    assert sandbox.ledger.count(CHAT) == 1


async def test_an_invalid_request_is_a_bad_request_whatever_its_status(
    client: AsyncRelayDance, sandbox: Sandbox
) -> None:
    with pytest.raises(BadRequestError):
        await client.chat.completions.create(model="grok-4.3", messages=MESSAGES, temperature=9)
    assert sandbox.ledger.count(CHAT) == 1


async def test_a_refused_prompt_is_never_sent_again(client: AsyncRelayDance, sandbox: Sandbox, dialect: str) -> None:
    # The documented dialect has no code for it, only the 400.
    expected = ContentRefusedError if dialect == "gateway" else BadRequestError
    messages = [{"role": "user", "content": "a forbidden-word"}]
    with pytest.raises(expected):
        await client.chat.completions.create(model="grok-4.3", messages=messages)
    assert sandbox.ledger.count(CHAT) == 1


async def test_a_short_balance_has_a_class_of_its_own_where_the_gateway_says_so(bench: Bench) -> None:
    sandbox, client = bench.start(accounts={"sk-1": Account(balance_usd=0)})
    with pytest.raises(Exception, match="balance") as caught:
        await client.chat.completions.create(model="grok-4.3", messages=MESSAGES)
    assert caught.type is InsufficientBalanceError if bench.dialect == "gateway" else caught.value.status_code == 403  # type: ignore[attr-defined]
    assert sandbox.ledger.billed() == 0


async def test_an_error_under_a_200_is_an_error(bench: Bench) -> None:
    body = '{"error": {"message": "upstream said no", "type": "upstream_error", "code": "bad_response"}}'
    sandbox, client = bench.start(faults=[Fault(CHAT, status=200, body=body)])
    with pytest.raises(ServerError, match="upstream said no") as caught:
        await client.chat.completions.create(model="grok-4.3", messages=MESSAGES)
    assert (caught.value.status_code, caught.value.code) == (200, "bad_response")
    # After a good status nobody knows that it was not accepted.
    assert (caught.value.maybe_accepted, caught.value.retryable) == (True, False)
    assert sandbox.ledger.count(CHAT) == len(caught.value.attempts) == 1


@pytest.mark.parametrize("body", ["html", "truncated", "text", "empty", "[]", '{"choices": 5}', "null", '{"id": "x"}'])
async def test_an_answer_that_is_no_completion_is_a_decode_error_and_may_have_been_billed(
    bench: Bench, body: str
) -> None:
    sandbox, client = bench.start(faults=[Fault(CHAT, status=200, body=body)])
    with pytest.raises(ResponseDecodeError) as caught:
        await client.chat.completions.create(model="grok-4.3", messages=MESSAGES)
    assert caught.value.maybe_accepted
    assert sandbox.ledger.count(CHAT) == 1


async def test_an_optional_field_of_the_wrong_type_does_not_lose_the_answer(bench: Bench) -> None:
    body = {"id": 5, "choices": [{"message": {"content": "Hi", "role": ["x"]}, "finish_reason": "stop"}], "usage": "?"}
    _, client = bench.start(faults=[Fault(CHAT, status=200, body=json.dumps(body))])
    chat = await client.chat.completions.create(model="grok-4.3", messages=MESSAGES)
    assert chat.choices[0].message.content == "Hi"
    assert (chat.id, chat.usage) == (None, None)
