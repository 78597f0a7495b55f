"""Streamed chat: what comes, how it ends, and what it leaves behind."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import anyio
import pytest

from relaydance_async import (
    APIStatusError,
    AsyncRelayDance,
    ChatCompletion,
    ChatStream,
    IncompleteStreamError,
    NotFoundError,
    RelayDanceError,
    ResponseDecodeError,
    ServerError,
    StreamError,
)
from relaydance_async.sandbox import ConnectionFault, Fault, FaultyProxy, Sandbox
from tests.kit.probe import NOTHING, held
from tests.kit.routes import CHAT
from tests.resources.support import Bench

pytestmark = pytest.mark.anyio

MESSAGES = [{"role": "user", "content": "one two three"}]
TEXT = "You said: one two three"
TOOLS = [
    {"type": "function", "function": {"name": "weather", "parameters": {"properties": {"city": {"type": "string"}}}}}
]
LONG: dict[str, Any] = {"sandbox_chunks": 1000, "sandbox_chunk_delay": 0.05}
"""A stream that would take most of a minute."""


async def open_stream(client: AsyncRelayDance, **params: Any) -> ChatStream:
    stream: ChatStream = await client.chat.completions.create(
        model="grok-4.3", messages=MESSAGES, stream=True, **params
    )
    return stream


async def assert_nothing_is_held(client: AsyncRelayDance) -> None:
    assert await held(client) == NOTHING


async def test_chunks_come_as_they_are_sent_and_end_whole(client: AsyncRelayDance) -> None:
    async with await open_stream(client) as stream:
        pieces = [chunk.text() async for chunk in stream]
        assert "".join(pieces) == TEXT
        assert len(pieces) > 4
        assert stream.text == TEXT
        completion = await stream.get_final_completion()
    assert completion.choices[0].message.content == TEXT
    assert completion.choices[0].finish_reason == "stop"


async def test_a_ping_at_any_time_is_no_chunk(client: AsyncRelayDance, dialect: str) -> None:
    messages = [{"role": "user", "content": "one two three four five six seven eight nine ten"}]
    stream = await client.chat.completions.create(model="grok-4.3", messages=messages, stream=True)
    async with stream:
        chunks = [chunk async for chunk in stream]
    assert "PING" not in "".join(chunk.text() for chunk in chunks)
    assert all(chunk.id for chunk in chunks)


async def test_the_usage_chunk_has_no_choices_and_its_usage_is_kept(bench: Bench) -> None:
    _, client = bench.start()
    # The gateway sends it asked for or not.
    asked = {} if bench.dialect == "gateway" else {"stream_options": {"include_usage": True}}
    async with await open_stream(client, **asked) as stream:
        chunks = [chunk async for chunk in stream]
        completion = await stream.get_final_completion()
    assert chunks[-1].choices == []
    assert chunks[-1].text() == ""
    assert completion.usage == chunks[-1].usage
    assert completion.usage is not None
    assert completion.usage.total_tokens


async def test_the_final_completion_can_be_asked_for_without_reading(client: AsyncRelayDance) -> None:
    async with await open_stream(client) as stream:
        completion = await stream.get_final_completion()
        assert await stream.get_final_completion() == completion
    assert completion.choices[0].message.content == TEXT


async def test_tool_calls_are_streamed_in_pieces_and_come_together(client: AsyncRelayDance) -> None:
    async with await open_stream(client, tools=TOOLS) as stream:
        deltas = [call async for chunk in stream for choice in chunk.choices for call in choice.delta.tool_calls or ()]
        completion = await stream.get_final_completion()
    assert len(deltas) > 2
    calls = completion.choices[0].message.tool_calls
    assert calls is not None
    assert calls[0].id
    assert calls[0].function is not None
    assert calls[0].function.name == "weather"
    assert json.loads(calls[0].function.arguments) == {"city": "sandbox"}
    assert completion.choices[0].finish_reason == "tool_calls"


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
async def test_reasoning_text_is_accumulated_in_either_spelling(client: AsyncRelayDance, name: str) -> None:
    extra = {"sandbox_reasoning_field": name}
    async with await open_stream(client, reasoning_effort="low", extra_body=extra) as stream:
        completion = await stream.get_final_completion()
    assert getattr(completion.choices[0].message, name) == "The user wrote 13 characters."
    assert completion.choices[0].message.content == TEXT


async def test_several_choices_are_kept_apart(client: AsyncRelayDance) -> None:
    async with await open_stream(client, n=3) as stream:
        completion = await stream.get_final_completion()
    assert [choice.message.content for choice in completion.choices] == [TEXT] * 3


async def test_a_stream_read_to_its_end_gives_its_connection_to_the_next_call(bench: Bench) -> None:
    sandbox = bench.sandbox()
    with FaultyProxy(sandbox.root_url) as proxy:
        client = bench.client(sandbox, base_url=proxy.base_url)
        for _ in range(5):
            stream = await open_stream(client)
            async for _chunk in stream:
                pass
            assert (await held(client)).permits == 0
            assert (await held(client)).connections == 1
        await client.models.list()
        assert proxy.connections == 1


async def test_a_stream_holds_its_permit_until_it_is_closed(bench: Bench) -> None:
    sandbox = bench.sandbox()
    client = bench.client(sandbox, max_concurrency=1)
    async with await open_stream(client, extra_body=LONG) as stream:
        await anext(stream)
        assert (await held(client)).permits == 1
        with anyio.move_on_after(0.01) as waited:
            await client.models.list()
        assert waited.cancelled_caught
    assert (await client.models.list()).data


async def test_a_break_gives_permit_and_connection_back_at_once(bench: Bench) -> None:
    _, client = bench.start()
    async with await open_stream(client, extra_body=LONG) as stream:
        async for _ in stream:
            break
    await assert_nothing_is_held(client)
    with pytest.raises(StopAsyncIteration):
        await anext(stream)
    with pytest.raises(IncompleteStreamError):
        await stream.get_final_completion()
    assert (await client.models.list()).data


async def test_an_exception_in_the_loop_gives_permit_and_connection_back_at_once(bench: Bench) -> None:
    _, client = bench.start()

    async def read() -> None:
        async with await open_stream(client, extra_body=LONG) as stream:
            async for _ in stream:
                raise LookupError

    with pytest.raises(LookupError):
        await read()
    await assert_nothing_is_held(client)


@pytest.mark.parametrize("with_block", [True, False])
async def test_cancellation_while_waiting_for_a_chunk_gives_permit_and_connection_back_at_once(
    bench: Bench, with_block: bool
) -> None:
    _, client = bench.start()
    started = asyncio.Event()

    async def read() -> None:
        stream = await open_stream(client, extra_body={**LONG, "sandbox_chunk_delay": 30})
        if with_block:
            async with stream:
                async for _ in stream:
                    started.set()
        async for _ in stream:
            started.set()

    reader = asyncio.create_task(read())
    await started.wait()
    await asyncio.sleep(0.002)
    assert (await held(client)).permits == 1
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    await assert_nothing_is_held(client)
    assert (await client.models.list()).data


async def test_closing_twice_and_closing_an_unread_stream_is_harmless(bench: Bench) -> None:
    _, client = bench.start()
    stream = await open_stream(client)
    await stream.aclose()
    await stream.aclose()
    assert (await held(client)).permits == 0


@pytest.mark.parametrize("after", [2, 4])
async def test_done_without_a_finish_reason_is_an_incomplete_stream_with_its_text(bench: Bench, after: int) -> None:
    sandbox, client = bench.start(faults=[Fault(CHAT, truncate_stream_after=after)])
    with pytest.raises(IncompleteStreamError) as caught:
        await (await open_stream(client)).get_final_completion()
    assert caught.value.text
    assert TEXT.startswith(caught.value.text)
    assert caught.value.request_id
    assert (caught.value.method, caught.value.path) == ("POST", "/chat/completions")
    assert (await held(client)).permits == 0
    assert sandbox.ledger.count(CHAT) == 1


async def test_the_final_completion_of_a_truncated_stream_is_the_same_error(bench: Bench) -> None:
    _, client = bench.start(faults=[Fault(CHAT, truncate_stream_after=3)])
    async with await open_stream(client) as stream:
        for _ in range(2):
            with pytest.raises(IncompleteStreamError) as caught:
                await stream.get_final_completion()
            assert caught.value.text == "You said:"


async def test_nothing_but_done_is_an_incomplete_stream(bench: Bench) -> None:
    _, client = bench.start(faults=[Fault(CHAT, truncate_stream_after=0)])
    with pytest.raises(IncompleteStreamError) as caught:
        async for _ in await open_stream(client):
            pass
    assert caught.value.text == ""


async def test_an_error_event_in_mid_stream_is_a_stream_error_with_the_text_so_far(bench: Bench) -> None:
    sandbox, client = bench.start(
        faults=[Fault(CHAT, stream_error_after=3, message="the model went away", code="bad_response")]
    )
    with pytest.raises(StreamError, match="the model went away") as caught:
        async for _ in await open_stream(client):
            pass
    assert not isinstance(caught.value, IncompleteStreamError)
    assert caught.value.text == "You said:"
    assert (caught.value.code, caught.value.type) == ("bad_response", "upstream_error")
    assert caught.value.status_code == 200
    assert (await held(client)).permits == 0
    assert sandbox.ledger.count(CHAT) == 1


async def test_a_cut_connection_is_a_stream_error_with_the_text_so_far(bench: Bench) -> None:
    sandbox, client = bench.start(faults=[Fault(CHAT, cut_stream_after=4)])
    with pytest.raises(StreamError, match="the stream broke") as caught:
        async for _ in await open_stream(client):
            pass
    assert TEXT.startswith(caught.value.text)
    assert caught.value.text
    assert caught.value.maybe_accepted
    await assert_nothing_is_held(client)
    assert sandbox.ledger.count(CHAT) == 1
    assert (await client.models.list()).data


async def test_a_reset_in_mid_stream_is_a_stream_error(bench: Bench) -> None:
    sandbox = bench.sandbox()
    with FaultyProxy(sandbox.root_url, [ConnectionFault("cut_response", after_bytes=1500)]) as proxy:
        client = bench.client(sandbox, base_url=proxy.base_url)
        with pytest.raises(StreamError) as caught:
            async for _ in await open_stream(client):
                pass
        assert isinstance(caught.value.text, str)
        await assert_nothing_is_held(client)


async def test_silence_beyond_the_read_timeout_is_a_stream_error(bench: Bench) -> None:
    _, client = bench.start()
    extra = {"sandbox_chunks": 2, "sandbox_chunk_delay": 30}
    with pytest.raises(StreamError, match=r"within 0\.15 s"):
        async for _ in await open_stream(client, timeout=0.15, extra_body=extra):
            pass
    await assert_nothing_is_held(client)


async def test_a_stream_that_is_slow_but_never_silent_for_long_is_no_error(bench: Bench) -> None:
    sandbox, client = bench.start()
    with FaultyProxy(sandbox.root_url, [ConnectionFault("drip", after_bytes=97, interval=0.0005)]) as proxy:
        client = bench.client(sandbox, base_url=proxy.base_url)
        async with await open_stream(client) as stream:
            completion = await stream.get_final_completion()
    assert completion.choices[0].message.content == TEXT


async def test_what_is_no_chunk_in_mid_stream_is_a_stream_error(bench: Bench) -> None:
    events = 'data: {"choices": [{"index": 0, "delta": {"content": "Hi"}}]}\n\ndata: {"choices": \n\n'
    _, client = bench.start(faults=[Fault(CHAT, body=events, content_type="text/event-stream")])
    with pytest.raises(StreamError, match="not a chunk") as caught:
        async for _ in await open_stream(client):
            pass
    assert caught.value.text == "Hi"


@pytest.mark.parametrize(
    "event",
    [
        '{"error": {"message": "too long", "code": "x"}}',
        '{"error": "too long"}',
        '{"choices": [], "error": {"message": "too long"}}',
        '{"code": "x", "message": "too long", "data": null}',
    ],
)
async def test_an_error_event_is_known_in_every_form(bench: Bench, event: str) -> None:
    _, client = bench.start(
        faults=[Fault(CHAT, body=f"data: {event}\n\ndata: [DONE]\n\n", content_type="text/event-stream; charset=utf-8")]
    )
    with pytest.raises(StreamError, match="too long"):
        async for _ in await open_stream(client):
            pass


async def test_a_last_event_without_its_blank_line_is_never_taken_for_whole(bench: Bench) -> None:
    events = 'data: {"choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop"}]}\n'
    _, client = bench.start(faults=[Fault(CHAT, body=events, content_type="text/event-stream")])
    with pytest.raises(IncompleteStreamError):
        await (await open_stream(client)).get_final_completion()


async def test_a_stream_that_ends_without_done_but_with_a_finish_reason_is_whole(bench: Bench) -> None:
    events = 'data: {"choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop"}]}\r\n\r\n'
    _, client = bench.start(faults=[Fault(CHAT, body=events, content_type="text/event-stream")])
    completion = await (await open_stream(client)).get_final_completion()
    assert completion.choices[0].message.content == "Hi"


ERROR = '{"error": {"message": "no such upstream", "type": "upstream_error", "code": "model_not_found"}}'


async def test_json_with_an_error_and_http_200_instead_of_a_stream_is_that_error(bench: Bench) -> None:
    sandbox, client = bench.start(faults=[Fault(CHAT, status=200, body=ERROR)])
    with pytest.raises(NotFoundError, match="no such upstream"):
        await open_stream(client)
    assert (await held(client)).permits == 0
    assert sandbox.ledger.count(CHAT) == 1


async def test_json_with_an_error_that_claims_to_be_an_event_stream_is_that_error(bench: Bench) -> None:
    _, client = bench.start(faults=[Fault(CHAT, status=200, body=ERROR, content_type="text/event-stream")])
    with pytest.raises(NotFoundError, match="no such upstream") as caught:
        async for _ in await open_stream(client):
            pass
    assert caught.value.code == "model_not_found"
    assert (await held(client)).permits == 0


@pytest.mark.parametrize("body", ["html", "empty", "text", '{"choices": 5}', "[]"])
async def test_what_is_no_stream_is_a_decode_error_that_says_so(bench: Bench, body: str) -> None:
    _, client = bench.start(faults=[Fault(CHAT, status=200, body=body)])
    with pytest.raises(ResponseDecodeError) as caught:
        await open_stream(client)
    assert caught.value.maybe_accepted
    assert ("web page" in str(caught.value)) is (body == "html")
    assert (await held(client)).permits == 0


async def test_an_error_status_of_a_stream_request_is_read_like_any_other(bench: Bench) -> None:
    # The gateway sends these as JSON under `text/event-stream`.
    _, client = bench.start()
    with pytest.raises(NotFoundError):
        await client.chat.completions.create(model="no-such-model", messages=MESSAGES, stream=True)
    with pytest.raises(APIStatusError) as caught:
        await open_stream(client, temperature=9)
    assert caught.value.message


async def test_opening_is_repeated_after_a_transient_error_and_reading_never(bench: Bench) -> None:
    sandbox, client = bench.start(faults=[Fault(CHAT, status=503, body="sse", times=2)])
    async with await open_stream(client) as stream:
        assert (await stream.get_final_completion()).choices[0].message.content == TEXT
    assert sandbox.ledger.count(CHAT) == 3
    assert sandbox.ledger.billed(CHAT) == 1

    sandbox.faults.add(Fault(CHAT, status=503, body="sse"))
    with pytest.raises(ServerError):
        await open_stream(client)


async def test_a_deadline_bounds_a_stream_to_its_end(bench: Bench) -> None:
    _, client = bench.start()
    async with await open_stream(client, extra_body=LONG, deadline=1.0) as stream:
        with pytest.raises(StreamError, match=r"^HTTP 200: the stream broke: the deadline of 1 s is over \(") as caught:
            async for _ in stream:
                pass
    assert caught.value.text == stream.text
    assert 0 < len(caught.value.text.split()) < 900
    assert caught.value.maybe_accepted
    assert not caught.value.retryable
    assert [attempt.error for attempt in caught.value.attempts] == ["StreamError"]
    await assert_nothing_is_held(client)


async def test_a_deadline_passes_while_the_reader_does_something_else(bench: Bench) -> None:
    _, client = bench.start()
    slow = client.with_options(deadline=0.5)
    async with await open_stream(slow, extra_body=LONG) as stream:
        await anext(stream)
        time.sleep(0.5)  # noqa: ASYNC251  (nothing else may run meanwhile)
        with pytest.raises(StreamError, match=r"the deadline of 0\.5 s is over"):
            await stream.get_final_completion()
    await assert_nothing_is_held(client)


async def test_a_stream_within_its_deadline_is_whole_and_its_connection_is_used_again(bench: Bench) -> None:
    sandbox, client = bench.start()
    async with await open_stream(client, deadline=60) as stream:
        completion = await stream.get_final_completion()
    assert completion.choices[0].message.content == TEXT
    await client.models.list()
    assert sandbox.ledger.count() == 2


async def test_many_streams_at_once_are_kept_apart(client: AsyncRelayDance) -> None:
    texts: dict[int, str] = {}

    async def ask(number: int) -> None:
        messages = [{"role": "user", "content": f"number {number}"}]
        stream = await client.chat.completions.create(model="grok-4.3", messages=messages, stream=True)
        async with stream:
            texts[number] = (await stream.get_final_completion()).choices[0].message.content or ""

    async with anyio.create_task_group() as group:
        for number in range(40):
            group.start_soon(ask, number)
    assert texts == {number: f"You said: number {number}" for number in range(40)}
    assert (await held(client)).permits == 0


async def test_a_stream_is_an_async_iterator(client: AsyncRelayDance) -> None:
    async with await open_stream(client) as stream:
        assert isinstance(stream, AsyncIterator)
        assert (await anext(stream)).object == "chat.completion.chunk"


async def test_the_sandbox_saw_one_billed_request_per_stream(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    async with await open_stream(client):
        pass
    assert sandbox.ledger.billed(CHAT) == 1
    assert sandbox.ledger.duplicates() == 0


async def test_half_of_a_surrogate_pair_in_a_chunk_does_not_end_the_stream(bench: Bench) -> None:
    events = rb"""data: {"choices": [{"delta": {"content": "Hi \ud83d"}, "finish_reason": null}]}

data: {"choices": [{"delta": {"content": "!", "role": 7}, "finish_reason": "stop"}]}

data: [DONE]

"""
    _, client = bench.start(faults=[Fault(CHAT, body=events, content_type="text/event-stream")])
    async with await open_stream(client) as stream:
        completion = await stream.get_final_completion()
    assert completion.choices[0].message.content == "Hi \ufffd!"


async def test_a_stream_larger_than_allowed_is_stopped_with_what_had_come(bench: Bench) -> None:
    event = b'data: {"choices": [{"delta": {"content": "word "}}]}\n\n'
    _, client = bench.start(faults=[Fault(CHAT, body=event * 1000, content_type="text/event-stream")])
    async with await open_stream(client.with_options(max_response_bytes=10 * len(event))) as stream:
        with pytest.raises(StreamError, match="larger than max_response_bytes=") as caught:
            await stream.get_final_completion()
    assert caught.value.text == stream.text == "word " * 11
    assert (await held(client)).permits == 0


BREAKS: dict[str, Fault] = {
    "an error event": Fault(CHAT, stream_error_after=2),
    "a cut connection": Fault(CHAT, cut_stream_after=4),
    "no finish_reason": Fault(CHAT, truncate_stream_after=2),
    "nothing at all": Fault(CHAT, truncate_stream_after=0),
    "no chunk": Fault(CHAT, body="data: {\n\n", content_type="text/event-stream"),
}


@pytest.mark.parametrize("case", BREAKS)
async def test_however_a_stream_ends_badly_its_error_tells_of_the_call(bench: Bench, case: str) -> None:
    _, client = bench.start(faults=[Fault(CHAT, status=503, body="sse", times=1), BREAKS[case]])
    with pytest.raises(StreamError) as caught:
        async for _ in await open_stream(client):
            pass
    error = caught.value
    assert [(record.number, record.error, record.status_code) for record in error.attempts] == [
        (1, "ServerError", 503),
        (2, type(error).__name__, 200),
    ]
    assert error.sent_at == error.attempts[-1].started_at
    assert error.maybe_accepted
    assert "retry_ambiguous" not in str(error)
    assert "\n" not in str(error)
    assert str(error).count("broke") <= 1


WHOLE: dict[str, Any] = {
    "id": "c",
    "choices": [{"message": {"content": [{"type": "text", "text": "Hi"}], "images": [1]}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": "3"},
}


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "text/event-stream"])
async def test_a_json_body_in_place_of_a_stream_comes_as_one_chunk(bench: Bench, kind: str) -> None:
    _, client = bench.start(faults=[Fault(CHAT, body=json.dumps(WHOLE), content_type=kind)])
    async with await open_stream(client) as stream:
        chunks = [chunk async for chunk in stream]
        completion = await stream.get_final_completion()
    assert [(chunk.text(), chunk.choices[0].finish_reason) for chunk in chunks] == [("Hi", "stop")]
    assert stream.text == completion.choices[0].message.content == "Hi"
    assert completion.choices[0].message.model_extra is not None
    assert completion.choices[0].message.model_extra["images"] == [1]
    assert completion.usage == chunks[0].usage
    assert completion.usage is not None
    assert completion.usage.prompt_tokens == 3
    assert (await held(client)).permits == 0


async def test_a_stream_of_one_json_body_can_be_closed_unread_and_twice(bench: Bench) -> None:
    _, client = bench.start(faults=[Fault(CHAT, body=json.dumps(WHOLE))])
    async with await open_stream(client) as stream:
        assert (await held(client)).permits == 0
        await stream.aclose()
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


@pytest.mark.parametrize("kind", ["text/event-stream", "text/plain"])
async def test_a_stream_that_nobody_asked_for_is_put_together(bench: Bench, kind: str) -> None:
    _, client = bench.start(faults=[Fault(CHAT, body=SENT, content_type=kind)])
    completion = await client.chat.completions.create(model="grok-4.3", messages=MESSAGES)
    assert (completion.choices[0].message.content, completion.choices[0].finish_reason) == ("Hi", "stop")
    assert (await held(client)).permits == 0


SENT = 'data: {"choices": [{"delta": {"content": "Hi"}}]}\n\ndata: {"choices": [{"finish_reason": "stop"}]}\n\n'


@pytest.mark.parametrize("kind", ["text/event-stream", "text/plain"])
async def test_a_stream_that_nobody_asked_for_and_that_is_cut_off_is_not_repeated(bench: Bench, kind: str) -> None:
    sandbox, client = bench.start(faults=[Fault(CHAT, body=SENT.partition("\n\n")[0] + "\n\n", content_type=kind)])
    with pytest.raises(IncompleteStreamError) as caught:
        await client.chat.completions.create(model="grok-4.3", messages=MESSAGES)
    assert (caught.value.text, caught.value.maybe_accepted) == ("Hi", True)
    assert caught.value.completion is not None
    assert caught.value.completion.choices[0].message.content == "Hi"
    assert caught.value.not_retried_because == "its answer had begun"
    assert [record.status_code for record in caught.value.attempts] == [200]
    assert sandbox.ledger.count(CHAT) == 1
    assert (await held(client)).permits == 0


@pytest.mark.parametrize("fault", [Fault(CHAT, cut_stream_after=4), Fault(CHAT, stream_error_after=3)])
async def test_a_stream_that_nobody_asked_for_and_that_breaks_is_not_repeated(bench: Bench, fault: Fault) -> None:
    sandbox, client = bench.start(faults=[fault])
    with pytest.raises(StreamError) as caught:
        # `extra_body` asks where nobody does: the answer is a stream.
        await client.chat.completions.create(model="grok-4.3", messages=MESSAGES, extra_body={"stream": True})
    assert caught.value.text
    assert TEXT.startswith(caught.value.text)
    assert caught.value.completion is not None
    assert caught.value.completion.choices[0].message.content == caught.value.text
    assert caught.value.maybe_accepted
    assert len(caught.value.attempts) == 1
    assert sandbox.ledger.count(CHAT) == 1
    assert (await held(client)).permits == 0


async def test_a_stream_that_nobody_asked_for_is_bounded(bench: Bench) -> None:
    event = SENT.partition("\n\n")[0] + "\n\n"
    _, client = bench.start(faults=[Fault(CHAT, body=event * 1000, content_type="text/event-stream")])
    small = client.with_options(max_response_bytes=10 * len(event))
    with pytest.raises(StreamError, match="larger than max_response_bytes="):
        await small.chat.completions.create(model="grok-4.3", messages=MESSAGES)


@pytest.mark.parametrize("kind", ["application/json", "text/event-stream"])
async def test_what_is_neither_a_completion_nor_a_stream_is_whole_on_the_error(bench: Bench, kind: str) -> None:
    body = "<html>" + "x" * 100_000
    _, client = bench.start(faults=[Fault(CHAT, body=body, content_type=kind)])
    with pytest.raises(ResponseDecodeError) as caught:
        await client.chat.completions.create(model="grok-4.3", messages=MESSAGES)
    assert caught.value.raw_body == body.encode()
    assert caught.value.maybe_accepted


@pytest.mark.parametrize("kind", ["application/json", "text/event-stream"])
async def test_one_json_body_in_answer_to_a_plain_call_is_read_whatever_it_says_it_is(bench: Bench, kind: str) -> None:
    _, client = bench.start(faults=[Fault(CHAT, body=json.dumps(WHOLE), content_type=kind)])
    completion = await client.chat.completions.create(model="grok-4.3", messages=MESSAGES)
    assert completion.choices[0].message.content == "Hi"


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("before", ["", ": PING\n\n"])
async def test_an_error_body_under_either_is_that_error(bench: Bench, stream: bool, before: str) -> None:
    # Comments belong to streams.
    for kind in ("text/event-stream",) if before else ("application/json", "text/event-stream"):
        _, client = bench.start(faults=[Fault(CHAT, status=200, body=before + ERROR, content_type=kind)])
        with pytest.raises(NotFoundError, match="no such upstream"):
            await ask(client, stream=stream)


async def ask(client: AsyncRelayDance, *, stream: bool) -> ChatCompletion:
    answer = await client.chat.completions.create(model="grok-4.3", messages=MESSAGES, stream=stream)
    return answer if isinstance(answer, ChatCompletion) else await answer.get_final_completion()


IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


async def test_fields_that_are_not_known_are_in_the_final_completion(bench: Bench) -> None:
    chunks: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "delta": {"content": "Hi", "images": [IMAGE]}}], "system_fingerprint": "fp"},
        {"choices": [{"index": 0, "delta": {"images": [IMAGE]}, "finish_reason": "stop"}]},
    ]
    body = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
    _, client = bench.start(faults=[Fault(CHAT, body=body, content_type="text/event-stream")])
    async with await open_stream(client) as stream:
        completion = await stream.get_final_completion()
    assert completion.choices[0].message.model_extra == {"images": [IMAGE, IMAGE]}
    assert completion.model_extra == {"system_fingerprint": "fp"}


async def test_a_stream_closed_by_another_task_ends_the_reader_and_gives_back_what_it_holds(bench: Bench) -> None:
    _, client = bench.start()
    slow = {"sandbox_chunks": 10_000, "sandbox_chunk_delay": 0.005}
    stream = await client.chat.completions.create(model="grok-4.3", messages=MESSAGES, stream=True, extra_body=slow)
    seen = anyio.Event()

    async def read() -> None:
        with suppress(RelayDanceError, StopAsyncIteration):
            async for _ in stream:
                seen.set()

    async with anyio.create_task_group() as group:
        group.start_soon(read)
        await seen.wait()
        await stream.aclose()
    assert (await held(client)).permits == 0
    assert (await held(client)).streams == 0
