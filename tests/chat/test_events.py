"""`chat.completions.stream`: events in openai's style."""

from __future__ import annotations

from typing import Any, assert_type

import pytest

from relaydance_async import (
    AsyncRelayDance,
    ChatEventStream,
    ContentDeltaEvent,
    ContentDoneEvent,
    FunctionToolCallArgumentsDeltaEvent,
    FunctionToolCallArgumentsDoneEvent,
    IncompleteStreamError,
    InvalidInputError,
    LengthFinishReasonError,
    ParsedChatCompletion,
    ParseError,
    ReasoningDeltaEvent,
    RefusalDeltaEvent,
    RefusalDoneEvent,
    StreamError,
)
from relaydance_async.sandbox import Fault, Sandbox
from tests.chat.support import BONN, HELLO, MODEL, City, bodies
from tests.kit.probe import look_at
from tests.kit.transports import Tap

pytestmark = pytest.mark.anyio


async def events_of(stream: ChatEventStream[Any]) -> list[Any]:
    async with stream:
        return [event async for event in stream if event.type != "chunk"]


async def test_text_comes_in_deltas_with_snapshots(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    sandbox.chat.reply("Hello there", pieces=["Hel", "lo ", "there"])
    found = await events_of(client.chat.completions.stream(model=MODEL, messages=HELLO))
    deltas = [event for event in found if isinstance(event, ContentDeltaEvent)]
    # Asked for at the end, each snapshot is still that of its moment.
    assert [(event.delta, event.snapshot) for event in deltas] == [
        ("Hel", "Hel"),
        ("lo ", "Hello "),
        ("there", "Hello there"),
    ]
    assert [event.parsed for event in deltas] == [None, None, None]
    assert found[3:] == [ContentDoneEvent("Hello there", None, 0)]


async def test_each_chunk_is_an_event_with_what_came(client: AsyncRelayDance) -> None:
    async with client.chat.completions.stream(model=MODEL, messages=HELLO) as stream:
        chunks = [event async for event in stream if event.type == "chunk"]
        assert chunks[-1].chunk.usage is not None
        assert chunks[-1].snapshot == stream.current_completion_snapshot
        completion = await stream.get_final_completion()
        assert_type(completion, ParsedChatCompletion[Any])
        assert stream.text == completion.choices[0].message.content == "You said: one two three"
        assert completion.usage is not None


async def test_a_format_has_partial_objects_and_a_value(client: AsyncRelayDance, sandbox: Sandbox, heard: Tap) -> None:
    sandbox.chat.reply(BONN, pieces=['{"name": "Bo', 'nn", "people"', ": 330000}"])
    stream = client.chat.completions.stream(model=MODEL, messages=HELLO, response_format=City)
    assert_type(stream, ChatEventStream[City])
    found = await events_of(stream)
    assert [event.parsed for event in found[:3]] == [
        {"name": "Bo"},
        {"name": "Bonn"},
        {"name": "Bonn", "people": 330000},
    ]
    assert found[3:] == [ContentDoneEvent(BONN, City(name="Bonn", people=330000), 0)]
    assert bodies(heard)[0]["response_format"]["json_schema"]["name"] == "City"


async def test_a_wrapped_value_is_partial_too(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    sandbox.chat.reply('{"response": [1, 2, 3]}', pieces=['{"resp', 'onse": [1, 2', ", 3]}"])
    found = await events_of(client.chat.completions.stream(model=MODEL, messages=HELLO, response_format=list[int]))
    assert [event.parsed for event in found] == [None, [1, 2], [1, 2, 3], [1, 2, 3]]


async def test_arguments_of_several_tools(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    sandbox.chat.reply(
        tool_calls=[{"name": "add", "arguments": {"a": 1}}, {"name": "zip", "arguments": "no JSON"}], pieces=4
    )
    found = await events_of(client.chat.completions.stream(model=MODEL, messages=HELLO))
    deltas = [event for event in found if isinstance(event, FunctionToolCallArgumentsDeltaEvent)]
    assert [(event.name, event.index, event.arguments) for event in deltas] == [
        ("add", 0, '{"a"'),
        ("add", 0, '{"a": 1}'),
        ("zip", 1, "no J"),
        ("zip", 1, "no JSON"),
    ]
    assert deltas[1].arguments_delta == ": 1}"
    assert deltas[1].parsed_arguments == {"a": 1}
    done = [event for event in found if isinstance(event, FunctionToolCallArgumentsDoneEvent)]
    assert [(event.name, event.parsed_arguments) for event in done] == [("add", {"a": 1}), ("zip", None)]


async def test_a_refusal_and_reasoning(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    sandbox.chat.reply(refusal="I won't", reasoning="Hm hm")
    found = await events_of(client.chat.completions.stream(model=MODEL, messages=HELLO, response_format=City))
    kinds = [ReasoningDeltaEvent] * 2 + [RefusalDeltaEvent] * 2 + [RefusalDoneEvent]
    assert [type(event).__name__ for event in found] == [kind.__name__ for kind in kinds]
    assert [found[1].snapshot, found[3].snapshot, found[4].refusal] == ["Hm hm", "I won't", "I won't"]


async def test_several_choices_are_told_apart(client: AsyncRelayDance) -> None:
    found = await events_of(client.chat.completions.stream(model=MODEL, messages=HELLO, n=2))
    done = [event for event in found if event.type == "content.done"]
    assert [(event.choice, event.content) for event in done] == [(n, "You said: one two three") for n in (0, 1)]


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize(
    ("text", "finish_reason", "error"),
    [("{", "length", LengthFinishReasonError), ("no JSON", "stop", ParseError)],
)
async def test_what_does_not_fit_is_an_error_at_the_end(
    client: AsyncRelayDance,
    sandbox: Sandbox,
    text: str,
    finish_reason: str,
    error: type[ParseError],
    streamed: bool,
) -> None:
    sandbox.chat.reply(text, finish_reason=finish_reason, stream=streamed)
    async with client.chat.completions.stream(model=MODEL, messages=HELLO, response_format=City) as stream:
        with pytest.raises(error) as caught:
            await stream.until_done()
        assert caught.value.completion is not None
        assert caught.value.completion.usage is not None
        with pytest.raises(error):
            await stream.get_final_completion()


async def test_a_cut_stream_keeps_what_came(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    sandbox.chat.reply("Hello there", finish_reason="")
    with pytest.raises(IncompleteStreamError) as caught:
        await events_of(client.chat.completions.stream(model=MODEL, messages=HELLO))
    assert caught.value.text == "Hello there"


async def test_an_error_amid_the_events(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault("POST /v1/chat/completions", stream_error_after=3))
    async with client.chat.completions.stream(model=MODEL, messages=HELLO) as stream:
        with pytest.raises(StreamError) as caught:
            async for _ in stream:
                pass
    assert caught.value.completion is not None


async def test_leaving_early_gives_the_connection_back(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    async with client.chat.completions.stream(model=MODEL, messages=HELLO) as stream:
        async for event in stream:
            if event.type == "content.delta":
                break
        assert look_at(client).streams == 1
    assert look_at(client).permits == look_at(client).streams == 0


async def test_it_is_entered_once_and_first(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    stream = client.chat.completions.stream(model=MODEL, messages=HELLO)
    with pytest.raises(InvalidInputError, match="async with"):
        await stream.get_final_completion()
    assert sandbox.ledger.entries == []
    async with stream:
        pass
    with pytest.raises(InvalidInputError, match="once"):
        await stream.__aenter__()
