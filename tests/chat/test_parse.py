"""`chat.completions.parse`: a type goes out as a JSON schema, and its value comes back."""

from __future__ import annotations

import pickle
import sys
from dataclasses import dataclass
from typing import Annotated, Any, assert_type

import pytest
from pydantic import BaseModel, Field, TypeAdapter, field_validator

from relaydance_async import (
    AsyncRelayDance,
    ContentFilterFinishReasonError,
    InvalidInputError,
    LengthFinishReasonError,
    ParsedChatCompletion,
    ParseError,
    RateLimitError,
    SqliteJournal,
    maybe_accepted,
)
from relaydance_async.sandbox import Fault, Sandbox
from tests.chat.support import BONN, HELLO, MODEL, City, bodies
from tests.kit.routes import CHAT
from tests.kit.transports import Tap

if sys.version_info >= (3, 12):
    from typing import TypedDict
else:
    from typing_extensions import TypedDict

pytestmark = pytest.mark.anyio


class Route(TypedDict):
    start: str
    stops: list[str]


@dataclass
class Point:
    x: int


SMALL = Annotated[int, Field(ge=1, le=9)]


async def test_the_value_is_typed_and_beside_its_text(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    sandbox.chat.reply(BONN)
    completion = await client.chat.completions.parse(model=MODEL, messages=HELLO, response_format=City)
    assert_type(completion, ParsedChatCompletion[City])
    message = completion.choices[0].message
    assert_type(message.parsed, City | None)
    assert message.parsed == City(name="Bonn", people=330000)
    assert message.content == BONN
    assert completion.usage is not None


async def test_what_is_sent_follows_the_strict_rules(client: AsyncRelayDance, heard: Tap) -> None:
    await client.chat.completions.parse(model=MODEL, messages=HELLO, response_format=City)
    (body,) = bodies(heard)
    assert body["response_format"] == {
        "type": "json_schema",
        "json_schema": {
            "name": "City",
            "strict": True,
            "schema": {
                "title": "City",
                "description": "A place.",
                "type": "object",
                "properties": {
                    "name": {"title": "Name", "type": "string"},
                    "people": {"title": "People", "type": "integer"},
                },
                "required": ["name", "people"],
                "additionalProperties": False,
            },
        },
    }


@pytest.mark.parametrize(
    ("wanted", "text", "value"),
    [
        (Route, '{"start": "Bonn", "stops": []}', {"start": "Bonn", "stops": []}),
        (Point, '{"x": 1}', Point(1)),
        (list[City], '{"response": [{"name": "Bonn", "people": 1}]}', [City(name="Bonn", people=1)]),
        (SMALL, '{"response": 7}', 7),
        (City | Point, '{"response": {"x": 2}}', Point(2)),
        (TypeAdapter(list[int]), '{"response": [1]}', [1]),
        (City, f"```json\n{BONN}\n```", City(name="Bonn", people=330000)),
    ],
)
async def test_all_kinds_of_types(
    client: AsyncRelayDance, sandbox: Sandbox, wanted: Any, text: str, value: object
) -> None:
    sandbox.chat.reply(text)
    completion = await client.chat.completions.parse(model=MODEL, messages=HELLO, response_format=wanted)
    assert completion.choices[0].message.parsed == value


async def test_the_schema_of_a_type_is_made_once(
    client: AsyncRelayDance, sandbox: Sandbox, heard: Tap, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ask(strict: bool) -> None:
        sandbox.chat.reply('{"response": [{"name": "Bonn", "people": 330000}]}')
        await client.chat.completions.parse(model=MODEL, messages=HELLO, response_format=list[City], strict=strict)

    await ask(True)
    await ask(False)
    monkeypatch.setattr("relaydance_async._sansio.response_format.ResponseFormat.__init__", None)  # who calls it fails
    await ask(True)
    await ask(False)
    schemas = [body["response_format"] for body in bodies(heard)]
    assert schemas[0] == schemas[2] != schemas[1] == schemas[3]


async def test_a_type_that_has_no_hash_is_taken_too(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    wanted = Annotated[int, {"a note": "of somebody"}]
    for number in (1, 2):
        sandbox.chat.reply(f'{{"response": {number}}}')
        completion = await client.chat.completions.parse(model=MODEL, messages=HELLO, response_format=wanted)
        assert completion.choices[0].message.parsed == number


async def test_a_refusal_is_told_and_no_error(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    sandbox.chat.reply(refusal="I won't.", finish_reason="content_filter")
    completion = await client.chat.completions.parse(model=MODEL, messages=HELLO, response_format=City)
    assert completion.choices[0].message.parsed is None
    assert completion.choices[0].message.refusal == "I won't."


@pytest.mark.parametrize(
    ("text", "finish_reason", "error"),
    [
        ('{"name": "Bo', "length", LengthFinishReasonError),
        ('{"name": "Bo', "content_filter", ContentFilterFinishReasonError),
        ('{"name": "Bo', "stop", ParseError),
        ("", "stop", ParseError),
        ('{"name": "Bonn", "people": "many"}', "stop", ParseError),
    ],
)
async def test_what_was_paid_for_is_kept(
    client: AsyncRelayDance, sandbox: Sandbox, text: str, finish_reason: str, error: type[ParseError]
) -> None:
    sandbox.chat.reply(text, finish_reason=finish_reason)
    with pytest.raises(ParseError) as caught:
        await client.chat.completions.parse(model=MODEL, messages=HELLO, response_format=City)
    assert type(caught.value) is error
    assert caught.value.text == text
    assert caught.value.completion is not None
    assert caught.value.completion.usage is not None
    assert caught.value.completions == (caught.value.completion,)
    assert maybe_accepted(caught.value)
    assert not caught.value.retryable
    assert pickle.loads(pickle.dumps(caught.value)) == caught.value
    assert sandbox.ledger.billed(CHAT) == 1


class Faulty(BaseModel):
    name: str

    @field_validator("name")
    @classmethod
    def check(cls, name: str) -> str:
        raise KeyError(name)


class FaultyAfter(BaseModel):
    name: str

    def model_post_init(self, context: Any, /) -> None:
        raise TypeError("no")


@dataclass
class FaultyPoint:
    name: str

    def __post_init__(self) -> None:
        raise ZeroDivisionError


@pytest.mark.parametrize("wanted", [Faulty, FaultyAfter, FaultyPoint, list[Faulty]])
async def test_a_fault_of_the_type_does_not_cost_the_answer(
    client: AsyncRelayDance, sandbox: Sandbox, wanted: Any
) -> None:
    text = '{"response": [{"name": "Bonn"}]}' if wanted == list[Faulty] else '{"name": "Bonn"}'
    for _ in range(2):
        sandbox.chat.reply(text)
    with pytest.raises(ParseError, match="the type raised") as caught:
        await client.chat.completions.parse(model=MODEL, messages=HELLO, response_format=wanted, validate_retries=3)
    assert (caught.value.text, len(caught.value.completions)) == (text, 1)  # asked again, it would be met again
    assert isinstance(caught.value.__cause__, KeyError | TypeError | ZeroDivisionError)
    assert maybe_accepted(caught.value)
    with pytest.raises(ParseError, match="the type raised"):
        async with client.chat.completions.stream(model=MODEL, messages=HELLO, response_format=wanted) as stream:
            await stream.get_final_completion()
    assert sandbox.ledger.billed(CHAT) == 2


async def test_it_asks_again_and_says_what_is_wrong(client: AsyncRelayDance, sandbox: Sandbox, heard: Tap) -> None:
    sandbox.chat.reply('{"name": "Bonn", "people": "many"}')
    sandbox.chat.reply(BONN)
    completion = await client.chat.completions.parse(
        model=MODEL, messages=HELLO, response_format=City, validate_retries=2
    )
    assert completion.choices[0].message.parsed == City(name="Bonn", people=330000)
    assert sandbox.ledger.billed(CHAT) == 2
    again = bodies(heard)[1]["messages"]
    assert again[:2] == [*HELLO, {"role": "assistant", "content": '{"name": "Bonn", "people": "many"}'}]
    assert "people: Input should be a valid integer" in again[2]["content"]


async def test_all_answers_are_on_the_last_error(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    for text in ("one", "two", "three"):
        sandbox.chat.reply(text)
    with pytest.raises(ParseError) as caught:
        await client.chat.completions.parse(model=MODEL, messages=HELLO, response_format=City, validate_retries=1)
    assert [each.choices[0].message.content for each in caught.value.completions] == ["one", "two"]
    assert caught.value.text == "two"
    assert sandbox.chat.left == 1


async def test_what_is_cut_off_is_not_asked_for_again(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    sandbox.chat.reply("{", finish_reason="length")
    with pytest.raises(LengthFinishReasonError):
        await client.chat.completions.parse(model=MODEL, messages=HELLO, response_format=City, validate_retries=3)
    assert sandbox.ledger.billed(CHAT) == 1


async def test_an_error_of_the_second_request_has_the_first_answer(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    sandbox.chat.reply("no JSON")
    sandbox.faults.add(Fault("POST /v1/chat/completions", status=429, at=(2, 3, 4, 5)))
    with pytest.raises(RateLimitError) as caught:
        await client.chat.completions.parse(model=MODEL, messages=HELLO, response_format=City, validate_retries=1)
    assert caught.value.history[1] == {"role": "assistant", "content": "no JSON"}


async def test_each_request_has_an_idempotency_key_of_its_own(sandbox: Sandbox, tmp_path: Any) -> None:
    async with (
        SqliteJournal(tmp_path / "run.db") as journal,
        AsyncRelayDance(sandbox.api_key, base_url=sandbox.base_url, journal=journal) as client,
    ):
        sandbox.chat.reply("no JSON")
        sandbox.chat.reply(BONN)
        for replayed in (False, True):
            completion = await client.chat.completions.parse(
                model=MODEL, messages=HELLO, response_format=City, validate_retries=1, idempotency_key="bonn"
            )
            assert completion.choices[0].message.parsed == City(name="Bonn", people=330000)
            assert completion.meta.replayed is replayed
    assert sandbox.ledger.billed(CHAT) == 2


async def test_tools_may_be_called_instead(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    sandbox.chat.reply(tool_calls=[{"name": "weather", "arguments": {}}])
    completion = await client.chat.completions.parse(model=MODEL, messages=HELLO, response_format=City)
    assert completion.choices[0].message.parsed is None
    assert completion.choices[0].message.tool_calls


async def test_the_message_is_passed_back_without_the_value(
    client: AsyncRelayDance, sandbox: Sandbox, heard: Tap
) -> None:
    sandbox.chat.reply(BONN, message={"parsed": "an upstream's own"})
    completion = await client.chat.completions.parse(model=MODEL, messages=HELLO, response_format=City)
    assert completion.choices[0].message.parsed == City(name="Bonn", people=330000)
    await client.chat.completions.create(model=MODEL, messages=[*HELLO, completion.choices[0].message, *HELLO])
    assert bodies(heard)[1]["messages"][1] == {"role": "assistant", "content": BONN}
    assert pickle.loads(pickle.dumps(completion)) == completion


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"response_format": dict[str, int]}, "any names"),
        ({"response_format": Any}, "may be anything"),
        ({"response_format": {"type": "json_object"}}, "use create"),
        ({"response_format": print}, "use create"),
        ({"response_format": object()}, "no schema"),
        ({"response_format": City, "validate_retries": -1}, "validate_retries"),
        ({"response_format": City, "validate_retries": True}, "validate_retries"),
        ({"response_format": City, "messages": []}, "messages"),
        ({"response_format": City, "model": " "}, "model"),
    ],
)
async def test_bad_input_is_an_error_before_anything_is_sent(
    client: AsyncRelayDance, sandbox: Sandbox, options: Any, why: str
) -> None:
    asked: dict[str, Any] = {"model": MODEL, "messages": HELLO, **options}
    with pytest.raises(InvalidInputError, match=why):
        await client.chat.completions.parse(**asked)
    assert sandbox.ledger.entries == []


async def test_a_schema_that_is_not_strict(client: AsyncRelayDance, sandbox: Sandbox, heard: Tap) -> None:
    sandbox.chat.reply('{"a": 1}')
    completion = await client.chat.completions.parse(
        model=MODEL, messages=HELLO, response_format=dict[str, int], strict=False
    )
    assert completion.choices[0].message.parsed == {"a": 1}
    assert bodies(heard)[0]["response_format"]["json_schema"]["strict"] is False
