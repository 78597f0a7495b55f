"""Keyed calls that are cancelled: one on the wire is finished in the background, one that isn't ends at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from relaydance_async import (
    AsyncRelayDance,
    ChatCompletion,
    JournalEntry,
    SqliteJournal,
    StreamError,
    SubmissionInDoubtError,
    maybe_accepted,
)
from relaydance_async import _runtime as runtime
from relaydance_async.sandbox import Fault, Sandbox
from tests.call.support import Recorder
from tests.journal.conftest import OpenJournal
from tests.journal.support import CLIP, keyed, state_of
from tests.journal.test_keyed import CALLS, submit
from tests.kit.calls import HELLO
from tests.kit.clocks import HandClock
from tests.kit.inside import close_limits
from tests.kit.probe import NOTHING, look_at
from tests.kit.routes import CHAT, FILES, SUBMIT
from tests.kit.strangers import gateway
from tests.kit.transports import TRANSPORTS, transport_options
from tests.kit.waiting import wait_until

pytestmark = pytest.mark.anyio

Stop = Callable[[Awaitable[Any], Callable[[], bool]], Awaitable[BaseException | None]]


async def by_cancel(call: Awaitable[Any], reached: Callable[[], bool]) -> BaseException | None:
    task = asyncio.ensure_future(call)
    await wait_until(reached)
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    return caught.value


async def by_scope(call: Awaitable[Any], reached: Callable[[], bool]) -> BaseException | None:
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:

            async def stop() -> None:
                await wait_until(reached)
                scope.cancel()

            group.start_soon(stop)
            await call
    assert scope.cancelled_caught
    return None


async def by_timeout(call: Awaitable[Any], reached: Callable[[], bool]) -> BaseException | None:
    async def stop(limit: asyncio.Timeout) -> None:
        await wait_until(reached)
        limit.reschedule(0)

    async def limited() -> None:
        async with asyncio.timeout(None) as limit:
            stopping.append(asyncio.ensure_future(stop(limit)))
            await call

    stopping: list[asyncio.Future[None]] = []
    with pytest.raises(TimeoutError) as caught:
        await limited()
    await stopping[0]
    return caught.value


STOPS: dict[str, Stop] = {"Task.cancel": by_cancel, "a scope": by_scope, "asyncio.timeout": by_timeout}


@pytest.fixture(params=TRANSPORTS)
async def transport(request: pytest.FixtureRequest, anyio_backend: Any) -> AsyncIterator[dict[str, Any]]:
    async with transport_options(request.param) as options:
        yield options


@pytest.mark.parametrize("stop", STOPS)
@pytest.mark.parametrize("name", CALLS)
async def test_one_on_the_wire_is_finished_and_its_answer_kept(
    name: str, stop: str, sandbox: Sandbox, journal: SqliteJournal, transport: Any
) -> None:
    call, route = CALLS[name]
    sandbox.faults.add(Fault(route, delay=0.15))
    async with keyed(sandbox, journal, **transport) as client:
        await STOPS[stop](call(client, idempotency_key="row-1"), lambda: sandbox.ledger.count(route) == 1)
        assert look_at(client).tasks == 1
    # `aclose` has waited for it.
    assert look_at(client) == NOTHING
    assert await state_of(journal, origin=sandbox.root_url) == "accepted"
    async with keyed(sandbox, journal, **transport) as client:
        assert (await call(client, idempotency_key="row-1")).meta.replayed
    assert sandbox.ledger.count(route) == 1


async def test_its_caller_is_told_that_it_may_have_been_accepted(sandbox: Sandbox, journal: SqliteJournal) -> None:
    sandbox.faults.add(Fault(SUBMIT, delay=0.15))
    async with keyed(sandbox, journal) as client:
        error = await by_cancel(submit(client, idempotency_key="row-1"), lambda: sandbox.ledger.count() == 1)
        assert error is not None
        assert maybe_accepted(error) is True
        (note,) = error.__notes__
    assert note.startswith(
        "the request was on its way, and is finished in the background: call again with the key 'row"
    )


async def test_who_calls_again_while_it_is_finished_gets_its_answer(sandbox: Sandbox, journal: SqliteJournal) -> None:
    sandbox.faults.add(Fault(SUBMIT, delay=0.15))
    async with keyed(sandbox, journal) as client:
        await by_cancel(submit(client, idempotency_key="row-1"), lambda: sandbox.ledger.count() == 1)
        assert (await submit(client, idempotency_key="row-1")).meta.replayed
    assert sandbox.ledger.count() == 1


@pytest.mark.parametrize("stop", STOPS)
@pytest.mark.parametrize("name", CALLS)
async def test_one_that_waits_for_its_turn_ends_at_once_without_an_entry(
    name: str, stop: str, sandbox: Sandbox, journal: SqliteJournal
) -> None:
    call, _ = CALLS[name]
    async with keyed(sandbox, journal, HandClock()) as client:
        close_limits(client, 1000)
        error = await STOPS[stop](call(client, idempotency_key="row-1"), lambda: look_at(client).queued == 1)
        held = look_at(client)
        assert (held.permits, held.queued, held.tasks) == (0, 0, 0)
        assert error is None or maybe_accepted(error) is False
    assert [entry async for entry in journal.entries()] == []
    assert sandbox.ledger.count() == 0


async def test_one_that_is_about_to_be_sent_leaves_no_entry(
    sandbox: Sandbox, journal: SqliteJournal, transport: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cancelled while the entry is written: not a byte has left."""
    begun = asyncio.Event()
    real = SqliteJournal.begin

    async def begin(self: SqliteJournal, sending: Any) -> Any:
        begun.set()
        result = await real(self, sending)
        await anyio.sleep_forever()
        return result

    monkeypatch.setattr(SqliteJournal, "begin", begin)
    async with keyed(sandbox, journal, **transport) as client:
        await by_cancel(submit(client, idempotency_key="row-1"), begun.is_set)
        assert look_at(client).tasks == 0
        assert [entry async for entry in journal.entries()] == []
        monkeypatch.undo()
        assert not (await submit(client, idempotency_key="row-1")).meta.replayed
    assert sandbox.ledger.count() == 1


async def test_one_that_pauses_between_two_attempts_is_refused(sandbox: Sandbox, journal: SqliteJournal) -> None:
    sandbox.faults.add(Fault(SUBMIT, status=503))
    clock = HandClock()
    async with keyed(sandbox, journal, clock) as client:
        await by_cancel(submit(client, idempotency_key="row-1"), lambda: clock.sleeping == 1)
        assert look_at(client).tasks == 0
    assert await state_of(journal, origin=sandbox.root_url) == "refused"


async def test_one_that_waits_for_another_process_ends_at_once(sandbox: Sandbox, open_journal: OpenJournal) -> None:
    sandbox.faults.add(Fault(SUBMIT, delay=0.3))
    async with (
        keyed(sandbox, open_journal()) as ours,
        keyed(sandbox, open_journal()) as other,
        anyio.create_task_group() as group,
    ):
        group.start_soon(lambda: submit(ours, idempotency_key="row-1"))
        await wait_until(lambda: sandbox.ledger.count() == 1)
        with anyio.move_on_after(0.05):
            await submit(other, idempotency_key="row-1")
        assert look_at(other).tasks == 0
    assert sandbox.ledger.count() == 1


def silence(path: str, number: int) -> None:
    return None


async def test_what_is_finished_takes_no_longer_than_a_minute(
    journal: SqliteJournal, transport: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relaydance_async._call.keyed.FINISH_SECONDS", 0.1)
    async with gateway(silence) as server:
        client = AsyncRelayDance("sk-1", base_url=server.base_url, journal=journal, **transport)
        async with client:
            await by_cancel(submit(client, idempotency_key="row-1"), server.arrived.is_set)
            await wait_until(lambda: look_at(client).tasks == 0)
            assert await state_of(journal, origin=server.base_url.removesuffix("/v1")) == "in doubt"


async def test_what_is_finished_takes_no_longer_than_its_deadline(
    journal: SqliteJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relaydance_async._call.keyed.FINISH_SECONDS", 0.0)  # which is not for it
    async with (
        gateway(silence) as server,
        AsyncRelayDance("sk-1", base_url=server.base_url, journal=journal, deadline=0.3) as client,
    ):
        await by_cancel(submit(client, idempotency_key="row-1"), server.arrived.is_set)
        await anyio.sleep(0.05)
        assert look_at(client).tasks == 1
        await wait_until(lambda: look_at(client).tasks == 0)
        assert await state_of(journal, origin=server.base_url.removesuffix("/v1")) == "in doubt"


async def test_closing_waits_for_a_bounded_time(journal: SqliteJournal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "FINISH_SECONDS", 0.1)
    async with gateway(silence) as server:
        client = AsyncRelayDance("sk-1", base_url=server.base_url, journal=journal)
        await by_cancel(submit(client, idempotency_key="row-1"), server.arrived.is_set)
        with anyio.fail_after(5):
            await client.aclose()
        assert look_at(client) == NOTHING
        assert await state_of(journal, origin=server.base_url.removesuffix("/v1")) == "in doubt"


async def test_closing_that_is_cancelled_ends_it(journal: SqliteJournal) -> None:
    async with gateway(silence) as server:
        client = AsyncRelayDance("sk-1", base_url=server.base_url, journal=journal)
        await by_cancel(submit(client, idempotency_key="row-1"), server.arrived.is_set)
        with anyio.move_on_after(0.05):
            await client.aclose()
        await wait_until(lambda: look_at(client) == NOTHING)
        assert await state_of(journal, origin=server.base_url.removesuffix("/v1")) == "in doubt"


async def test_an_upload_is_finished_though_its_caller_has_gone(
    sandbox: Sandbox, journal: SqliteJournal, transport: Any, tmp_path: Path
) -> None:
    file = tmp_path / "large.jpg"
    file.write_bytes(b"x" * 8 * 2**20)
    begun = asyncio.Event()

    def slowly(done: int, total: int | None) -> None:
        begun.set()
        time.sleep(0.01)

    async with keyed(sandbox, journal, **transport) as client:
        call = client.files.upload(file, idempotency_key="file", on_progress=slowly)
        await by_cancel(call, begun.is_set)
        assert (await client.files.upload(file, idempotency_key="file")).meta.replayed
    assert sandbox.ledger.count(FILES) == 1
    assert sandbox.ledger.entries[0].accepted


# Streams.


async def test_a_stream_that_is_read_and_cancelled_is_in_doubt(sandbox: Sandbox, journal: SqliteJournal) -> None:
    read = asyncio.Event()

    async def listen(client: AsyncRelayDance) -> None:
        create: Any = client.chat.completions.create
        extra = {"sandbox_chunks": 1000, "sandbox_chunk_delay": 0.01}
        options = {"messages": HELLO, "stream": True, "extra_body": extra, "idempotency_key": "row-1"}
        async with await create(model="grok-4.3", **options) as stream:
            async for _ in stream:
                read.set()

    async with keyed(sandbox, journal) as client:
        error = await by_cancel(listen(client), read.is_set)
        assert error is not None
        assert maybe_accepted(error) is True
        assert await state_of(journal, origin=sandbox.root_url) == "in doubt"
        assert look_at(client).tasks == 0


async def test_a_stream_that_is_left_early_is_in_doubt(sandbox: Sandbox, journal: SqliteJournal) -> None:
    async with keyed(sandbox, journal) as client:
        create: Any = client.chat.completions.create
        text = ""
        async with await create(model="grok-4.3", messages=HELLO, stream=True, idempotency_key="row-1") as stream:
            async for _ in stream:
                if text := stream.text:
                    break
        (entry,) = [entry async for entry in journal.entries()]
        assert (entry.state, entry.reason) == ("in doubt", "its stream was closed before its end")
        with pytest.raises(SubmissionInDoubtError, match="what came of it is in") as caught:
            await create(model="grok-4.3", messages=HELLO, stream=True, idempotency_key="row-1")
        assert caught.value.entry is not None
        assert came_in(caught.value.entry) == text
        await journal.release("row-1")
        await CALLS["stream"][0](client, idempotency_key="row-1")
        (_, entry) = await journal.history("row-1")
        assert entry.state == "accepted"
        assert came_in(entry).startswith("You said: ")


def came_in(entry: JournalEntry) -> str:
    return ChatCompletion.model_validate_json(entry.answer or "").choices[0].message.content or ""


@pytest.mark.parametrize(
    "fault", [{"cut_stream_after": 2}, {"truncate_stream_after": 2}, {"stream_error_after": 2}], ids=str
)
async def test_a_stream_that_breaks_is_in_doubt(fault: Any, sandbox: Sandbox, journal: SqliteJournal) -> None:
    sandbox.faults.add(Fault(CHAT, **fault))
    async with keyed(sandbox, journal) as client:
        with pytest.raises(StreamError):
            await CALLS["stream"][0](client, idempotency_key="row-1")
        (entry,) = [entry async for entry in journal.entries()]
        assert entry.state == "in doubt"
        assert came_in(entry)


async def test_observers_hear_of_a_keyed_call_as_of_any_other(sandbox: Sandbox, journal: SqliteJournal) -> None:
    seen = Recorder()
    async with keyed(sandbox, journal, observers=[seen]) as client:
        await submit(client, idempotency_key="row-1")
        once = ["began", "queued 1", "admitted 1", "sending 1", "answered 1 200", "ended"]
        assert seen.moments == once
        await submit(client, idempotency_key="row-1")
        assert seen.moments == [*once, "began", "ended"]  # nothing was sent


# Programs.


def test_a_loop_that_ends_leaves_what_was_on_the_wire_in_doubt(tmp_path: Path) -> None:
    """`asyncio.run` cancels all tasks at its end; without `aclose` nobody waits."""
    journal = SqliteJournal(tmp_path / "run.db")

    async def program() -> str:
        async with gateway(silence) as server:
            client = AsyncRelayDance("sk-1", base_url=server.base_url, journal=journal)
            await by_cancel(submit(client, idempotency_key="row-1"), server.arrived.is_set)
            return server.base_url.removesuffix("/v1")

    origin = asyncio.run(program())

    async def look() -> str | None:
        async with journal:
            return await state_of(journal, origin=origin)

    assert asyncio.run(look()) == "in doubt"


def test_on_trio_it_is_finished_too(tmp_path: Path) -> None:
    import httpx

    async def program(sandbox: Sandbox) -> None:
        async with (
            SqliteJournal(tmp_path / "run.db") as journal,
            httpx.AsyncClient(verify=False) as http,
            keyed(sandbox, journal, http_client=http) as client,
        ):
            async with anyio.create_task_group() as group:
                group.start_soon(partial(client.video.submit, **CLIP, idempotency_key="row-1"))
                await wait_until(lambda: bool(sandbox.faults.fired))
                group.cancel_scope.cancel()
            assert look_at(client).tasks == 1
            with anyio.fail_after(5):
                assert (await client.video.submit(**CLIP, idempotency_key="row-1")).meta.replayed
            assert (await client.video.submit(**CLIP, idempotency_key="row-2")).task_id

    with Sandbox(faults=[Fault(SUBMIT, delay=0.3, at=(1,))]) as sandbox:
        anyio.run(program, sandbox, backend="trio")
        assert sandbox.ledger.count() == 2
