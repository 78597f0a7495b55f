"""Which events hooks are told, over real sockets."""

from __future__ import annotations

import asyncio
import json
import pickle
import re
from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import anyio
import pytest

from relaydance_async import (
    APIConnectionError,
    AsyncRelayDance,
    IncompleteStreamError,
    Limit,
    Limits,
    ServerError,
    SqliteJournal,
    TaskFailedError,
    fan_out_list,
)
from relaydance_async.errors import IdempotencyKeyReusedError
from relaydance_async.hooks import (
    Admitted,
    AttemptEnded,
    CallBegan,
    CallEnded,
    CallEvent,
    Downloaded,
    FirstToken,
    HookEvent,
    Polled,
    Retrying,
    StreamEnded,
)
from relaydance_async.sandbox import ConnectionFault, Fault, FaultyProxy, Sandbox, TaskPlan, TaskScript
from tests.call.support import cancel_when, failure_of
from tests.hooks.support import ATTEMPT, KINDS, ONCE, Heard, HeardLater
from tests.kit.calls import HELLO, ask_chat, client_of, list_models, open_stream, submit_clip
from tests.kit.clocks import QuickClock
from tests.kit.routes import CHAT, FETCH, MODELS, SUBMIT
from tests.kit.waiting import wait_until

pytestmark = pytest.mark.anyio

MODEL = "doubao-seedance-2-0-720p"


async def test_a_call_that_succeeds_at_once(sandbox: Sandbox) -> None:
    heard = Heard()
    async with client_of(sandbox, hooks=[heard]) as client:
        answer = await ask_chat(client)
    assert heard.names == ONCE
    ended, began = heard.one(CallEnded), heard.one(CallBegan)
    assert (ended.outcome, ended.error, ended.attempts, ended.status_code) == ("returned", None, 1, 200)
    assert ended.request_id == sandbox.ledger.entries[0].request_id
    assert (ended.input_tokens, ended.output_tokens) == (answer.usage.prompt_tokens, answer.usage.completion_tokens)
    assert began.call == ended.call
    assert began.call.url == f"{sandbox.base_url}/chat/completions"
    assert (began.call.method, began.call.model, began.call.billed) == ("POST", "grok-4.3", True)
    times = [event.elapsed for event in heard.all(CallEvent)]
    assert times == sorted(times)


async def test_each_call_has_an_id_of_its_own(sandbox: Sandbox) -> None:
    heard = Heard()
    async with client_of(sandbox, hooks=[heard]) as client:
        await list_models(client)
        await list_models(client)
    first, second = (event.call.id for event in heard.all(CallBegan))
    assert len(first) == 16
    assert first != second
    assert [event.call.id for event in heard.all(CallEvent)] == [first] * 5 + [second] * 5


async def test_a_retry(sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault(MODELS, status=503, times=1))
    heard = Heard()
    async with client_of(sandbox, QuickClock(), hooks=[heard]) as client:
        await list_models(client)
    assert heard.names == ["CallBegan", *ATTEMPT, "Retrying", *ATTEMPT, "CallEnded"]
    retrying = heard.one(Retrying)
    assert isinstance(retrying.error, ServerError)
    assert retrying.wait > 0
    failed, succeeded = heard.all(AttemptEnded)
    assert (failed.attempt, failed.status_code, failed.error) == (1, 503, retrying.error)
    assert (succeeded.attempt, succeeded.status_code, succeeded.error) == (2, 200, None)
    assert heard.one(CallEnded).attempts == 2


async def test_an_ambiguous_failure(sandbox: Sandbox) -> None:
    heard = Heard()
    with FaultyProxy(sandbox.root_url, [ConnectionFault("reset_after_request")]) as proxy:
        async with client_of(sandbox, QuickClock(), base_url=proxy.base_url, hooks=[heard]) as client:
            error = await failure_of(submit_clip(client))
    assert heard.names == ONCE
    ended, attempt = heard.one(CallEnded), heard.one(AttemptEnded)
    assert (ended.outcome, ended.error, ended.maybe_accepted) == ("failed", error, True)
    assert isinstance(attempt.error, APIConnectionError)
    assert (attempt.status_code, attempt.request_id) == (None, None)


async def test_a_cancelled_call(sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault(SUBMIT, delay=60))
    heard = Heard()
    async with client_of(sandbox, hooks=[heard]) as client:
        await cancel_when(lambda: submit_clip(client), lambda: len(sandbox.ledger.entries) == 1)
    assert heard.names == ONCE
    ended = heard.one(CallEnded)
    assert (ended.outcome, ended.error, ended.maybe_accepted) == ("cancelled", None, True)
    assert heard.one(AttemptEnded).error is None


async def test_a_call_that_is_cancelled_in_the_queue_was_never_admitted(sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault(MODELS, delay=60))
    heard = Heard()
    async with client_of(sandbox, max_concurrency=1, hooks=[heard]) as client, anyio.create_task_group() as group:
        group.start_soon(list_models, client)
        await wait_until(lambda: len(sandbox.ledger.entries) == 1)
        await cancel_when(lambda: list_models(client), lambda: len(heard.all(CallBegan)) == 2)
        second = heard.all(CallBegan)[1]
        mine = [type(event) for event in heard.all(CallEvent) if event.call.id == second.call.id]
        assert mine == [CallBegan, CallEnded]
        group.cancel_scope.cancel()


async def test_who_had_to_wait_is_told_why(sandbox: Sandbox) -> None:
    heard = Heard()
    async with client_of(sandbox, max_concurrency=1, hooks=[heard]) as client, anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(list_models, client)
    first, *others = heard.all(Admitted)
    assert (first.queued, first.why) == (0, None)
    assert [event.why for event in others] == ["no permit was free"] * 2
    assert all(event.queued > 0 for event in others)


async def test_who_waits_for_a_limit_is_told_which(sandbox: Sandbox) -> None:
    heard = Heard()
    limits = Limits(per_kind={"chat": Limit(in_flight=1)})
    async with client_of(sandbox, limits=limits, hooks=[heard]) as client, anyio.create_task_group() as group:
        group.start_soon(ask_chat, client)
        group.start_soon(ask_chat, client)
    first, second = heard.all(Admitted)
    assert first.why is None
    assert second.why is not None
    assert "/chat/completions" in second.why


async def test_a_stream_that_is_read_to_its_end(sandbox: Sandbox) -> None:
    heard = Heard()
    async with client_of(sandbox, hooks=[heard]) as client:
        whole = await open_stream(client)
    assert heard.names == ["CallBegan", "Admitted", "Sending", "FirstToken", "StreamEnded", "AttemptEnded", "CallEnded"]
    assert heard.one(StreamEnded).is_complete
    assert heard.one(StreamEnded).chunks > 3
    ended = heard.one(CallEnded)
    assert (ended.outcome, ended.output_tokens) == ("returned", whole.usage.completion_tokens)
    assert 0 < heard.one(FirstToken).elapsed < ended.elapsed


async def test_a_stream_that_is_left_half_way(sandbox: Sandbox) -> None:
    heard = Heard()
    async with client_of(sandbox, hooks=[heard]) as client:
        stream = await client.chat.completions.create(model="grok-4.3", messages=HELLO, stream=True)
        async with stream:
            await anext(stream)
            assert not heard.all(CallEnded)
    assert not heard.one(StreamEnded).is_complete
    assert heard.one(CallEnded).outcome == "left"


async def test_a_stream_that_breaks(sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault(CHAT, truncate_stream_after=2))
    heard = Heard()
    async with client_of(sandbox, hooks=[heard]) as client:
        error = await failure_of(open_stream(client))
    assert isinstance(error, IncompleteStreamError)
    assert not heard.one(StreamEnded).is_complete
    assert (heard.one(CallEnded).outcome, heard.one(CallEnded).error) == ("failed", error)


async def test_a_stream_whose_reader_is_cancelled(sandbox: Sandbox) -> None:
    heard = Heard()
    async with client_of(sandbox, hooks=[heard]) as client:

        async def read() -> None:
            create = client.chat.completions.create
            async with await create(model="grok-4.3", messages=HELLO, stream=True) as stream:
                async for _ in stream:
                    if heard.all(FirstToken):
                        await anyio.sleep_forever()

        await cancel_when(read, lambda: bool(heard.all(FirstToken)))
    assert heard.names[-3:] == ["StreamEnded", "AttemptEnded", "CallEnded"]
    assert heard.one(CallEnded).outcome == "cancelled"


async def test_a_wait_with_its_polls() -> None:
    heard = Heard()
    with Sandbox(time_scale=0, tasks=TaskPlan(TaskScript(queue=5, run=60))) as sandbox:
        async with client_of(sandbox, QuickClock(sandbox.clock.advance), hooks=[heard]) as client:
            task = await client.video.generate(model=MODEL, prompt="a cat turns", seconds=5)
    polls = heard.all(Polled)
    assert len(polls) > 2
    assert {poll.task_id for poll in polls} == {task.task_id}
    assert (polls[-1].status, polls[-1].pause) == ("succeeded", None)
    assert all(poll.pause and poll.status != "succeeded" for poll in polls[:-1])
    assert [poll.elapsed for poll in polls] == sorted(poll.elapsed for poll in polls)
    assert len(heard.all(CallEnded)) == 1 + len(polls)


async def test_a_poll_that_fails_is_told_with_its_error(sandbox: Sandbox) -> None:
    heard = Heard()
    async with client_of(sandbox, QuickClock(sandbox.clock.advance), hooks=[heard]) as client:
        task = await submit_clip(client)
        sandbox.faults.add(Fault(FETCH, status=503, times=4))
        await client.video.wait(task)
    failed = heard.all(Polled)[0]
    assert isinstance(failed.error, ServerError)
    assert failed.status is None
    assert failed.pause is not None


async def test_a_task_that_fails_ends_its_polls() -> None:
    heard = Heard()
    with Sandbox(time_scale=0, tasks=TaskPlan(TaskScript(outcome="failed"))) as sandbox:
        async with client_of(sandbox, QuickClock(sandbox.clock.advance), hooks=[heard]) as client:
            with pytest.raises(TaskFailedError):
                await client.video.wait(await submit_clip(client))
    assert (heard.all(Polled)[-1].status, heard.all(Polled)[-1].pause) == ("failed", None)


async def test_a_download(sandbox: Sandbox, tmp_path: Path) -> None:
    heard = Heard()
    async with client_of(sandbox, QuickClock(sandbox.clock.advance), hooks=[heard]) as client:
        task = await client.video.generate(model=MODEL, prompt="a cat turns", seconds=5)
        heard.events.clear()
        path = await client.video.download(task, tmp_path / "a.mp4")
    size = path.stat().st_size
    last = heard.all(Downloaded)[-1]
    assert (last.done, last.total) == (size, size)
    assert len(heard.all(Downloaded)) <= 2 + size // 2**20
    call = heard.all(CallBegan)[-1].call
    assert (call.route, call.billed) == ("", False)
    assert "?" not in call.url
    assert heard.all(CallEnded)[-1].outcome == "returned"


async def test_a_download_that_is_streamed(sandbox: Sandbox) -> None:
    heard = Heard()
    async with client_of(sandbox, QuickClock(sandbox.clock.advance), hooks=[heard]) as client:
        task = await client.video.generate(model=MODEL, prompt="a cat turns", seconds=5)
        heard.events.clear()
        async with client.video.stream_content(task) as pieces:
            came = b"".join([piece async for piece in pieces])
    assert heard.all(Downloaded)[-1].done == len(came)
    assert heard.all(StreamEnded)[-1].is_complete
    assert heard.all(CallEnded)[-1].outcome == "returned"


async def test_a_fan_out(sandbox: Sandbox) -> None:
    heard = Heard()
    async with client_of(sandbox, hooks=[heard]) as client:
        outcomes = await fan_out_list(lambda _: ask_chat(client), range(20), in_flight=5)
    assert all(outcome.error is None for outcome in outcomes)
    assert len({event.call.id for event in heard.all(CallEnded)}) == 20


@pytest.mark.parametrize("ask", [ask_chat, open_stream])
async def test_a_call_that_is_replayed_from_the_journal(sandbox: Sandbox, tmp_path: Path, ask: object) -> None:
    heard = Heard()
    async with (
        SqliteJournal(tmp_path / "a.db") as journal,
        client_of(sandbox, journal=journal, hooks=[heard]) as client,
    ):

        async def call() -> None:
            create = client.chat.completions.create
            if ask is ask_chat:
                await create(model="grok-4.3", messages=HELLO, idempotency_key="row-1")
                return
            async with await create(model="grok-4.3", messages=HELLO, stream=True, idempotency_key="row-1") as stream:
                await stream.get_final_completion()

        await call()
        assert not heard.one(CallEnded).replayed
        heard.events.clear()
        await call()
    assert heard.names == ["CallBegan", "CallEnded"]
    ended = heard.one(CallEnded)
    assert (ended.outcome, ended.replayed, ended.attempts) == ("returned", True, 0)
    assert len(sandbox.ledger.entries) == 1


async def test_a_key_that_stands_in_the_way_is_told_as_a_failed_call(sandbox: Sandbox, tmp_path: Path) -> None:
    heard = Heard()
    async with (
        SqliteJournal(tmp_path / "a.db") as journal,
        client_of(sandbox, journal=journal, hooks=[heard]) as client,
    ):
        submit = client.video.submit
        await submit(model=MODEL, prompt="a cat", idempotency_key="row-1")
        heard.events.clear()
        with pytest.raises(IdempotencyKeyReusedError) as caught:
            await submit(model=MODEL, prompt="another cat", idempotency_key="row-1")
    assert heard.names == ["CallBegan", "CallEnded"]
    assert (heard.one(CallEnded).outcome, heard.one(CallEnded).error) == ("failed", caught.value)


# What the events are.


@pytest.fixture
async def all_events(sandbox: Sandbox, tmp_path: Path) -> list[HookEvent]:
    """At least one of each kind."""
    heard = Heard()
    sandbox.faults.add(Fault(MODELS, status=503, times=1))
    async with client_of(sandbox, QuickClock(sandbox.clock.advance), hooks=[heard]) as client:
        await list_models(client)
        await open_stream(client)
        task = await client.video.generate(model=MODEL, prompt="one two three", seconds=5)
        await client.video.download(task, tmp_path / "a.mp4")
    assert {type(event) for event in heard.events} == set(KINDS)
    return heard.events


async def test_events_can_be_pickled_and_not_changed(all_events: list[HookEvent]) -> None:
    for event in all_events:
        copy = pickle.loads(pickle.dumps(event))
        assert type(copy) is type(event)
        assert repr(copy) == repr(event)
        with pytest.raises(FrozenInstanceError):
            event.elapsed = 1.0  # type: ignore[misc]


async def test_no_event_holds_the_key_or_what_was_asked_and_answered(
    sandbox: Sandbox, all_events: list[HookEvent]
) -> None:
    written = repr(all_events) + "".join(str(pickle.dumps(event)) for event in all_events)
    assert sandbox.api_key not in written
    assert "one two three" not in written
    assert "?" not in json.dumps([event.call.url for event in all_events if isinstance(event, CallEvent)])


def test_the_fields_of_all_events_are_documented() -> None:
    for kind in KINDS:
        own = {field.name for field in fields(kind)} - {field.name for field in fields(CallEvent)}
        documented = f"{kind.__doc__}" + (f"{CallEvent.__doc__}" if kind is Polled else "")
        assert all(f"{name}:" in documented for name in own), kind


def by_call(heard: Heard) -> dict[str, list[str]]:
    """The events of each call, as they came."""
    found: dict[str, list[str]] = {}
    for event in heard.events:
        if isinstance(event, CallEvent):
            found.setdefault(event.call.id, []).append(type(event).__name__)
    return found


def test_the_page_has_all_events_with_all_their_fields() -> None:
    page = (Path(__file__).parents[2] / "docs" / "observability.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| [^|]* \|(.*)\|$", page, re.MULTILINE))
    common = {field.name for field in fields(CallEvent)}
    for kind in KINDS:
        own = [field.name for field in fields(kind) if kind is Polled or field.name not in common]
        assert re.findall(r"`(\w+)`", rows[kind.__name__]) == own


async def test_asynchronous_hooks_are_told_the_same_in_the_same_order(sandbox: Sandbox) -> None:
    at_once, later = Heard(), HeardLater()
    sandbox.faults.add(Fault(MODELS, status=503, times=1))
    async with client_of(sandbox, QuickClock(), hooks=[at_once, later]) as client:
        await list_models(client)
        await open_stream(client)
    assert by_call(later) == by_call(at_once)


@pytest.mark.parametrize("anyio_backend", [("asyncio", {"use_uvloop": True}), "trio"])
async def test_other_event_loops(sandbox: Sandbox) -> None:
    import httpx

    at_once, later = Heard(), HeardLater()
    async with (
        httpx.AsyncClient(trust_env=False) as http,
        client_of(sandbox, http_client=http, hooks=[at_once, later]) as client,
    ):
        await ask_chat(client)
        await open_stream(client)
    assert at_once.names[:5] == ONCE
    assert by_call(later) == by_call(at_once)


def test_a_client_in_one_loop_after_another(sandbox: Sandbox) -> None:
    later = HeardLater()
    client = client_of(sandbox, hooks=[later])

    async def once(client: AsyncRelayDance) -> None:
        async with client:
            await list_models(client)

    for _ in range(2):
        asyncio.run(once(client))
    assert later.names == ONCE * 2
