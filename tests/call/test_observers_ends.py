"""Observers are told how a call ends, wherever it is cancelled, and when a stream does."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path
from typing import Any

import anyio
import pytest

from relaydance_async import APITimeoutError, StreamError
from relaydance_async.sandbox import Fault, Sandbox
from tests.call.support import Recorder, Start, cancel_when, failure_of, is_cancelled
from tests.kit.calls import HELLO, list_models, open_stream, submit_clip
from tests.kit.clocks import HandClock, QuickClock
from tests.kit.inside import close_limits
from tests.kit.probe import look_at
from tests.kit.routes import CHAT, CLIPS, MODELS, SUBMIT
from tests.kit.waiting import wait_until

pytestmark = pytest.mark.anyio

ONE_GOOD = ["began", "queued 1", "admitted 1", "sending 1", "answered 1 200", "ended"]


async def test_a_call_cancelled_in_the_queue_was_only_queued(sandbox: Sandbox, start: Start) -> None:
    seen = Recorder()
    async with start(sandbox, HandClock(), observers=[seen]) as client:
        close_limits(client, 3600)
        await cancel_when(lambda: list_models(client), lambda: look_at(client).queued == 1)
    assert seen.moments == ["began", "queued 1", "ended"]
    assert is_cancelled(seen)
    assert sandbox.ledger.count() == 0


async def test_a_call_cancelled_while_it_connects_was_admitted(
    sandbox: Sandbox, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    connecting: list[object] = []

    async def hang(_: object, sock: object, address: object) -> None:
        connecting.append(address)
        await anyio.sleep_forever()

    seen = Recorder()
    async with start(sandbox, observers=[seen]) as client:
        monkeypatch.setattr(type(asyncio.get_running_loop()), "sock_connect", hang)
        await cancel_when(lambda: submit_clip(client), lambda: bool(connecting))
        monkeypatch.undo()
    assert seen.moments == ["began", "queued 1", "admitted 1", "ended"]
    assert is_cancelled(seen)


async def test_a_call_cancelled_before_its_answer_was_sending(sandbox: Sandbox, start: Start) -> None:
    sandbox.faults.add(Fault(SUBMIT, stall=True))
    seen = Recorder()
    async with start(sandbox, observers=[seen]) as client:
        await cancel_when(lambda: submit_clip(client), lambda: sandbox.ledger.count(SUBMIT) == 1)
    assert seen.moments == ["began", "queued 1", "admitted 1", "sending 1", "ended"]
    assert is_cancelled(seen)


async def test_a_call_cancelled_while_its_answer_is_read_was_answered(sandbox: Sandbox, start: Start) -> None:
    sandbox.faults.add(Fault(MODELS, endless_body=True))
    seen = Recorder()
    async with start(sandbox, observers=[seen]) as client:
        await cancel_when(lambda: list_models(client), lambda: "answered 1 200" in seen.moments)
    assert seen.moments == ONE_GOOD
    assert is_cancelled(seen)


async def test_a_call_cancelled_between_two_attempts_ends_there(sandbox: Sandbox, start: Start) -> None:
    sandbox.faults.add(Fault(MODELS, status=503))
    clock, seen = HandClock(), Recorder()
    async with start(sandbox, clock, observers=[seen]) as client:
        await cancel_when(lambda: list_models(client), lambda: clock.sleeping == 1)
    assert seen.moments[-2:] == ["failed 1 Retry", "ended"]
    assert is_cancelled(seen)


async def test_a_call_whose_deadline_passes_ends_with_that_error(sandbox: Sandbox, start: Start) -> None:
    sandbox.faults.add(Fault(MODELS, stall=True))
    seen = Recorder()
    async with start(sandbox, deadline=0.05, observers=[seen]) as client:
        error = await failure_of(client.models.list())
    assert type(error) is APITimeoutError
    assert seen.moments[-1] == "ended"
    assert seen.ends == [(None, error)]


# Streams and downloads.

OPENED = ["began", "queued 1", "admitted 1", "sending 1", "answered 1 200"]


async def begin(client: Any) -> Any:
    return await client.chat.completions.create(model="grok-4.3", messages=HELLO, stream=True)


async def test_the_call_of_a_stream_ends_when_it_was_read_to_its_end(sandbox: Sandbox, start: Start) -> None:
    seen = Recorder()
    async with start(sandbox, observers=[seen]) as client:
        stream = await begin(client)
        assert seen.moments == OPENED
        async for _ in stream:
            assert seen.ends == []
        assert seen.ends == [(None, None)]
        await stream.aclose()
    assert seen.moments == [*OPENED, "ended"]


async def test_the_call_of_a_stream_ends_when_it_is_closed_early(sandbox: Sandbox, start: Start) -> None:
    seen = Recorder()
    async with start(sandbox, observers=[seen]) as client:
        async with await begin(client) as stream:
            await anext(stream)
            assert seen.ends == []
        assert seen.ends == [(None, None)]


async def test_the_call_of_a_stream_that_breaks_ends_with_its_error(sandbox: Sandbox, start: Start) -> None:
    sandbox.faults.add(Fault(CHAT, cut_stream_after=2))
    seen = Recorder()
    async with start(sandbox, observers=[seen]) as client:
        error = await failure_of(open_stream(client))
    assert isinstance(error, StreamError)
    assert seen.ends == [(None, error)]


async def test_the_call_of_a_stream_whose_reader_is_cancelled_ends_with_that(sandbox: Sandbox, start: Start) -> None:
    seen = Recorder()
    sandbox.faults.add(Fault(CHAT, body=b"data: {}\n\n" * 2, content_type="text/event-stream", endless_body=True))
    async with start(sandbox, observers=[seen]) as client:

        async def read() -> None:
            async with await begin(client) as stream:
                seen.note("opened")
                await anyio.sleep_forever()
                await stream.aclose()

        await cancel_when(read, lambda: "opened" in seen.moments)
    assert is_cancelled(seen)


async def test_the_call_of_a_forgotten_stream_ends_when_it_is_garbage(sandbox: Sandbox, start: Start) -> None:
    seen = Recorder()
    async with start(sandbox, observers=[seen]) as client:
        stream = await begin(client)
        await anext(stream)
        del stream
        gc.collect()
        await wait_until(lambda: bool(seen.ends))
        await wait_until(lambda: look_at(client).tasks == 0)
    assert seen.ends == [(None, None)]
    assert seen.moments == [*OPENED, "ended"]


async def test_a_stream_that_never_opens_ends_like_any_call(sandbox: Sandbox, start: Start) -> None:
    sandbox.faults.add(Fault(CHAT, body="html"))
    seen = Recorder()
    async with start(sandbox, QuickClock(), observers=[seen]) as client:
        error = await failure_of(begin(client))
    assert seen.moments == [*OPENED, "failed 1 GiveUp", "ended"]
    assert seen.ends == [(None, error)]


async def test_a_download_is_a_call_to_the_other_host(sandbox: Sandbox, start: Start, tmp_path: Path) -> None:
    seen = Recorder(add={"x-mine": "1"})
    sandbox.faults.add(Fault(CLIPS, status=503, at=(1,)))
    async with start(sandbox, QuickClock(), observers=[seen]) as client:
        task = await submit_clip(client)
        sandbox.clock.advance(3600)
        done = await client.video.wait(task)
        seen.calls.clear()
        seen.moments.clear()
        seen.headers.clear()
        await client.video.download(done, tmp_path / "a.mp4")
    assert seen.moments == [
        *("began", "queued 1", "admitted 1", "sending 1", "answered 1 503", "failed 1 Retry"),
        *("queued 2", "admitted 2", "sending 2", "answered 2 200", "ended"),
    ]
    (call,) = seen.calls
    assert (call.method, call.path, call.route, call.billed) == ("GET", (done.url or "").partition("?")[0], "", False)
    assert call.task_id == task.task_id
    assert all("authorization" not in headers for headers in seen.headers)
