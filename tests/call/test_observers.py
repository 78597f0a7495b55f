"""What observers are told of a call, and what they can do to it."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from relaydance_async import APIConnectionError, APITimeoutError, RelayDanceError, RetryPolicy, ServerError, StreamError
from relaydance_async.sandbox import ConnectionFault, Fault, FaultyProxy, Sandbox
from tests.call.support import Recorder, Start, closed_port, failure_of
from tests.kit.calls import HELLO, ask_chat, list_models, open_stream, submit_clip
from tests.kit.clocks import HandClock, QuickClock
from tests.kit.inside import close_pace, open_pace
from tests.kit.probe import look_at
from tests.kit.routes import CHAT, CLIPS, MODELS, SUBMIT
from tests.kit.waiting import wait_until
from tests.transports.support import as_json, serve

pytestmark = pytest.mark.anyio

ONE_GOOD = ["began", "queued 1", "admitted 1", "sending 1", "answered 1 200", "ended"]


async def test_a_call_that_succeeds_is_told_in_order_and_ends_with_its_result(sandbox: Sandbox, start: Start) -> None:
    seen = Recorder()
    async with start(sandbox, _observers=[seen]) as client:
        models = await client.models.list()
    assert seen.moments == ONE_GOOD
    assert seen.ends == [(models, None)]


async def test_each_attempt_of_a_call_is_told_and_its_error_is_the_finished_one(sandbox: Sandbox, start: Start) -> None:
    sandbox.faults.add(Fault(SUBMIT, status=503, at=(1,)))
    sandbox.faults.add(Fault(SUBMIT, status=400, at=(2,)))
    seen = Recorder()
    async with start(sandbox, QuickClock(), _observers=[seen]) as client:
        error = await failure_of(submit_clip(client))
    assert seen.moments == [
        *("began", "queued 1", "admitted 1", "sending 1", "answered 1 503", "failed 1 Retry"),
        *("queued 2", "admitted 2", "sending 2", "answered 2 400", "failed 2 GiveUp", "ended"),
    ]
    assert [len(one.attempts) for one in seen.errors] == [1, 2]
    assert seen.errors[1] is error
    assert seen.ends == [(None, error)]


async def test_an_attempt_without_a_connection_is_never_sending(sandbox: Sandbox, start: Start) -> None:
    seen = Recorder()
    base_url = f"http://127.0.0.1:{closed_port()}/v1"
    async with start(
        sandbox, QuickClock(), base_url=base_url, _observers=[seen], retry=RetryPolicy(max_attempts=2)
    ) as client:
        await failure_of(submit_clip(client))
    assert seen.moments == [
        *("began", "queued 1", "admitted 1", "failed 1 Retry"),
        *("queued 2", "admitted 2", "failed 2 GiveUp", "ended"),
    ]


async def test_a_connection_that_breaks_before_the_answer_is_never_answered(sandbox: Sandbox, start: Start) -> None:
    seen = Recorder()
    with FaultyProxy(sandbox.root_url, [ConnectionFault("reset_after_request")]) as proxy:
        async with start(sandbox, QuickClock(), base_url=proxy.base_url, _observers=[seen]) as client:
            error = await failure_of(submit_clip(client))
    assert seen.moments == ["began", "queued 1", "admitted 1", "sending 1", "failed 1 GiveUp", "ended"]
    assert seen.ends == [(None, error)]


async def test_sending_comes_when_there_is_a_connection_and_the_server_has_seen_nothing(
    sandbox: Sandbox, start: Start
) -> None:
    counts: list[tuple[int, int]] = []

    def look(moment: str) -> None:
        if moment == "sending":
            counts.append((look_at(client).connections, sandbox.ledger.count()))

    seen = Recorder(at=look)
    async with start(sandbox, _observers=[seen]) as client:
        await client.models.list()
        await submit_clip(client)
    assert counts == [(1, 0), (1, 1)]
    assert seen.moments.count("sending 1") == 2


# Cancelled.


async def cancel_when(call: Callable[[], Any], reached: Callable[[], bool]) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(call)
        await wait_until(reached)
        group.cancel_scope.cancel()


def is_cancelled(seen: Recorder) -> bool:
    return [(result, type(error)) for result, error in seen.ends] == [(None, anyio.get_cancelled_exc_class())]


async def test_a_call_cancelled_in_the_queue_was_only_queued(sandbox: Sandbox, start: Start) -> None:
    seen = Recorder()
    async with start(sandbox, HandClock(), _observers=[seen]) as client:
        close_pace(client, 3600)
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
    async with start(sandbox, _observers=[seen]) as client:
        monkeypatch.setattr(type(asyncio.get_running_loop()), "sock_connect", hang)
        await cancel_when(lambda: submit_clip(client), lambda: bool(connecting))
        monkeypatch.undo()
    assert seen.moments == ["began", "queued 1", "admitted 1", "ended"]
    assert is_cancelled(seen)


async def test_a_call_cancelled_before_its_answer_was_sending(sandbox: Sandbox, start: Start) -> None:
    sandbox.faults.add(Fault(SUBMIT, stall=True))
    seen = Recorder()
    async with start(sandbox, _observers=[seen]) as client:
        await cancel_when(lambda: submit_clip(client), lambda: sandbox.ledger.count(SUBMIT) == 1)
    assert seen.moments == ["began", "queued 1", "admitted 1", "sending 1", "ended"]
    assert is_cancelled(seen)


async def test_a_call_cancelled_while_its_answer_is_read_was_answered(sandbox: Sandbox, start: Start) -> None:
    sandbox.faults.add(Fault(MODELS, endless_body=True))
    seen = Recorder()
    async with start(sandbox, _observers=[seen]) as client:
        await cancel_when(lambda: list_models(client), lambda: "answered 1 200" in seen.moments)
    assert seen.moments == ONE_GOOD
    assert is_cancelled(seen)


async def test_a_call_cancelled_between_two_attempts_ends_there(sandbox: Sandbox, start: Start) -> None:
    sandbox.faults.add(Fault(MODELS, status=503))
    clock, seen = HandClock(), Recorder()
    async with start(sandbox, clock, _observers=[seen]) as client:
        await cancel_when(lambda: list_models(client), lambda: clock.sleeping == 1)
    assert seen.moments[-2:] == ["failed 1 Retry", "ended"]
    assert is_cancelled(seen)


async def test_a_call_whose_deadline_passes_ends_with_that_error(sandbox: Sandbox, start: Start) -> None:
    sandbox.faults.add(Fault(MODELS, stall=True))
    seen = Recorder()
    async with start(sandbox, deadline=0.05, _observers=[seen]) as client:
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
    async with start(sandbox, _observers=[seen]) as client:
        stream = await begin(client)
        assert seen.moments == OPENED
        async for _ in stream:
            assert seen.ends == []
        assert seen.ends == [(None, None)]
        await stream.aclose()
    assert seen.moments == [*OPENED, "ended"]


async def test_the_call_of_a_stream_ends_when_it_is_closed_early(sandbox: Sandbox, start: Start) -> None:
    seen = Recorder()
    async with start(sandbox, _observers=[seen]) as client:
        async with await begin(client) as stream:
            await anext(stream)
            assert seen.ends == []
        assert seen.ends == [(None, None)]


async def test_the_call_of_a_stream_that_breaks_ends_with_its_error(sandbox: Sandbox, start: Start) -> None:
    sandbox.faults.add(Fault(CHAT, cut_stream_after=2))
    seen = Recorder()
    async with start(sandbox, _observers=[seen]) as client:
        error = await failure_of(open_stream(client))
    assert isinstance(error, StreamError)
    assert seen.ends == [(None, error)]


async def test_the_call_of_a_stream_whose_reader_is_cancelled_ends_with_that(sandbox: Sandbox, start: Start) -> None:
    seen = Recorder()
    sandbox.faults.add(Fault(CHAT, body=b"data: {}\n\n" * 2, content_type="text/event-stream", endless_body=True))
    async with start(sandbox, _observers=[seen]) as client:

        async def read() -> None:
            async with await begin(client) as stream:
                seen.note("opened")
                await anyio.sleep_forever()
                await stream.aclose()

        await cancel_when(read, lambda: "opened" in seen.moments)
    assert is_cancelled(seen)


async def test_the_call_of_a_forgotten_stream_ends_when_it_is_garbage(sandbox: Sandbox, start: Start) -> None:
    seen = Recorder()
    async with start(sandbox, _observers=[seen]) as client:
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
    async with start(sandbox, QuickClock(), _observers=[seen]) as client:
        error = await failure_of(begin(client))
    assert seen.moments == [*OPENED, "failed 1 GiveUp", "ended"]
    assert seen.ends == [(None, error)]


async def test_a_download_is_a_call_to_the_other_host(sandbox: Sandbox, start: Start, tmp_path: Path) -> None:
    seen = Recorder(add={"x-mine": "1"})
    sandbox.faults.add(Fault(CLIPS, status=503, at=(1,)))
    async with start(sandbox, QuickClock(), _observers=[seen]) as client:
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
    assert (call.method, call.path, call.route, call.billed) == ("GET", done.url, done.url, False)
    assert call.task_id == task.task_id
    assert all("authorization" not in headers for headers in seen.headers)


# What they are told.


async def test_a_call_is_described_by_its_route_and_what_it_is_about(sandbox: Sandbox, start: Start) -> None:
    seen = Recorder()
    async with start(sandbox, _observers=[seen]) as client:
        task = await submit_clip(client)
        await client.video.retrieve(task)
        await client.chat.completions.create(model="grok-4.3", messages=HELLO, extra_query={"token": "q-secret"})
    submit, retrieve, chat = seen.calls
    clips = "/video/generations"
    assert (submit.method, submit.route, submit.path, submit.billed) == ("POST", clips, clips, True)
    assert (submit.model, submit.task_id) == ("doubao-seedance-2-0-720p", None)
    assert (retrieve.method, retrieve.route, retrieve.billed) == ("GET", "/video/generations/{task_id}", False)
    assert (retrieve.path, retrieve.model) == (f"/video/generations/{task.task_id}", None)
    assert retrieve.task_id == task.task_id
    assert (chat.path, chat.model) == ("/chat/completions", "grok-4.3")
    assert "q-secret" not in repr(seen.calls)


async def test_the_seconds_in_the_queue_are_told_and_kept_on_the_error(sandbox: Sandbox, start: Start) -> None:
    sandbox.faults.add(Fault(MODELS, status=400))
    clock, seen = HandClock(), Recorder()
    errors: list[RelayDanceError] = []
    async with start(sandbox, clock, _observers=[seen]) as client:
        close_pace(client, 7.0)
        async with anyio.create_task_group() as group:

            async def call() -> None:
                errors.append(await failure_of(client.models.list()))

            group.start_soon(call)
            await wait_until(lambda: clock.sleeping == 1)
            assert seen.moments == ["began", "queued 1"]
            clock.advance(7.0)
    assert seen.waits == [7.0]
    assert [record.queued for record in errors[0].attempts] == [7.0]


async def test_a_call_that_is_admitted_at_once_waited_for_nothing(sandbox: Sandbox, start: Start) -> None:
    seen = Recorder()
    async with start(sandbox, HandClock(), _observers=[seen]) as client:
        open_pace(client)
        await client.models.list()
    assert seen.waits == [0.0]


async def test_headers_that_are_added_are_sent_and_the_key_is_not_among_those_shown(
    sandbox: Sandbox, start: Start
) -> None:
    seen = Recorder(add={"traceparent": "00-1-2-03", "authorization": "Bearer other"})
    async with (
        serve(as_json(b'{"data":[]}')) as server,
        start(sandbox, base_url=f"{server.url}/v1", _observers=[seen]) as client,
    ):
        await client.models.list()
    (shown,) = seen.headers
    assert "authorization" not in shown
    assert sandbox.api_key not in repr(shown)
    assert server.heads[0].get("traceparent") == "00-1-2-03"
    assert server.heads[0].get("authorization") == f"Bearer {sandbox.api_key}"


# When one raises.


class Bug(Exception):
    """An observer's own."""


def raising(moment: str) -> Callable[[str], None]:
    def at(now: str) -> None:
        if now == moment:
            raise Bug(moment)

    return at


@pytest.mark.parametrize("moment", ["began", "queued", "admitted", "answered", "failed", "ended"])
async def test_an_observer_that_raises_is_logged_and_costs_nothing(
    sandbox: Sandbox, start: Start, moment: str, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.faults.add(Fault(MODELS, status=503, times=1))
    other = Recorder()
    with caplog.at_level(logging.ERROR, "relaydance_async"):
        async with start(sandbox, QuickClock(), _observers=[Recorder(at=raising(moment)), other]) as client:
            assert (await client.models.list()).data
    assert "another observer, raised; the call goes on" in caplog.text
    assert f"Bug: {moment}" in caplog.text
    assert [moment.partition(" ")[0] for moment in other.moments].count("sending") == 2
    assert other.moments[-1] == "ended"


@pytest.mark.parametrize("call", [list_models, submit_clip, ask_chat, open_stream])
async def test_what_is_raised_when_it_is_sending_ends_the_call_with_nothing_sent(
    sandbox: Sandbox, start: Start, call: Any
) -> None:
    bug = Bug("journal full")

    def refuse(moment: str) -> None:
        if moment == "sending":
            raise bug

    seen = Recorder(at=refuse)
    async with start(sandbox, QuickClock(), _observers=[seen]) as client:
        with pytest.raises(Bug) as caught:
            await call(client)
        assert caught.value is bug
        assert look_at(client).permits == 0
    assert seen.ends == [(None, bug)]
    assert sandbox.ledger.count() == 0


async def test_an_error_of_ours_that_is_raised_when_it_is_sending_says_that_nothing_was_sent(
    sandbox: Sandbox, start: Start
) -> None:
    def refuse(moment: str) -> None:
        if moment == "sending":
            raise APIConnectionError("the journal is full")

    async with start(sandbox, QuickClock(), _observers=[Recorder(at=refuse)]) as client:
        error = await failure_of(submit_clip(client))
    assert error.message == "the journal is full"
    assert (error.sent_at, error.maybe_accepted, len(error.attempts)) == (None, False, 1)
    assert sandbox.ledger.count() == 0


async def test_a_cancellation_when_it_is_sending_ends_the_call_with_nothing_sent(
    sandbox: Sandbox, start: Start
) -> None:
    class Waiting(Recorder):
        async def sending(self, attempt: int) -> None:
            self.note(f"sending {attempt}")
            await anyio.sleep_forever()

    seen = Waiting()
    async with start(sandbox, _observers=[seen]) as client:
        await cancel_when(lambda: submit_clip(client), lambda: "sending 1" in seen.moments)
        assert look_at(client).permits == 0
    assert is_cancelled(seen)
    assert sandbox.ledger.count() == 0


async def test_a_deadline_that_passes_when_it_is_sending_says_that_nothing_was_sent(
    sandbox: Sandbox, start: Start
) -> None:
    class Waiting(Recorder):
        async def sending(self, attempt: int) -> None:
            await anyio.sleep_forever()

    async with start(sandbox, _observers=[Waiting()], deadline=0.1) as client:
        error = await failure_of(submit_clip(client))
    assert type(error) is APITimeoutError
    assert (error.sent_at, error.maybe_accepted) == (None, False)
    assert sandbox.ledger.count() == 0


async def test_a_view_keeps_the_observers_and_the_hook_hears_besides(sandbox: Sandbox, start: Start) -> None:
    sandbox.faults.add(Fault(MODELS, status=503, times=1))
    seen, events = Recorder(), list[Any]()
    async with start(sandbox, QuickClock(), _observers=[seen]) as client:
        await client.with_options(on_retry=events.append, deadline=99).models.list()
    assert [type(event.error) for event in events] == [ServerError]
    assert seen.moments[-1] == "ended"


async def test_who_does_not_want_to_watch_a_call_is_told_nothing_more(sandbox: Sandbox, start: Start) -> None:
    class Idle(Recorder):
        def call_began(self, call: Any) -> Any:
            super().call_began(call)

    seen = Idle()
    async with start(sandbox, _observers=[seen]) as client:
        await client.models.list()
        await open_stream(client)
    assert seen.moments == ["began", "began"]
