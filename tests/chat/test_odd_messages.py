"""What is no list of messages is an error of ours, before anything is sent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from relaydance_async import AsyncRelayDance, ChatMessage, InvalidInputError
from relaydance_async.sandbox import Sandbox
from tests.chat.support import BONN, HELLO, MODEL, City
from tests.kit.calls import client_of

pytestmark = pytest.mark.anyio

Ask = Callable[[AsyncRelayDance, Any], Awaitable[Any]]


async def messages_later() -> AsyncIterator[Any]:
    yield HELLO[0]


def now() -> str:
    """The time."""
    return "noon"


class Endless:
    """Holds itself."""

    def __init__(self) -> None:
        self.role = self


CYCLE: dict[str, Any] = {"role": "user"}
CYCLE["content"] = [CYCLE]

ODD: dict[str, Any] = {
    "None": None,
    "a number": 5,
    "a text": "hi",
    "bytes": b"hi",
    "a view": memoryview(b"hi"),
    "a dict": HELLO[0],
    "a model": ChatMessage(role="user", content="hi"),
    "a class": dict,
    "an object": SimpleNamespace(role="user"),
    "an asynchronous generator": messages_later(),
    "nothing": [],
    "an empty generator": iter(()),
    "texts": ["hi"],
    "pairs": [("role", "user")],
    "a list in it": [HELLO],
    "None in it": [HELLO[0], None],
    "no role": [{"content": "hi"}],
    "no role at the end": [HELLO[0], {}],
    "a role that is None": [{"role": None, "content": "hi"}],
    "a role that is a number": [{"role": 5, "content": "hi"}],
    "an empty role": [{"role": "", "content": "hi"}],
    "an object as content": [{"role": "user", "content": Endless()}],
    "a cycle": [CYCLE],
    "NaN": [{"role": "user", "content": float("nan")}],
    "half of a pair": [{"role": "user", "content": "\ud800"}],
    "bytes that are no text": [{"role": "user", "content": b"\xff"}],
}
ODD_CALLS: dict[str, Any] = {
    "a number": 5,
    "a text": "now",
    "a dict": {"id": "a"},
    "texts": ["now"],
    "no id": [{"function": {"name": "now", "arguments": "{}"}}],
    "an id that is a number": [{"id": 5, "function": {"name": "now", "arguments": "{}"}}],
    "no function": [{"id": "a"}],
    "a function that is a text": [{"id": "a", "function": "now"}],
}


async def create(client: AsyncRelayDance, messages: Any) -> Any:
    return await client.chat.completions.create(model=MODEL, messages=messages)


async def parse(client: AsyncRelayDance, messages: Any) -> Any:
    return await client.chat.completions.parse(model=MODEL, messages=messages, response_format=City)


async def stream(client: AsyncRelayDance, messages: Any) -> Any:
    async with client.chat.completions.stream(model=MODEL, messages=messages) as events:
        return await events.get_final_completion()


async def run_tools(client: AsyncRelayDance, messages: Any) -> Any:
    return await client.chat.run_tools(model=MODEL, messages=messages, tools=[now])


async def run_streamed(client: AsyncRelayDance, messages: Any) -> Any:
    return await client.chat.run_tools(model=MODEL, messages=messages, tools=[now], stream=True)


WAYS: list[Ask] = [create, parse, stream, run_tools, run_streamed]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


@pytest.mark.parametrize("ask", WAYS)
async def test_it_is_refused_before_anything_is_sent(sandbox: Sandbox, ask: Ask) -> None:
    async with client_of(sandbox) as client:
        for messages in ODD.values():
            with pytest.raises(InvalidInputError, match=r"messages|argument") as caught:
                await ask(client, messages)
            assert "\n" not in str(caught.value)
    assert sandbox.ledger.count() == 0


@pytest.mark.parametrize("calls", ODD_CALLS.values(), ids=ODD_CALLS)
async def test_calls_that_a_run_is_to_make_first_are_looked_at_before(sandbox: Sandbox, calls: Any) -> None:
    async with client_of(sandbox) as client:
        for ask in run_tools, run_streamed:
            with pytest.raises(InvalidInputError, match="tool_calls of the last message"):
                await ask(client, [*HELLO, {"role": "assistant", "tool_calls": calls}])
    assert sandbox.ledger.count() == 0


@pytest.mark.parametrize("tools", [None, 5, "now", now, {"now": now}, [], [5], ["now"]])
async def test_what_is_no_list_of_tools_is_refused_as_well(sandbox: Sandbox, tools: Any) -> None:
    async with client_of(sandbox) as client:
        with pytest.raises(InvalidInputError):
            await client.chat.run_tools(model=MODEL, messages=HELLO, tools=tools)
    assert sandbox.ledger.count() == 0


@pytest.mark.parametrize("ask", WAYS)
@pytest.mark.parametrize("way", ["tuple", "iterator", "generator"])
async def test_what_can_be_gone_through_is_a_list(ask: Ask, way: str) -> None:
    messages = [ChatMessage(role="system", content="a"), *HELLO]
    given: dict[str, Any] = {
        "tuple": tuple(messages),
        "iterator": iter(messages),
        "generator": (message for message in messages),
    }
    with Sandbox() as sandbox:
        sandbox.chat.reply(BONN)
        async with client_of(sandbox) as client:
            await ask(client, given[way])
        assert sandbox.ledger.count() == 1


async def test_what_a_generator_raises_is_the_callers_and_nothing_is_sent(sandbox: Sandbox) -> None:
    def broken() -> Iterator[Any]:
        yield HELLO[0]
        raise ZeroDivisionError

    async with client_of(sandbox) as client:
        for ask in WAYS:
            with pytest.raises(ZeroDivisionError):
                await ask(client, broken())
    assert sandbox.ledger.count() == 0


async def test_a_run_takes_calls_that_are_models(sandbox: Sandbox) -> None:
    with Sandbox() as own:
        own.chat.reply(tool_calls=[{"name": "now", "arguments": {}}])
        own.chat.reply("It is noon.")
        async with client_of(own) as client:
            asked = await client.chat.completions.create(model=MODEL, messages=HELLO)
            calls = asked.choices[0].message.tool_calls
            history = [*HELLO, {"role": "assistant", "content": None, "tool_calls": calls}]
            run = await client.chat.run_tools(model=MODEL, messages=history, tools=[now])
    assert run.messages[-2]["content"] == "noon"
