"""Calls with an idempotency key, over each of our transports and over a caller's client."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pytest

from relaydance_async import (
    APIConnectionError,
    APITimeoutError,
    AsyncRelayDance,
    BadRequestError,
    ConfigurationError,
    ContentRefusedError,
    IdempotencyKeyReusedError,
    InvalidInputError,
    JournalEntry,
    JournalError,
    RateLimitError,
    RetryPolicy,
    ServerError,
    SqliteJournal,
    SubmissionInDoubtError,
    TaskFailedError,
)
from relaydance_async.sandbox import Account, ConnectionFault, Fault, FaultyProxy, Sandbox, TaskPlan, TaskScript
from relaydance_async.webhooks import WebhookReceiver
from tests.call.support import closed_port
from tests.journal.conftest import OpenJournal
from tests.journal.support import CLIP, keyed, sending
from tests.kit.calls import HELLO, client_of
from tests.kit.clocks import QuickClock
from tests.kit.probe import look_at
from tests.kit.routes import CHAT, EDITS, FILES, IMAGES, SUBMIT
from tests.kit.transports import TRANSPORTS, transport_options

pytestmark = pytest.mark.anyio

Call = Callable[..., Awaitable[Any]]


async def chat(client: AsyncRelayDance, **options: Any) -> Any:
    create: Any = client.chat.completions.create
    return await create(model="grok-4.3", messages=HELLO, **options)


async def stream(client: AsyncRelayDance, **options: Any) -> Any:
    create: Any = client.chat.completions.create
    async with await create(model="grok-4.3", messages=HELLO, stream=True, **options) as found:
        completion: Any = await found.get_final_completion()
        return completion


async def image(client: AsyncRelayDance, **options: Any) -> Any:
    return await client.images.generate(model="grok-imagine-image", prompt="a cat", **options)


async def edit(client: AsyncRelayDance, **options: Any) -> Any:
    return await client.images.edit(model="grok-imagine-image", prompt="a hat", image=b"no picture", **options)


async def submit(client: AsyncRelayDance, **options: Any) -> Any:
    return await client.video.submit(**{**CLIP, **options})


async def upload(client: AsyncRelayDance, **options: Any) -> Any:
    return await client.files.upload(b"no picture", filename="cat.jpg", **options)


CALLS: dict[str, tuple[Call, str]] = {
    "submit": (submit, SUBMIT),
    "chat": (chat, CHAT),
    "stream": (stream, CHAT),
    "image": (image, IMAGES),
    "edit": (edit, EDITS),
    "upload": (upload, FILES),
}


@pytest.fixture(params=TRANSPORTS)
async def transport(request: pytest.FixtureRequest, anyio_backend: Any) -> AsyncIterator[dict[str, Any]]:
    async with transport_options(request.param) as options:
        yield options


async def entry_of(journal: SqliteJournal, sandbox: Sandbox, key: str = "row-1") -> JournalEntry:
    entry = await journal.find(sandbox.root_url, key)
    assert entry is not None
    return entry


@pytest.mark.parametrize("name", CALLS)
async def test_a_key_is_sent_once_and_its_answer_is_replayed(
    name: str, sandbox: Sandbox, open_journal: OpenJournal, transport: Any
) -> None:
    call, route = CALLS[name]
    journal = open_journal()
    async with keyed(sandbox, journal, **transport) as client:
        first = await call(client, idempotency_key="row-1")
        again = await call(client, idempotency_key="row-1")
        assert (first.meta.replayed, again.meta.replayed) == (False, True)
        assert again == first
        assert again.meta.request_id is not None
        other = await call(client, idempotency_key="row-2")
        assert not other.meta.replayed
    assert sandbox.ledger.count(route) == 2
    entry = await entry_of(journal, sandbox)
    assert (entry.state, entry.attempt, f"POST /v1{entry.route}") == ("accepted", 1, route)
    # And in the next process.
    async with keyed(sandbox, open_journal(), **transport) as client:
        assert await call(client, idempotency_key="row-1") == first
    assert sandbox.ledger.count(route) == 2


@pytest.mark.parametrize("name", CALLS)
async def test_without_a_journal_a_key_is_refused(name: str, sandbox: Sandbox) -> None:
    async with client_of(sandbox) as client:
        with pytest.raises(ConfigurationError, match=r"needs a journal.*AsyncRelayDance\(journal=SqliteJournal"):
            await CALLS[name][0](client, idempotency_key="row-1")
    assert sandbox.ledger.count() == 0


@pytest.mark.parametrize("name", CALLS)
async def test_a_journal_without_a_key_leaves_the_call_as_it_is(
    name: str, sandbox: Sandbox, journal: SqliteJournal, path: Path
) -> None:
    async with keyed(sandbox, journal) as client:
        for _ in range(2):
            assert not (await CALLS[name][0](client)).meta.replayed
    assert sandbox.ledger.count() == 2
    assert not path.exists()


@pytest.mark.parametrize("key", ["", "  ", 7, "x" * 501, "a\0b", "\ud800"])
async def test_what_cannot_be_a_key(key: Any, sandbox: Sandbox, journal: SqliteJournal) -> None:
    async with keyed(sandbox, journal) as client:
        with pytest.raises(InvalidInputError, match="idempotency_key must be a non-empty string"):
            await submit(client, idempotency_key=key)
    assert sandbox.ledger.count() == 0


# The same key for something else.


@pytest.mark.parametrize("name", CALLS)
async def test_the_same_key_for_another_endpoint(name: str, sandbox: Sandbox, journal: SqliteJournal) -> None:
    other = "chat" if name == "image" else "image"
    async with keyed(sandbox, journal) as client:
        await CALLS[other][0](client, idempotency_key="row-1")
        with pytest.raises(IdempotencyKeyReusedError) as caught:
            await CALLS[name][0](client, idempotency_key="row-1")
    assert sandbox.ledger.count() == 1
    error = caught.value
    assert error.message.startswith("the key 'row-1' was used for another request, sent at 20")
    assert (error.entry.route if error.entry else None, error.maybe_accepted) == (
        CALLS[other][1].removeprefix("POST /v1"),
        False,
    )


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": "a dog"},
        {"seconds": 6},
        {"model": "doubao-seedance-2-0-480p"},
        {"ratio": "1:1"},
        {"metadata": {"seed": 1}},
        {"references": ["https://a.example/b.png?v=2"]},
        {"extra_body": {"x": 1}},
        {"extra_query": {"x": "1"}},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_the_same_key_with_other_parameters(
    change: dict[str, Any], sandbox: Sandbox, journal: SqliteJournal
) -> None:
    async with keyed(sandbox, journal) as client:
        await submit(client, idempotency_key="row-1", references=["https://a.example/b.png?v=1"])
        params = {"references": ["https://a.example/b.png?v=1"], **change}
        with pytest.raises(IdempotencyKeyReusedError):
            await submit(client, idempotency_key="row-1", **params)
    assert sandbox.ledger.count() == 1


async def test_what_says_nothing_about_the_request_may_differ(sandbox: Sandbox, journal: SqliteJournal) -> None:
    receiver = WebhookReceiver(client_of(sandbox), secret=b"x" * 16)
    url = "https://bucket.example/b.png?v=1&X-Amz-Date={0}&X-Amz-Signature={0}"
    async with keyed(sandbox, journal) as client:
        for number in range(2):
            await submit(
                client,
                idempotency_key="row-1",
                callback_url=receiver.callback_url(
                    "http://127.0.0.1:1/hooks?a=b", f"order {number}", expires_in=60 + number
                ),
                references=[url.format(number)],
                metadata={"seed": 1, "b": {"d": 1, "c": 2}} if number else {"b": {"c": 2, "d": 1}, "seed": 1},
                extra_headers={"x-trace": str(number)},
                timeout=30 + number,
            )
    assert sandbox.ledger.count() == 1


async def test_files_are_known_by_their_content(sandbox: Sandbox, journal: SqliteJournal, tmp_path: Path) -> None:
    one, other = tmp_path / "a" / "cat.jpg", tmp_path / "b" / "cat.jpg"
    for file in one, other:
        file.parent.mkdir()
        file.write_bytes(b"the same" * 200_000)
    told: list[int] = []
    async with keyed(sandbox, journal) as client:
        first = await client.files.upload(
            one, idempotency_key="file", on_progress=lambda done, total: told.append(done)
        )
        assert sorted(set(told)) == told  # it was read twice, and told of once
        assert await client.files.upload(other, idempotency_key="file") == first
        with other.open("rb") as opened:
            assert await client.files.upload(opened, idempotency_key="file") == first
            opened.seek(0)
            await client.files.upload(opened, idempotency_key="file-2")
        other.write_bytes(b"the game" * 200_000)
        with pytest.raises(IdempotencyKeyReusedError):
            await client.files.upload(other, idempotency_key="file")
    assert sandbox.ledger.count(FILES) == 2


async def test_what_can_be_read_once_has_no_key(sandbox: Sandbox, journal: SqliteJournal) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"abc"

    async with keyed(sandbox, journal) as client:
        with pytest.raises(InvalidInputError, match="needs a file that can be read twice"):
            await client.files.upload(pieces(), idempotency_key="file")
    assert sandbox.ledger.count() == 0


async def test_a_large_body_is_compared_too(sandbox: Sandbox, journal: SqliteJournal) -> None:
    large = "x" * 600_000
    async with keyed(sandbox, journal) as client:
        first = await submit(client, idempotency_key="row-1", metadata={"note": large})
        assert await submit(client, idempotency_key="row-1", metadata={"note": large}) == first
        with pytest.raises(IdempotencyKeyReusedError):
            await submit(client, idempotency_key="row-1", metadata={"note": f"{large}y"})


async def test_a_key_of_the_api_that_was_rotated_pays_no_second_time(journal: SqliteJournal) -> None:
    accounts = {"sk-old-key-0001": Account("old"), "sk-new-key-0002": Account("new")}
    with Sandbox(time_scale=0, accounts=accounts) as sandbox:
        for key in accounts:
            async with AsyncRelayDance(key, base_url=sandbox.base_url, journal=journal) as client:
                await submit(client, idempotency_key="row-1")
        assert sandbox.ledger.count() == 1


# What is in the file.


async def test_neither_key_nor_prompt_nor_token_is_in_the_file(path: Path, sandbox: Sandbox) -> None:
    async with SqliteJournal(path) as journal, keyed(sandbox, journal) as client:
        receiver = WebhookReceiver(client, secret=b"x" * 16)
        url = receiver.callback_url("http://127.0.0.1:1/hooks", "order 7")
        await submit(client, idempotency_key="row-1", prompt="a secret plan", callback_url=url)
        sandbox.faults.add(
            Fault(SUBMIT, status=400, body=f'{{"error": {{"message": "no {sandbox.api_key}"}}}}'.encode())
        )
        with pytest.raises(BadRequestError):
            await submit(client, idempotency_key="row-2")
        files = [file.read_bytes() for file in path.parent.iterdir()]
    assert len(files) == 3
    for secret in sandbox.api_key, "a secret plan", url.partition("rd_sig=")[2]:
        assert not any(secret.encode() in file for file in files)


async def test_requests_are_kept_when_asked_for_without_what_opens_something(path: Path, sandbox: Sandbox) -> None:
    async with SqliteJournal(path, keep_requests=True) as journal, keyed(sandbox, journal) as client:
        receiver = WebhookReceiver(client, secret=b"x" * 16)
        url = receiver.callback_url("http://127.0.0.1:1/hooks", "order 7")
        await submit(client, idempotency_key="row-1", callback_url=url)
        entry = await entry_of(journal, sandbox)
        assert json.loads(entry.request or "") == {
            "model": CLIP["model"],
            "prompt": CLIP["prompt"],
            "seconds": "5",
            "metadata": {"callback_url": "http://127.0.0.1:1/hooks"},
        }
        files = [file.read_bytes() for file in path.parent.iterdir()]
    assert not any(url.partition("rd_sig=")[2].encode() in file for file in files)


# What becomes of a call.

ONCE = RetryPolicy(max_attempts=1)


@pytest.mark.parametrize("name", CALLS)
async def test_what_the_gateway_refuses_may_be_sent_again(
    name: str, sandbox: Sandbox, journal: SqliteJournal, transport: Any
) -> None:
    call, route = CALLS[name]
    sandbox.faults.add(Fault(route, status=400, at=(1,)))
    async with keyed(sandbox, journal, **transport) as client:
        with pytest.raises(BadRequestError):
            await call(client, idempotency_key="row-1")
        entry = await entry_of(journal, sandbox)
        assert (entry.state, entry.reason.partition(":")[0]) == ("refused", "BadRequestError")
        await call(client, idempotency_key="row-1")
    assert [one.state for one in await journal.history("row-1")] == ["refused", "accepted"]
    assert sandbox.ledger.count(route) == 2


async def test_a_refused_prompt_may_be_edited_under_its_key(sandbox: Sandbox, journal: SqliteJournal) -> None:
    sandbox.faults.add(Fault(SUBMIT, status=500, code="sensitive_words_detected", at=(1,)))
    async with keyed(sandbox, journal) as client:
        with pytest.raises(ContentRefusedError):
            await submit(client, idempotency_key="row-1", prompt="a bad one")
        assert (await submit(client, idempotency_key="row-1", prompt="a good one")).task_id
    assert len({one.fingerprint for one in await journal.history("row-1")}) == 2


async def test_attempts_that_are_refused_are_one_attempt_of_the_key(
    sandbox: Sandbox, journal: SqliteJournal, transport: Any
) -> None:
    sandbox.faults.add(Fault(SUBMIT, status=503, at=(1, 2)))
    states: list[Any] = []

    async def look(seconds: float) -> None:
        states.append((await entry_of(journal, sandbox)).state)

    async with keyed(sandbox, journal, QuickClock(look), **transport) as client:
        await submit(client, idempotency_key="row-1")
    assert set(states) == {"refused"}  # while it waits it is not on the wire
    assert [(one.attempt, one.state) for one in await journal.history("row-1")] == [(1, "accepted")]
    assert sandbox.ledger.count() == 3


@pytest.mark.parametrize("fault", ["reset_after_request", "reset_mid_headers", "cut_response"])
async def test_a_connection_that_breaks_leaves_the_key_in_doubt(
    fault: Any, sandbox: Sandbox, journal: SqliteJournal, transport: Any
) -> None:
    with FaultyProxy(sandbox.root_url, [ConnectionFault(fault)]) as proxy:
        async with keyed(sandbox, journal, base_url=proxy.base_url, **transport) as client:
            with pytest.raises(APIConnectionError) as first:
                await submit(client, idempotency_key="row-1")
            assert first.value.maybe_accepted
            with pytest.raises(SubmissionInDoubtError) as caught:
                await submit(client, idempotency_key="row-1")
    assert sandbox.ledger.count() == 1
    error = caught.value
    assert error.entry is not None
    assert (error.entry.state, error.maybe_accepted, error.retryable) == ("in doubt", True, False)
    assert first.value.sent_at is not None
    assert 0 <= (first.value.sent_at - error.entry.sent_at).total_seconds() < 1
    assert "is in doubt: APIConnectionError: the connection broke" in str(error)
    assert "`await client.resolve_doubts()`" in str(error)
    assert "journal.release('row-1')" in str(error)


async def test_one_that_never_had_a_connection_leaves_no_entry(sandbox: Sandbox, journal: SqliteJournal) -> None:
    base_url = f"http://127.0.0.1:{closed_port()}/v1"
    async with keyed(sandbox, journal, QuickClock(), base_url=base_url, retry=ONCE, deadline=1.0) as client:
        with pytest.raises(APIConnectionError):
            await submit(client, idempotency_key="row-1")
    assert [entry async for entry in journal.entries()] == []


async def test_a_stranger_who_answers_leaves_the_key_in_doubt(sandbox: Sandbox, journal: SqliteJournal) -> None:
    sandbox.faults.add(Fault(SUBMIT, status=502, stranger="nginx", after_accept=True))
    async with keyed(sandbox, journal) as client:
        with pytest.raises(ServerError):
            await submit(client, idempotency_key="row-1")
        with pytest.raises(SubmissionInDoubtError, match="ServerError"):
            await submit(client, idempotency_key="row-1")
    assert sandbox.ledger.count() == 1


async def test_one_that_is_allowed_to_be_repeated_stays_on_the_wire_until_its_end(
    sandbox: Sandbox, journal: SqliteJournal
) -> None:
    sandbox.faults.add(Fault(SUBMIT, status=502, stranger="nginx", after_accept=True, at=(1,)))
    states: list[Any] = []

    async def look(seconds: float) -> None:
        states.append((await entry_of(journal, sandbox)).state)

    policy = RetryPolicy(retry_ambiguous=True)
    async with keyed(sandbox, journal, QuickClock(look), retry=policy) as client:
        await submit(client, idempotency_key="row-1")
    assert set(states) == {"sending"}
    assert (await entry_of(journal, sandbox)).state == "accepted"


async def test_a_refusal_after_an_attempt_that_may_have_been_accepted_is_a_doubt(
    sandbox: Sandbox, journal: SqliteJournal
) -> None:
    sandbox.faults.add(Fault(SUBMIT, status=502, stranger="nginx", after_accept=True, at=(1,)))
    sandbox.faults.add(Fault(SUBMIT, status=400, at=(2,)))
    async with keyed(sandbox, journal, QuickClock(), retry=RetryPolicy(retry_ambiguous=True)) as client:
        with pytest.raises(BadRequestError):
            await submit(client, idempotency_key="row-1")
    assert (await entry_of(journal, sandbox)).state == "in doubt"


async def test_what_can_be_done_by_hand_about_a_doubt(sandbox: Sandbox, journal: SqliteJournal) -> None:
    with FaultyProxy(sandbox.root_url, [ConnectionFault("reset_after_request", at=(1, 2))]) as proxy:
        async with keyed(sandbox, journal, base_url=proxy.base_url) as client:
            for key in "row-1", "row-2":
                with pytest.raises(APIConnectionError):
                    await submit(client, idempotency_key=key)
            accepted = sandbox.ledger.entries[0].task_id
            assert accepted is not None
            await journal.settle("row-1", task_id=accepted)
            task = await submit(client, idempotency_key="row-1")
            assert (task.task_id, task.status, task.meta.replayed) == (accepted, "submitted", True)
            await journal.release("row-2")
            assert not (await submit(client, idempotency_key="row-2")).meta.replayed
    assert sandbox.ledger.count(SUBMIT) == 3


async def test_a_task_that_failed_does_not_poison_its_key(journal: SqliteJournal) -> None:
    plan = TaskPlan(scripts={1: TaskScript(outcome="failed")})
    with Sandbox(time_scale=1000, tasks=plan) as sandbox:
        async with keyed(sandbox, journal, QuickClock()) as client:
            with pytest.raises(TaskFailedError):
                await client.video.generate(**CLIP, idempotency_key="row-1")
            task = await client.video.generate(**CLIP, idempotency_key="row-1")
            assert task.status == "succeeded"
        assert sandbox.ledger.count(SUBMIT) == 2
    assert [(one.attempt, one.task_status) for one in await journal.history("row-1")] == [
        (1, "failed"),
        (2, "succeeded"),
    ]


async def test_an_answer_that_cannot_be_replayed_says_so(
    path: Path, sandbox: Sandbox, open_journal: OpenJournal
) -> None:
    async with keyed(sandbox, open_journal()) as client:
        await chat(client, idempotency_key="row-1")
    with closing(sqlite3.connect(path)) as editor:
        editor.execute("UPDATE entries SET answer = '{}'")
        editor.commit()
    async with keyed(sandbox, open_journal()) as client:
        with pytest.raises(JournalError, match="can't be read as one"):
            await chat(client, idempotency_key="row-1")
    assert sandbox.ledger.count() == 1


# The same key at the same time.


async def gather(*calls: Awaitable[Any]) -> list[Any]:
    results: list[Any] = [None] * len(calls)

    async def run(number: int, call: Awaitable[Any]) -> None:
        try:
            results[number] = await call
        except Exception as error:
            results[number] = error

    async with anyio.create_task_group() as group:
        for number, call in enumerate(calls):
            group.start_soon(run, number, call)
    return results


@pytest.mark.parametrize("name", CALLS)
async def test_the_same_key_twice_at_the_same_time(
    name: str, sandbox: Sandbox, open_journal: OpenJournal, transport: Any
) -> None:
    call, route = CALLS[name]
    sandbox.faults.add(Fault(route, delay=0.1))
    async with keyed(sandbox, open_journal(), **transport) as ours, keyed(sandbox, open_journal()) as other:
        found = await gather(*(call(client, idempotency_key="row-1") for client in (ours, other, ours, other)))
    assert found == [found[0]] * 4
    assert sorted(one.meta.replayed for one in found) == [False, True, True, True]
    assert sandbox.ledger.count(route) == 1


async def test_the_other_sends_when_the_first_is_refused(sandbox: Sandbox, open_journal: OpenJournal) -> None:
    sandbox.faults.add(Fault(SUBMIT, status=400, delay=0.05, at=(1,)))
    async with keyed(sandbox, open_journal()) as ours, keyed(sandbox, open_journal()) as other:
        found = await gather(*(submit(client, idempotency_key="row-1") for client in (ours, other, ours)))
    assert sorted(type(one).__name__ for one in found) == ["BadRequestError", "VideoTask", "VideoTask"]
    assert sandbox.ledger.count() == 2


async def test_both_are_in_doubt_when_the_first_breaks(sandbox: Sandbox, open_journal: OpenJournal) -> None:
    with FaultyProxy(sandbox.root_url, [ConnectionFault("reset_after_request")]) as proxy:
        async with (
            keyed(sandbox, open_journal(), base_url=proxy.base_url) as ours,
            keyed(sandbox, open_journal(), base_url=proxy.base_url) as other,
        ):
            found = await gather(*(submit(client, idempotency_key="row-1") for client in (ours, other, ours)))
    names = sorted(type(one).__name__ for one in found)
    assert names == ["APIConnectionError", "SubmissionInDoubtError", "SubmissionInDoubtError"]
    assert sandbox.ledger.count() == 1


async def test_other_parameters_at_the_same_time_are_an_error(sandbox: Sandbox, open_journal: OpenJournal) -> None:
    sandbox.faults.add(Fault(SUBMIT, delay=0.1))
    async with keyed(sandbox, open_journal()) as ours, keyed(sandbox, open_journal()) as other:
        found = await gather(
            submit(ours, idempotency_key="row-1"),
            submit(ours, idempotency_key="row-1", prompt="b"),
            submit(other, idempotency_key="row-1", prompt="c"),
        )
    names = sorted(type(one).__name__ for one in found)
    assert names == ["IdempotencyKeyReusedError", "IdempotencyKeyReusedError", "VideoTask"]
    assert sandbox.ledger.count() == 1


async def test_who_waits_for_another_process_waits_no_longer_than_its_deadline(
    sandbox: Sandbox, open_journal: OpenJournal
) -> None:
    other = open_journal()
    async with keyed(sandbox, open_journal()) as client:
        await submit(client, idempotency_key="row-2")
        fingerprint = (await entry_of(other, sandbox, "row-2")).fingerprint
        await other.begin(sending("row-1", origin=sandbox.root_url, fingerprint=fingerprint))
        with pytest.raises(APITimeoutError, match="was still being sent at the deadline of 0"):
            await submit(client, idempotency_key="row-1", deadline=0.2)
    assert sandbox.ledger.count() == 1


async def test_a_call_in_the_same_loop_waits_no_longer_than_its_deadline(
    sandbox: Sandbox, journal: SqliteJournal
) -> None:
    sandbox.faults.add(Fault(SUBMIT, delay=0.5))
    async with keyed(sandbox, journal) as client:
        found = await gather(
            submit(client, idempotency_key="row-1"), submit(client, idempotency_key="row-1", deadline=0.1)
        )
    assert [type(one).__name__ for one in found] == ["VideoTask", "APITimeoutError"]


async def test_a_thousand_keys_at_once_leave_nothing_behind(sandbox: Sandbox, journal: SqliteJournal) -> None:
    async with keyed(sandbox, journal) as client:
        await gather(*(submit(client, idempotency_key=f"row-{n % 150}") for n in range(300)))
        assert sandbox.ledger.count() == 150
        held = look_at(client)
        assert (held.permits, held.queued, held.tasks) == (0, 0, 0)


async def test_a_rate_limit_is_not_a_doubt(sandbox: Sandbox, journal: SqliteJournal) -> None:
    sandbox.faults.add(Fault(SUBMIT, status=429))
    async with keyed(sandbox, journal, QuickClock(), retry=ONCE) as client:
        with pytest.raises(RateLimitError):
            await submit(client, idempotency_key="row-1")
    assert (await entry_of(journal, sandbox)).state == "refused"


async def test_the_id_of_an_attempt_that_was_refused_is_not_that_of_the_next(
    sandbox: Sandbox, journal: SqliteJournal
) -> None:
    sandbox.faults.add(Fault(SUBMIT, status=503, at=(1,)))
    with FaultyProxy(sandbox.root_url) as proxy:
        clock = QuickClock(lambda seconds: proxy.add(ConnectionFault("reset_after_request", per="request")))
        async with keyed(sandbox, journal, clock, base_url=proxy.base_url) as client:
            with pytest.raises(APIConnectionError):
                await submit(client, idempotency_key="row-1")
        entry = await journal.find(proxy.root_url, "row-1")
    assert entry is not None
    assert (entry.state, entry.request_id) == ("in doubt", None)
