"""openai's own client over ours: its limits, retries, rules of money, and its own habits."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from relaydance_async import (
    AsyncRelayDance,
    IncompleteStreamError,
    ResponseDecodeError,
    maybe_accepted,
    openai_http_client,
)
from relaydance_async.sandbox import Fault, Sandbox
from tests.chat.support import BONN, HELLO, MODEL, City
from tests.kit.probe import look_at
from tests.kit.routes import CHAT
from tests.kit.transports import Tap

pytestmark = pytest.mark.anyio


def openai_of(client: AsyncRelayDance, **options: Any) -> AsyncOpenAI:
    settings: dict[str, Any] = {"api_key": "unused", "base_url": client.base_url, "max_retries": 0, **options}
    return AsyncOpenAI(http_client=openai_http_client(client), **settings)


@pytest.fixture
async def theirs(client: AsyncRelayDance) -> AsyncIterator[AsyncOpenAI]:
    async with openai_of(client) as theirs:
        yield theirs


async def test_answers_streams_tools_and_types(client: AsyncRelayDance, theirs: AsyncOpenAI, sandbox: Sandbox) -> None:
    answer = await theirs.chat.completions.create(model=MODEL, messages=HELLO)
    assert answer.choices[0].message.content == "You said: one two three"
    pieces = [chunk async for chunk in await theirs.chat.completions.create(model=MODEL, messages=HELLO, stream=True)]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in pieces if chunk.choices)
    assert text == "You said: one two three"
    sandbox.chat.reply(BONN)
    parsed = await theirs.chat.completions.parse(model=MODEL, messages=HELLO, response_format=City)
    assert parsed.choices[0].message.parsed == City(name="Bonn", people=330000)
    sandbox.chat.reply(tool_calls=[{"name": "add", "arguments": {"a": 1}}, {"name": "add", "arguments": {"a": 2}}])
    async with theirs.chat.completions.stream(model=MODEL, messages=HELLO) as stream:
        done = [event async for event in stream if event.type == "tool_calls.function.arguments.done"]
    assert [event.arguments for event in done] == ['{"a": 1}', '{"a": 2}']
    assert look_at(client).permits == 0


async def test_our_events_are_theirs(client: AsyncRelayDance, theirs: AsyncOpenAI, sandbox: Sandbox) -> None:
    def script() -> None:
        sandbox.chat.reply(BONN, pieces=4)

    def seen(event: Any) -> tuple[Any, ...]:
        if event.type == "content.done":
            return event.type, event.content, event.parsed
        return event.type, event.delta, event.snapshot

    async def events(stream: Any) -> list[tuple[Any, ...]]:
        async with stream as entered:
            told = [event async for event in entered if event.type in ("content.delta", "content.done")]
            return [seen(event) for event in told if event.type == "content.done" or event.delta]

    asked: dict[str, Any] = {"model": MODEL, "messages": HELLO, "response_format": City}
    script()
    ours = await events(client.chat.completions.stream(**asked))
    script()
    others = await events(theirs.chat.completions.stream(**asked))
    # What theirs say twice, ours say once; and ours know no delta of nothing.
    assert ours == list({repr(event): event for event in others}.values())


async def test_other_endpoints(theirs: AsyncOpenAI, sandbox: Sandbox) -> None:
    assert MODEL in [model.id async for model in theirs.models.list()]
    images = await theirs.images.generate(model="grok-imagine-image", prompt="a cat")
    assert images.data
    file = await theirs.files.create(file=("a.txt", b"hello"), purpose="assistants")
    assert file.id.startswith("file_")
    assert sandbox.ledger.billed("POST /v1/images/generations") == 1


async def test_only_our_key_is_sent_and_only_to_our_gateway(
    client: AsyncRelayDance, theirs: AsyncOpenAI, sandbox: Sandbox, heard: Tap
) -> None:
    await theirs.models.list()
    (request,) = heard.requests
    assert request.headers["authorization"] == f"Bearer {sandbox.api_key}"
    assert "unused" not in str(dict(request.headers))
    for base_url in (None, "http://127.0.0.1:9/v1", f"{client.base_url}evil", f"{client.base_url}/.."):
        with pytest.raises(openai.APIConnectionError) as caught:
            await openai_of(client, base_url=base_url).models.list()
        assert sandbox.api_key not in str(caught.value.__cause__)
    assert len(heard.requests) == 1


@pytest.mark.parametrize(
    ("options", "error", "status"),
    [
        ({"model": "nothing"}, openai.NotFoundError, 404),
        ({"temperature": 9}, openai.BadRequestError, 400),
        ({"messages": [{"role": "user", "content": "forbidden-word"}]}, openai.APIStatusError, 422),
    ],
)
async def test_errors_have_the_documented_status(
    theirs: AsyncOpenAI, sandbox: Sandbox, options: Any, error: type[openai.APIStatusError], status: int
) -> None:
    asked: dict[str, Any] = {"model": MODEL, "messages": HELLO, **options}
    for streamed in (False, True):
        with pytest.raises(error) as caught:
            await theirs.chat.completions.create(**asked, stream=streamed)
        assert caught.value.status_code == status
        assert caught.value.code
        assert caught.value.request_id is None or caught.value.request_id


async def test_retries_are_ours(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault("POST /v1/chat/completions", status=503, at=(1, 2)))
    # Theirs would wait and repeat by themselves: told not to, they don't.
    theirs = openai_of(client, max_retries=2)
    assert (await theirs.chat.completions.create(model=MODEL, messages=HELLO)).choices
    assert sandbox.ledger.count(CHAT) == 3
    sandbox.faults.add(Fault("POST /v1/chat/completions", status=503))
    with pytest.raises(openai.InternalServerError):
        await theirs.chat.completions.create(model=MODEL, messages=HELLO)
    assert sandbox.ledger.count(CHAT) == 7


async def test_what_may_be_paid_for_is_not_sent_twice(
    client: AsyncRelayDance, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.faults.add(Fault("POST /v1/images/generations", after_accept=True))

    def at_once(*_: object) -> float:
        return 0

    monkeypatch.setattr(AsyncOpenAI, "_calculate_retry_timeout", at_once)
    for retries in (0, 2):
        sandbox.ledger.reset()
        theirs = openai_of(client, max_retries=retries)
        with pytest.raises(openai.APIConnectionError) as caught:
            await theirs.images.generate(model="grok-imagine-image", prompt="a cat")
        assert sandbox.ledger.billed("POST /v1/images/generations") == 1
        if retries:
            assert "max_retries=0" in str(caught.value.__cause__)
        assert maybe_accepted(caught.value)


async def test_the_refusal_of_a_repetition_tells_what_became_of_the_first(
    client: AsyncRelayDance, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def at_once(*_: object) -> float:
        return 0

    monkeypatch.setattr(AsyncOpenAI, "_calculate_retry_timeout", at_once)
    sandbox.faults.add(Fault("POST /v1/chat/completions", body='{"id": "paid for', status=200, after_accept=True))
    with pytest.raises(openai.APIConnectionError) as caught:
        await openai_of(client, max_retries=2).chat.completions.create(model=MODEL, messages=HELLO)
    assert maybe_accepted(caught.value)
    cause: BaseException | None = caught.value
    while cause is not None and not isinstance(cause, ResponseDecodeError):
        cause = cause.__cause__
    assert cause is not None
    assert "paid for" in str(cause.body)
    assert sandbox.ledger.billed(CHAT) == 1
    # In the same task: what was never sent is not told as perhaps paid for, whatever was before.
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{nobody.getsockname()[1]}/v1"
        async with AsyncRelayDance("sk", base_url=address, max_retries=0) as ours:
            with pytest.raises(openai.APIConnectionError) as caught:
                await openai_of(ours, max_retries=2).chat.completions.create(model=MODEL, messages=HELLO)
    assert maybe_accepted(caught.value) is False


async def test_a_cut_stream_has_what_was_paid_for(
    client: AsyncRelayDance, theirs: AsyncOpenAI, sandbox: Sandbox
) -> None:
    sandbox.chat.reply("Hello there", finish_reason="")
    stream = await theirs.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
    with pytest.raises(Exception, match=r"finish_reason|Connection error") as caught:
        async for _ in stream:
            pass
    assert maybe_accepted(caught.value)
    cause: BaseException | None = caught.value
    while cause is not None and not isinstance(cause, IncompleteStreamError):
        cause = cause.__cause__
    assert cause is not None
    assert cause.text == "Hello there"
    assert look_at(client).permits == 0


async def test_leaving_a_stream_gives_the_connection_back(
    client: AsyncRelayDance, theirs: AsyncOpenAI, sandbox: Sandbox
) -> None:
    async with await theirs.chat.completions.create(model=MODEL, messages=HELLO, stream=True) as stream:
        async for _ in stream:
            break
        assert look_at(client).streams == 1
    assert look_at(client).permits == look_at(client).streams == 0


@pytest.mark.parametrize("model", [MODEL, "nothing"])
async def test_raw_answers_are_whole(theirs: AsyncOpenAI, model: str) -> None:
    try:
        raw = await theirs.chat.completions.with_raw_response.create(model=model, messages=HELLO)
        answer = raw.http_response
        assert raw.parse().choices
        assert raw.elapsed >= timedelta(0)
    except openai.NotFoundError as error:
        answer = error.response
    assert answer.elapsed >= timedelta(0)
    assert answer.is_closed
    assert answer.is_stream_consumed
    assert int(answer.headers["content-length"]) == len(answer.content) == answer.num_bytes_downloaded > 0


async def test_the_shorter_timeout_holds(client: AsyncRelayDance, theirs: AsyncOpenAI, sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault("GET /v1/models", stall=True))
    with pytest.raises(openai.APITimeoutError):
        await openai_of(client.with_options(retry=None)).with_options(timeout=0.05).models.list()


async def test_usage_is_counted(client: AsyncRelayDance, theirs: AsyncOpenAI) -> None:
    with client.track_usage() as usage:
        answer = await theirs.chat.completions.create(model=MODEL, messages=HELLO)
        async for _ in await theirs.chat.completions.create(model=MODEL, messages=HELLO, stream=True):
            pass
    assert answer.usage is not None
    assert (usage.requests, usage.untold, usage.total_tokens) == (2, 0, 2 * answer.usage.total_tokens)


async def test_closing_theirs_leaves_ours_open(client: AsyncRelayDance, theirs: AsyncOpenAI) -> None:
    await theirs.close()
    assert (await client.models.list()).data


async def test_what_an_upstream_speaks_is_understood_for_them(theirs: AsyncOpenAI, sandbox: Sandbox) -> None:
    message = {"content": [{"type": "text", "text": "Hi"}], "tool_calls": None}
    sandbox.chat.reply(raw={"created": "17", "choices": [{"message": message, "finish_reason": "stop"}]})
    answer = await theirs.chat.completions.create(model=MODEL, messages=HELLO)
    assert answer.choices[0].message.content == "Hi"
    sandbox.chat.reply("Hi", stream=True)  # to one who did not ask for it
    answer = await theirs.chat.completions.create(model=MODEL, messages=HELLO)
    assert answer.choices[0].message.content == "Hi"
    sandbox.chat.reply("Hi", stream=False)
    chunks = [chunk async for chunk in await theirs.chat.completions.create(model=MODEL, messages=HELLO, stream=True)]
    assert [chunk.choices[0].delta.content for chunk in chunks] == ["Hi"]


@pytest.mark.parametrize("nothing", [openai.NOT_GIVEN, openai.omit, openai.not_given])
async def test_their_marks_for_nothing_are_left_out(client: AsyncRelayDance, nothing: Any) -> None:
    asked: dict[str, Any] = {"stream": nothing, "temperature": nothing, "extra_body": nothing, "timeout": nothing}
    create: Any = client.chat.completions.create
    answer = await create(model=MODEL, messages=HELLO, **asked)
    assert answer.choices
    assert (await client.images.generate(model="grok-imagine-image", prompt="a cat", n=nothing)).data
    parsed = await client.chat.completions.parse(model=MODEL, messages=HELLO, response_format=City, tools=nothing)
    assert parsed.choices[0].message.parsed
    async with client.chat.completions.stream(model=MODEL, messages=HELLO, response_format=nothing) as stream:
        await stream.until_done()
