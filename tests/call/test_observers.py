"""What observers are told of a call, and what they can do to it."""

from __future__ import annotations

import anyio
import pytest

from relaydance_async import RelayDanceError, RetryPolicy
from relaydance_async.sandbox import ConnectionFault, Fault, FaultyProxy, Sandbox
from tests.call.support import Recorder, Start, closed_port, failure_of
from tests.kit.calls import HELLO, submit_clip
from tests.kit.clocks import HandClock, QuickClock
from tests.kit.inside import close_limits, open_limits
from tests.kit.probe import look_at
from tests.kit.routes import MODELS, SUBMIT
from tests.kit.waiting import wait_until
from tests.transports.support import as_json, serve

pytestmark = pytest.mark.anyio

ONE_GOOD = ["began", "queued 1", "admitted 1", "sending 1", "answered 1 200", "ended"]


async def test_a_call_that_succeeds_is_told_in_order_and_ends_with_its_result(sandbox: Sandbox, start: Start) -> None:
    seen = Recorder()
    async with start(sandbox, observers=[seen]) as client:
        models = await client.models.list()
    assert seen.moments == ONE_GOOD
    assert seen.ends == [(models, None)]


async def test_each_attempt_of_a_call_is_told_and_its_error_is_the_finished_one(sandbox: Sandbox, start: Start) -> None:
    sandbox.faults.add(Fault(SUBMIT, status=503, at=(1,)))
    sandbox.faults.add(Fault(SUBMIT, status=400, at=(2,)))
    seen = Recorder()
    async with start(sandbox, QuickClock(), observers=[seen]) as client:
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
        sandbox, QuickClock(), base_url=base_url, observers=[seen], retry=RetryPolicy(max_attempts=1)
    ) as client:
        await failure_of(submit_clip(client))
    assert seen.moments == ["began", "queued 1", "admitted 1", "failed 1 GiveUp", "ended"]


async def test_a_connection_that_breaks_before_the_answer_is_never_answered(sandbox: Sandbox, start: Start) -> None:
    seen = Recorder()
    with FaultyProxy(sandbox.root_url, [ConnectionFault("reset_after_request")]) as proxy:
        async with start(sandbox, QuickClock(), base_url=proxy.base_url, observers=[seen]) as client:
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
    async with start(sandbox, observers=[seen]) as client:
        await client.models.list()
        await submit_clip(client)
    assert counts == [(1, 0), (1, 1)]
    assert seen.moments.count("sending 1") == 2


async def test_a_call_is_described_by_its_route_and_what_it_is_about(sandbox: Sandbox, start: Start) -> None:
    seen = Recorder()
    async with start(sandbox, observers=[seen]) as client:
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
    async with start(sandbox, clock, observers=[seen]) as client:
        close_limits(client, 7.0)
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
    async with start(sandbox, HandClock(), observers=[seen]) as client:
        open_limits(client)
        await client.models.list()
    assert seen.waits == [0.0]


async def test_headers_that_are_added_are_sent_and_the_key_is_not_among_those_shown(
    sandbox: Sandbox, start: Start
) -> None:
    seen = Recorder(add={"traceparent": "00-1-2-03", "authorization": "Bearer other"})
    async with (
        serve(as_json(b'{"data":[]}')) as server,
        start(sandbox, base_url=f"{server.url}/v1", observers=[seen]) as client,
    ):
        await client.models.list()
    (shown,) = seen.headers
    assert "authorization" not in shown
    assert sandbox.api_key not in repr(shown)
    assert server.heads[0].get("traceparent") == "00-1-2-03"
    assert server.heads[0].get("authorization") == f"Bearer {sandbox.api_key}"
