"""`client.resolve_doubts()`, and receivers of webhooks with a journal."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import anyio
import httpx
import pytest

from relaydance_async import (
    APIConnectionError,
    AsyncRelayDance,
    ConfigurationError,
    JournalEntry,
    Resolution,
    ServerError,
    SqliteJournal,
    SubmissionInDoubtError,
)
from relaydance_async._sansio.books import MOST_ROWS, Books, Judgement, Known, Row, judge, parse_log
from relaydance_async.sandbox import Account, ConnectionFault, Fault, FaultyProxy, Sandbox
from relaydance_async.webhooks import WebhookApp, WebhookReceiver
from tests.call.support import failure_of
from tests.journal.conftest import OpenJournal
from tests.journal.support import CLIP, keyed, sending
from tests.kit.calls import client_of
from tests.kit.clocks import QuickClock
from tests.kit.inside import api_of, make_client
from tests.kit.routes import LOG, SUBMIT, TOKEN_USAGE
from tests.kit.waiting import wait_until
from tests.webhooks.support import SECRET, serving

pytestmark = pytest.mark.anyio

SENT = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
AT = int(SENT.timestamp())
MODEL = "doubao-seedance-2-0-720p"


def entry(**changes: Any) -> JournalEntry:
    facts: dict[str, Any] = {
        "key": "row-1",
        "attempt": 1,
        "state": "in doubt",
        "origin": "https://relaydance.com",
        "route": "/video/generations",
        "model": MODEL,
        "fingerprint": "f",
        "sent_at": SENT,
    }
    return JournalEntry(**{**facts, **changes})


def charge(after: int, request_id: str | None = "later", quota: int = 100, **changes: Any) -> Row:
    row = Row(2, AT + after, MODEL, "/v1/video/generations", quota, request_id)
    return replace(row, **changes)


LATER = charge(600)
KNOWN = Known({"later": AT + 590.0})


def judged(
    *rows: Row,
    used: tuple[int, ...] | None = None,
    age: float = 3600,
    ahead: float = 0.0,
    known: Known = KNOWN,
    **facts: Any,
) -> Judgement:
    listed = sum(row.quota * {2: 1, 6: -1}.get(row.type, 0) for row in rows)
    books = Books(rows, (listed,) if used is None else used, ahead)
    return judge(entry(**facts), books, known, AT + age)


def test_what_is_not_in_whole_books_was_not_accepted() -> None:
    found = judged(LATER)
    assert (found.refused, found.why, found.candidates) == (True, "the key's books list no charge for it", ())


@pytest.mark.parametrize(
    ("rows", "options", "why"),
    [
        ([LATER], {"age": 899}, "it was sent less than 15 minutes ago"),
        ([LATER], {"used": ()}, "the gateway doesn't tell the key's total use"),
        ([LATER], {"used": (200,)}, "explain 100 of its total of 200: a charge is not listed yet"),
        ([LATER], {"used": (50,)}, "explain 100 of its total of 50"),
        ([], {}, "no charge that is known to be later is listed yet"),
        ([charge(-600, "earlier")], {}, "no charge that is known to be later is listed yet"),
        ([LATER] * MOST_ROWS, {}, "1000 rows, and do not reach back to it"),
        ([LATER] * (MOST_ROWS - 1) + [charge(-3600, "old")], {}, "1000 rows, and more were made"),
    ],
)
def test_what_keeps_a_doubt_a_doubt(rows: list[Row], options: dict[str, Any], why: str) -> None:
    found = judged(*rows, **options)
    assert (found.refused, found.candidates) == (False, ())
    assert why in found.why


@pytest.mark.parametrize(
    ("row", "is_candidate"),
    [
        (charge(0, "x"), True),
        (charge(-60, "x"), True),
        (charge(-61, "x"), False),
        (charge(960, "x"), True),
        (charge(961, "x"), False),
        (charge(5, "later"), False),  # whose it is is known
        (charge(5, "x", model="another"), False),
        (charge(5, "x", model=""), True),
        (charge(5, "x", path="/v1/chat/completions"), False),
        (charge(5, "x", path=""), True),
        (charge(5, "x", type=5, quota=0), False),  # an error
        (charge(5, "x", type=6), False),  # a refund
    ],
)
def test_an_unexplained_charge_of_its_model_path_and_time_may_be_its_own(row: Row, is_candidate: bool) -> None:
    found = judged(LATER, row)
    assert (found.refused, found.candidates) == (not is_candidate, ("x",) if is_candidate else ())


def test_a_charge_proves_nothing_even_when_it_is_alone_and_one_of_its_own_id_says_so() -> None:
    found = judged(LATER, charge(5, "x"), charge(6, None))
    assert found.candidates == ("x", "at 2026-11-28 12:00:06 UTC")
    assert found.why == "a charge that nobody has explained may be its own"
    assert judged(LATER, charge(5, "x"), request_id="x").why == "its own request id is charged"


def test_as_many_charges_as_requests_that_a_webhook_told_of_leave_none() -> None:
    told = Known(KNOWN.sent_at, {(MODEL, "/video/generations"): 2})
    assert judged(LATER, charge(5, "x"), charge(-5000, "y"), known=told).refused
    assert judged(LATER, charge(5, "x"), charge(-5000, "y"), charge(-9000, "z"), known=told).candidates == ("x",)
    assert judged(LATER, charge(5, "x"), known=told, age=60).candidates == ("x",)  # the books may not be whole
    assert judged(LATER, charge(5, "x"), known=told, request_id="x").candidates == ("x",)
    other = Known(KNOWN.sent_at, {(MODEL, "/images/generations"): 2})
    assert judged(LATER, charge(5, "x"), known=other).candidates == ("x",)


def test_clocks_that_differ_are_taken_into_account() -> None:
    for after, ahead in (7200, 7200), (-7200, -7200):
        row = charge(after, "x")
        assert judged(LATER, row, ahead=0).refused
        assert judged(LATER, row, ahead=ahead).candidates == ("x",)
    assert judged(LATER, charge(5, "x"), ahead=7200).candidates == ("x",)  # nor may they have differed always


def test_a_total_that_moves_while_it_is_read_may_be_either() -> None:
    assert judged(LATER, used=(100, 200)).refused
    assert not judged(LATER, used=(150, 200)).refused


def test_an_upload_has_no_model_and_any_may_be_its_own() -> None:
    row = charge(5, "x", path="/v1/files", model="whatever")
    assert judged(LATER, row, model=None, route="/files").candidates == ("x",)


@pytest.mark.parametrize(
    "content",
    [
        None,
        [],
        {"success": False, "data": []},
        {"data": []},
        {"success": True, "data": None},
        {"success": True, "data": [7]},
        {"success": True, "data": [{"type": 2, "created_at": 5}]},
        {"success": True, "data": [{"type": "x", "created_at": 5, "quota": 1}]},
        {"success": True, "data": [{"type": 2, "created_at": 1e300, "quota": 1}]},
        {"success": True, "data": [{"type": 2, "created_at": 5, "quota": "1e400"}]},
    ],
)
def test_a_log_that_cannot_be_read_whole_is_none(content: Any) -> None:
    assert parse_log(content) is None


def test_a_log_is_read_as_it_comes() -> None:
    lines = [
        {
            "type": 2,
            "created_at": 5,
            "quota": 7,
            "model_name": "m",
            "request_id": "r",
            "other": '{"request_path": "/p"}',
        },
        {"type": "6", "created_at": "9", "quota": "7", "other": "no JSON"},
    ]
    assert parse_log({"success": True, "data": lines}) == [
        Row(2, 5, "m", "/p", 7, "r"),
        Row(6, 9, "", "", 7, None),
    ]


# Against a gateway.


class Doubtful:
    """Leaves keys in doubt, and lets time pass."""

    def __init__(self, sandbox: Sandbox, journal: SqliteJournal) -> None:
        self.sandbox = sandbox
        self.clock = QuickClock(jitter=1.0)
        self.client = keyed(sandbox, journal, self.clock)

    def pass_by(self, seconds: float) -> None:
        self.clock.at += seconds
        self.sandbox.clock.advance(seconds)

    async def leave(self, key: str, *, accepted: bool) -> None:
        self.sandbox.faults.add(Fault(SUBMIT, status=502, stranger="nginx", after_accept=accepted))
        await failure_of(self.client.video.submit(**CLIP, idempotency_key=key))
        self.sandbox.faults.clear()

    async def submit_later(self) -> None:
        self.pass_by(1000)
        await self.client.video.submit(**CLIP, idempotency_key="later")
        self.pass_by(1000)


@pytest.fixture
async def doubtful(sandbox: Sandbox, journal: SqliteJournal) -> AsyncIterator[Doubtful]:
    found = Doubtful(sandbox, journal)
    async with found.client:
        yield found


def told(found: list[Resolution]) -> list[tuple[str, str, str]]:
    return [(one.entry.key, one.entry.state, one.why) for one in found]


async def test_what_was_not_accepted_is_refused_and_may_be_sent_again(
    doubtful: Doubtful, journal: SqliteJournal
) -> None:
    client = doubtful.client
    assert await client.resolve_doubts() == []
    assert doubtful.sandbox.ledger.count() == 0  # there was nothing to ask for
    await doubtful.leave("row-1", accepted=False)
    (found,) = await client.resolve_doubts()
    assert told([found]) == [("row-1", "in doubt", "it was sent less than 15 minutes ago")]
    await doubtful.submit_later()
    (found,) = await client.resolve_doubts()
    assert told([found]) == [("row-1", "refused", "the key's books list no charge for it")]
    assert await client.resolve_doubts() == []
    await client.video.submit(**CLIP, idempotency_key="row-1")
    assert [one.state for one in await journal.history("row-1")] == ["refused", "accepted"]
    assert doubtful.sandbox.ledger.billed() == 2


async def test_what_was_accepted_stays_in_doubt_with_its_charge(doubtful: Doubtful) -> None:
    await doubtful.leave("row-1", accepted=True)
    charged = doubtful.sandbox.ledger.entries[-1].request_id
    await doubtful.submit_later()
    (found,) = await doubtful.client.resolve_doubts()
    assert found.candidates == (charged,)
    assert told([found]) == [("row-1", "in doubt", "a charge that nobody has explained may be its own")]
    with pytest.raises(SubmissionInDoubtError):
        await doubtful.client.video.submit(**CLIP, idempotency_key="row-1")


async def test_a_charge_of_a_call_without_a_key_keeps_others_in_doubt(doubtful: Doubtful) -> None:
    await doubtful.leave("row-1", accepted=False)
    await doubtful.client.video.submit(**CLIP)
    await doubtful.submit_later()
    (found,) = await doubtful.client.resolve_doubts()
    assert (found.entry.state, len(found.candidates)) == ("in doubt", 1)


async def test_a_charge_of_another_model_and_one_of_a_known_key_do_not(doubtful: Doubtful) -> None:
    await doubtful.leave("row-1", accepted=False)
    await doubtful.client.video.submit(model="happyhorse-1.0-t2v", prompt="a horse")
    await doubtful.client.video.submit(**CLIP, idempotency_key="known")
    await doubtful.submit_later()
    assert [one.entry.state for one in await doubtful.client.resolve_doubts()] == ["refused"]


@pytest.mark.parametrize("offer", ["404", "401", "false"])
@pytest.mark.parametrize("route", ["log", "balance"])
async def test_books_that_are_switched_off_say_nothing(offer: Any, route: str, journal: SqliteJournal) -> None:
    options: dict[str, Any] = {"log": offer} if route == "log" else {"balance_offered": False}
    with Sandbox(time_scale=0, accounts={"sk-books-0001": Account("books", **options)}) as sandbox:
        doubtful = Doubtful(sandbox, journal)
        async with doubtful.client:
            await doubtful.leave("row-1", accepted=False)
            await doubtful.submit_later()
            (found,) = await doubtful.client.resolve_doubts()
    assert found.entry.state == "in doubt"
    assert found.why in (
        "the gateway doesn't offer the key's books",
        "the gateway doesn't tell the key's total use",
    )


@pytest.mark.parametrize("route", [LOG, TOKEN_USAGE])
async def test_books_that_cannot_be_read_now_are_an_error(route: str, doubtful: Doubtful) -> None:
    await doubtful.leave("row-1", accepted=False)
    await doubtful.submit_later()
    doubtful.sandbox.faults.add(Fault(route, status=503))
    with pytest.raises(ServerError):
        await doubtful.client.resolve_doubts()


async def test_books_that_lag_behind_prove_nothing(journal: SqliteJournal) -> None:
    with Sandbox(time_scale=0, accounts={"sk-books-0001": Account("books", log_delay=5000)}) as sandbox:
        doubtful = Doubtful(sandbox, journal)
        async with doubtful.client:
            await doubtful.leave("row-1", accepted=True)
            await doubtful.submit_later()
            (found,) = await doubtful.client.resolve_doubts()
    assert found.entry.state == "in doubt"
    assert "a charge is not listed yet" in found.why


async def test_older_gateways_without_request_ids_prove_nothing(journal: SqliteJournal) -> None:
    with Sandbox(time_scale=0, accounts={"sk-books-0001": Account("books", log_request_ids=False)}) as sandbox:
        doubtful = Doubtful(sandbox, journal)
        async with doubtful.client:
            await doubtful.leave("row-1", accepted=False)
            await doubtful.submit_later()
            (found,) = await doubtful.client.resolve_doubts()
    assert found.entry.state == "in doubt"


async def test_the_books_of_another_key_prove_nothing(journal: SqliteJournal) -> None:
    accounts = {"sk-old-key-0001": Account("old"), "sk-new-key-0002": Account("new")}
    with Sandbox(time_scale=0, accounts=accounts) as sandbox:
        doubtful = Doubtful(sandbox, journal)
        async with doubtful.client:
            await doubtful.leave("row-1", accepted=True)
        rotated = make_client("sk-new-key-0002", base_url=sandbox.base_url, journal=journal, clock=doubtful.clock.clock)
        async with rotated:
            doubtful.client = rotated
            await doubtful.submit_later()
            (found,) = await rotated.resolve_doubts()
    assert found.entry.state == "in doubt"
    assert found.why.startswith("it was sent with another API key")


async def test_what_a_dead_process_had_on_the_wire_is_resolved_too(
    doubtful: Doubtful, open_journal: OpenJournal
) -> None:
    other = open_journal(lease=0.1)
    sender = api_of(doubtful.client).sender
    at = doubtful.clock.now().timestamp()
    await other.begin(sending("row-1", origin=doubtful.sandbox.root_url, model=MODEL, sent_at=at, sender=sender))
    await other.aclose()
    await doubtful.submit_later()
    await anyio.sleep(0.15)
    (found,) = await doubtful.client.resolve_doubts()
    assert (found.entry.key, found.entry.state) == ("row-1", "refused")


async def test_without_a_journal_there_are_no_doubts_to_resolve(sandbox: Sandbox) -> None:
    async with client_of(sandbox) as client:
        with pytest.raises(ConfigurationError, match="resolve_doubts needs a journal"):
            await client.resolve_doubts()


# Webhooks.


@asynccontextmanager
async def receiving(
    client: AsyncRelayDance, journal: SqliteJournal | None
) -> AsyncGenerator[tuple[WebhookReceiver, str]]:
    receiver = WebhookReceiver(client, secret=SECRET, journal=journal)
    async with serving(WebhookApp(receiver)) as url:
        yield receiver, url


async def test_a_delivery_decides_the_key_that_its_url_was_minted_for(sandbox: Sandbox, journal: SqliteJournal) -> None:
    with FaultyProxy(sandbox.root_url, [ConnectionFault("reset_after_request", at=(1,))]) as proxy:
        async with (
            keyed(sandbox, journal, base_url=proxy.base_url) as client,
            receiving(client, journal) as (receiver, url),
        ):
            callback = receiver.callback_url(url, "order 7")
            with pytest.raises(APIConnectionError):
                await client.video.submit(**CLIP, callback_url=callback, idempotency_key="row-1")
            with pytest.raises(SubmissionInDoubtError):
                await client.video.submit(**CLIP, callback_url=callback, idempotency_key="row-1")
            sandbox.clock.advance(1000)
            await wait_until(lambda: any(one.status == 204 for one in sandbox.ledger.webhooks))
            # With a URL that is minted anew, as by the next run.
            task = await client.video.submit(
                **CLIP, callback_url=receiver.callback_url(url, "order 7", expires_in=77), idempotency_key="row-1"
            )
            assert (task.meta.replayed, task.status) == (True, "succeeded")
            (entry,) = [one async for one in journal.entries()]
            assert (entry.state, entry.reason, entry.task_id) == ("accepted", "a webhook told", task.task_id)
            assert await client.resolve_doubts() == []
    assert sandbox.ledger.billed() == 1


async def test_a_forged_delivery_decides_nothing(sandbox: Sandbox, journal: SqliteJournal) -> None:
    async with keyed(sandbox, journal) as client, receiving(client, journal) as (receiver, url):
        callback = receiver.callback_url(url, "order 7")
        sandbox.faults.add(Fault(SUBMIT, status=502, stranger="nginx"))
        await failure_of(client.video.submit(**CLIP, callback_url=callback, idempotency_key="row-1"))
        sandbox.faults.clear()
        other = await client.video.submit(**CLIP, idempotency_key="row-2")
        body = f'{{"task_id": "{other.task_id}", "status": "succeeded"}}'.encode()
        async with httpx.AsyncClient(trust_env=False, verify=False) as http:
            assert (await http.post(f"{callback}x", content=body)).status_code == 403
            # A true token, and a task that is another key's.
            assert (await http.post(callback, content=body)).status_code in (204, 503)
    (entry,) = [one async for one in journal.entries(state="in doubt")]
    assert entry.key == "row-1"


async def test_a_delivery_that_cannot_be_noted_is_delivered_again(sandbox: Sandbox, journal: SqliteJournal) -> None:
    async with keyed(sandbox, journal) as client, receiving(client, journal) as (receiver, url):
        callback = receiver.callback_url(url, "order 7")
        await client.video.submit(**CLIP, callback_url=callback, idempotency_key="row-1")
        await journal.aclose()
        sandbox.clock.advance(1000)
        await wait_until(lambda: bool(sandbox.ledger.webhooks))
        assert sandbox.ledger.webhooks[0].status == 503


async def test_a_receiver_notes_how_a_task_ended(sandbox: Sandbox, journal: SqliteJournal) -> None:
    async with keyed(sandbox, journal) as client, receiving(client, journal) as (receiver, url):
        callback = receiver.callback_url(url, "order 7")
        task = await client.video.submit(**CLIP, callback_url=callback, idempotency_key="row-1")
        sandbox.clock.advance(1000)
        await wait_until(lambda: any(one.status == 204 for one in sandbox.ledger.webhooks))
        count = sandbox.ledger.count()
        assert (await client.video.wait(task)).status == "succeeded"
        assert sandbox.ledger.count() == count
