"""`tool`, and `chat.run_tools`."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import logging
import threading
from collections.abc import AsyncGenerator
from typing import Annotated, Any, Literal, assert_type

import anyio
import pytest
from pydantic import BaseModel, Field

from relaydance_async import (
    APITimeoutError,
    AsyncRelayDance,
    InvalidInputError,
    RateLimitError,
    SqliteJournal,
    ToolCompleted,
    ToolRun,
    ToolRunError,
    maybe_accepted,
    tool,
)
from relaydance_async.sandbox import Fault, Sandbox
from tests.chat.support import BONN, HELLO, MODEL, City, bodies
from tests.kit.routes import CHAT
from tests.kit.transports import Tap
from tests.kit.waiting import wait_until

pytestmark = pytest.mark.anyio


@tool
async def weather(city: str, days: Annotated[int, Field(ge=1)] = 3) -> dict[str, Any]:
    """Tell the weather.

    Args:
        city: where,
            in English.
        days (int): how many.
    """
    return {"city": city, "days": days}


def add(first: int, second: int) -> int:
    """Add two numbers.

    :param first: one
    :param int second: another
    """
    return first + second


def call(name: str, **arguments: Any) -> dict[str, Any]:
    return {"name": name, "arguments": arguments}


def test_a_tool_is_described_by_its_signature_and_its_docstring() -> None:
    assert weather.to_param() == {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "Tell the weather.",
            "strict": True,
            "parameters": {
                "type": "object",
                "properties": {
                    "city": {"type": "string", "description": "where, in English."},
                    "days": {"type": "integer", "minimum": 1, "description": "how many."},
                },
                "required": ["city", "days"],
                "additionalProperties": False,
            },
        },
    }


async def test_it_is_still_the_function(client: AsyncRelayDance) -> None:
    assert await weather("Bonn") == {"city": "Bonn", "days": 3}
    assert_type(tool(add)(1, 2), int)
    assert (inspect.getdoc(weather) or "").startswith("Tell the weather.")


class Where(BaseModel):
    city: str


def nested(where: Where, unit: Literal["C", "F"], json: int | None) -> str:
    """Names that are also methods of pydantic's are good names."""
    return f"{where.city} {unit} {json}"


class Methods:
    def method(self, n: int) -> int:
        """A method."""
        return n

    async def __call__(self, n: int) -> int:
        return n + 1


@pytest.mark.parametrize(
    ("function", "arguments", "result"),
    [
        (nested, '{"where": {"city": "Bonn"}, "unit": "C", "json": null}', "Bonn C None"),
        (Methods().method, '{"n": 1}', "1"),
        (tool(Methods(), name="object"), '{"n": 1}', "2"),
        (tool(functools.partial(add, second=2), name="add2"), '{"first": 1, "second": 2}', "3"),
        (tool(lambda: None, name="nothing"), "", "null"),
        (tool(add, strict=False), '{"first": "1", "second": 2}', "3"),
    ],
)
async def test_all_kinds_of_functions(function: Any, arguments: str, result: str) -> None:
    made = function if hasattr(function, "run") else tool(function)
    assert await made.run(arguments) == result


async def test_defaults_hold_without_strict_rules() -> None:
    @tool(strict=False, name="loose", description="Told.")
    def loose(n: int = 3, more: dict[str, int] | None = None) -> int:
        return n + sum((more or {}).values())

    assert loose.to_param()["function"]["description"] == "Told."
    assert "required" not in loose.parameters
    assert await loose.run("{}") == "3"
    assert await loose.run('{"more": {"a": 1}}') == "4"


def untyped(n) -> None:  # type: ignore[no-untyped-def]  # pyright: ignore[reportMissingParameterType, reportUnknownParameterType]
    ...


def many(*numbers: int) -> None: ...


def anything(n: Any) -> None: ...


def unknown(n: object) -> None: ...


def missing(n: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821  # pyright: ignore[reportUndefinedVariable, reportUnknownParameterType]


async def stream(n: int) -> AsyncGenerator[int]:
    yield n


class Streams:
    async def __call__(self, n: int) -> AsyncGenerator[int]:
        yield n


NO_TOOLS: list[tuple[Any, str]] = [
    (untyped, "'n' has no type"),
    (many, "no name that a model could give"),
    (anything, "may be anything"),
    (unknown, "may be anything"),
    (missing, "can't be read"),
    (stream, "an async generator"),
    (Streams(), "an async generator"),
    (City, "made of a function"),
    (3, "made of a function"),
    (lambda: 1, "can't be called"),
]


@pytest.mark.parametrize(("function", "why"), NO_TOOLS)
def test_what_can_be_no_tool(function: Any, why: str) -> None:
    with pytest.raises(InvalidInputError, match=why):
        tool(function)


async def test_it_runs_until_there_is_an_answer(client: AsyncRelayDance, sandbox: Sandbox, heard: Tap) -> None:
    sandbox.chat.reply(tool_calls=[call("weather", city="Bonn", days=2), call("add", first=1, second=2)])
    sandbox.chat.reply("Rain.")
    events: list[Any] = []
    run = await client.chat.run_tools(model=MODEL, messages=HELLO, tools=[weather, add], on_event=events.append)
    assert_type(run, ToolRun[None])
    assert run.text == "Rain."
    assert run.usage.total_tokens == sum((one.usage and one.usage.total_tokens) or 0 for one in run.completions) > 0
    second = bodies(heard)[1]["messages"]
    assert second[0] == HELLO[0]
    assert [message["content"] for message in second[2:]] == ['{"city":"Bonn","days":2}', "3"]
    assert [message["tool_call_id"] for message in second[2:]] == [each["id"] for each in second[1]["tool_calls"]]
    assert list(run.messages) == [*second, {"role": "assistant", "content": "Rain."}]
    kinds = [event.type for event in events]
    assert kinds[:2] == ["turn.started", "turn.completed"]
    assert sorted(kinds[2:6]) == ["tool.completed"] * 2 + ["tool.started"] * 2
    assert kinds[6:] == ["turn.started", "turn.completed"]


async def test_a_format_and_streams(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    sandbox.chat.reply(tool_calls=[call("add", first=1, second=2)])
    sandbox.chat.reply(BONN)
    kinds: list[str] = []

    async def note(event: Any) -> None:
        kinds.append(event.type)

    run = await client.chat.run_tools(
        model=MODEL, messages=HELLO, tools=[add], response_format=City, stream=True, on_event=note
    )
    assert_type(run, ToolRun[City])
    assert run.parsed == City(name="Bonn", people=330000)
    assert {"content.delta", "tool_calls.function.arguments.done", "tool.completed"} <= set(kinds)


def failing(n: int) -> int:
    raise ValueError(f"no {n}")


@pytest.mark.parametrize(
    ("called", "told"),
    [
        (call("failing", n=1), "Error: ValueError: no 1"),
        (call("failing", n="x"), "Error: n: Input should be a valid integer"),
        (call("failing", n=1, m=2), "Error: m: Extra inputs are not permitted"),
        ({"name": "failing", "arguments": '{"n": '}, "Error: the answer: Invalid JSON"),
        (call("nothing"), "Error: there is no tool 'nothing'; there are failing"),
        ({"name": None}, "Error: there is no tool ''"),
    ],
)
async def test_the_model_is_told_what_went_wrong(
    client: AsyncRelayDance, sandbox: Sandbox, called: dict[str, Any], told: str
) -> None:
    sandbox.chat.reply(tool_calls=[called])
    events: list[Any] = []
    run = await client.chat.run_tools(model=MODEL, messages=HELLO, tools=[failing], on_event=events.append)
    assert run.messages[2]["content"].startswith(told)
    (completed,) = [event for event in events if isinstance(event, ToolCompleted)]
    assert completed.error is not None


async def test_what_may_be_paid_for_is_not_ordered_again(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    async def film(prompt: str) -> str:
        raise APITimeoutError("no answer", maybe_accepted=True)

    sandbox.chat.reply(tool_calls=[call("film", prompt="a cat"), call("add", first=1, second=2)])
    with pytest.raises(APITimeoutError) as caught:
        await client.chat.run_tools(model=MODEL, messages=HELLO, tools=[film, add])
    assert [message["role"] for message in caught.value.history] == ["user", "assistant", "tool", "tool"]
    assert sandbox.ledger.billed(CHAT) == 1


async def test_turns_are_bounded_and_the_run_goes_on_from_its_history(
    client: AsyncRelayDance, sandbox: Sandbox
) -> None:
    done: list[int] = []

    async def count(n: int) -> int:
        done.append(n)
        return n

    for n in range(3):
        sandbox.chat.reply(tool_calls=[call("count", n=n)])
    with pytest.raises(ToolRunError, match="turn 2, the last that max_turns allows") as caught:
        await client.chat.run_tools(model=MODEL, messages=HELLO, tools=[count], max_turns=2)
    assert done == [0]
    assert sandbox.ledger.billed(CHAT) == 2
    run = await client.chat.run_tools(model=MODEL, messages=caught.value.history, tools=[count])
    assert done == [0, 1, 2]
    assert len(run.completions) == 2
    assert [message["role"] for message in run.messages] == ["user", *["assistant", "tool"] * 3, "assistant"]


async def test_an_error_of_a_later_turn_has_what_was_paid_for(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    sandbox.chat.reply(tool_calls=[call("add", first=1, second=2)])
    sandbox.faults.add(Fault("POST /v1/chat/completions", status=429, at=(2, 3, 4, 5)))
    with pytest.raises(RateLimitError) as caught:
        await client.chat.run_tools(model=MODEL, messages=HELLO, tools=[add])
    assert caught.value.history[-1] == {"role": "tool", "tool_call_id": "call_sandbox_1", "content": "3"}


async def test_a_cancellation_ends_the_tools_and_keeps_the_history(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def wait(n: int) -> None:
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    sandbox.chat.reply(tool_calls=[call("wait", n=1)])

    async def run() -> tuple[Any, ...]:
        try:
            await client.chat.run_tools(model=MODEL, messages=HELLO, tools=[wait])
        except asyncio.CancelledError as error:
            return tuple(getattr(error, "history", ()))
        return ()

    task = asyncio.create_task(run())
    await begun.wait()
    task.cancel()
    assert [message["role"] for message in await task] == ["user", "assistant"]
    assert ended.is_set()


async def test_a_tool_whose_own_work_is_cancelled_has_a_result(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    async def look(n: int) -> str:
        other = asyncio.create_task(asyncio.sleep(60))
        other.cancel()
        await other
        return "never"

    sandbox.chat.reply(tool_calls=[call("look", n=1), call("add", first=1, second=2)])
    run = await client.chat.run_tools(model=MODEL, messages=HELLO, tools=[look, add])
    told = [message["content"] for message in run.messages if message["role"] == "tool"]
    assert told == ["Error: RuntimeError: the tool was cancelled", "3"]
    assert sandbox.ledger.billed(CHAT) == 2


async def test_a_tool_that_was_cancelled_amid_something_paid_ends_the_run(
    client: AsyncRelayDance, sandbox: Sandbox
) -> None:
    async def paint(prompt: str) -> str:
        order = asyncio.create_task(client.images.generate(model="grok-imagine-image", prompt=prompt))
        await wait_until(lambda: sandbox.ledger.count("POST /v1/images/generations") > 0)
        order.cancel()
        return str(await order)

    sandbox.faults.add(Fault("POST /v1/images/generations", stall=True, after_accept=True))
    sandbox.chat.reply(tool_calls=[call("paint", prompt="a cat")])
    with pytest.raises(RuntimeError, match="the tool was cancelled") as caught:
        await client.chat.run_tools(model=MODEL, messages=HELLO, tools=[paint])
    assert maybe_accepted(caught.value)
    assert sandbox.ledger.billed(CHAT) == sandbox.ledger.billed("POST /v1/images/generations") == 1


async def test_odd_results_and_errors_do_not_cost_the_turns_before(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise ValueError

    async def name(n: int) -> str:
        return "a\ud800b"

    async def fail(n: int) -> str:
        raise Mute

    sandbox.chat.reply(tool_calls=[call("name", n=1), call("fail", n=1)])
    run = await client.chat.run_tools(model=MODEL, messages=HELLO, tools=[name, fail])
    told = [message["content"] for message in run.messages if message["role"] == "tool"]
    assert told == ["a?b", "Error: Mute: it can't be shown"]


@pytest.mark.filterwarnings("error")
def test_a_default_that_is_no_json_is_left_out_without_a_warning() -> None:
    nothing: Any = object()

    def look(n: int = nothing) -> bool:
        return n is nothing

    for strict in (True, False):
        assert tool(look, strict=strict).parameters["properties"] == {"n": {"type": "integer"}}


class Stop(BaseException):
    pass


async def test_what_ends_more_than_a_tool_ends_the_run_as_it_is(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    def plain(n: int) -> None:
        raise Stop

    async def waits(n: int) -> None:
        await anyio.sleep_forever()

    async def stops(n: int) -> None:
        raise Stop

    for function in (plain, stops):
        sandbox.chat.reply(tool_calls=[call("waits", n=1), call(function.__name__, n=1)])
        with pytest.raises(Stop) as caught:
            await client.chat.run_tools(model=MODEL, messages=HELLO, tools=[function, waits])
        assert len(getattr(caught.value, "history", ())) == 2


async def test_tools_run_at_once_but_not_too_many(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    now, most = 0, 0

    async def work(n: int) -> int:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.01)
        now -= 1
        return n

    sandbox.chat.reply(tool_calls=[call("work", n=n) for n in range(6)])
    run = await client.chat.run_tools(model=MODEL, messages=HELLO, tools=[work], max_parallel=3)
    assert most == 3
    assert [message["content"] for message in run.messages[2:-1]] == ["0", "1", "2", "3", "4", "5"]


CITY: contextvars.ContextVar[str] = contextvars.ContextVar("CITY")


async def test_a_plain_function_runs_in_a_thread_with_the_context(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    def where() -> str:
        return f"{CITY.get()} {threading.current_thread() is threading.main_thread()}"

    CITY.set("Bonn")
    sandbox.chat.reply(tool_calls=[call("where")])
    run = await client.chat.run_tools(model=MODEL, messages=HELLO, tools=[where])
    assert run.messages[2]["content"] == "Bonn False"


async def test_calls_without_ids_get_some(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    function = {"name": "add", "arguments": '{"first": 1, "second": 2}'}
    message = {"content": None, "tool_calls": [{"function": function}, {"id": "", "function": function}]}
    sandbox.chat.reply(raw={"choices": [{"message": message, "finish_reason": "tool_calls"}]})
    run = await client.chat.run_tools(model=MODEL, messages=HELLO, tools=[add])
    assert [message["tool_call_id"] for message in run.messages[2:4]] == ["call_1_0", "call_1_1"]
    assert [each["type"] for each in run.messages[1]["tool_calls"]] == ["function", "function"]


async def test_an_answer_without_a_choice(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    sandbox.chat.reply(raw={"choices": []})
    with pytest.raises(ToolRunError, match="no choice"):
        await client.chat.run_tools(model=MODEL, messages=HELLO, tools=[add])


async def test_what_the_hook_raises_is_logged(
    client: AsyncRelayDance, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    def hook(event: object) -> None:
        raise RuntimeError("mine")

    with caplog.at_level(logging.ERROR):
        assert (await client.chat.run_tools(model=MODEL, messages=HELLO, tools=[add], on_event=hook)).text
    assert "on_event raised" in caplog.text


async def test_each_turn_has_an_idempotency_key_of_its_own(sandbox: Sandbox, tmp_path: Any) -> None:
    async with (
        SqliteJournal(tmp_path / "run.db") as journal,
        AsyncRelayDance(sandbox.api_key, base_url=sandbox.base_url, journal=journal) as client,
    ):
        sandbox.chat.reply(tool_calls=[call("add", first=1, second=2)])
        runs = [
            await client.chat.run_tools(model=MODEL, messages=HELLO, tools=[add], idempotency_key="sum")
            for _ in range(2)
        ]
    assert runs[0].messages == runs[1].messages
    assert sandbox.ledger.billed(CHAT) == 2


@pytest.mark.parametrize(
    "options",
    [
        {"tools": []},
        {"tools": [add, add]},
        {"tools": [add], "max_turns": 0},
        {"tools": [add], "n": 2},
        {"tools": [add], "max_parallel": True},
    ],
)
async def test_bad_input_is_an_error_before_anything_is_sent(
    client: AsyncRelayDance, sandbox: Sandbox, options: Any
) -> None:
    with pytest.raises(InvalidInputError):
        await client.chat.run_tools(model=MODEL, messages=HELLO, **options)
    assert sandbox.ledger.entries == []


async def test_a_tool_goes_into_create_as_well(client: AsyncRelayDance, heard: Tap) -> None:
    await client.chat.completions.create(model=MODEL, messages=HELLO, tools=[weather])
    assert bodies(heard)[0]["tools"] == [weather.to_param()]
