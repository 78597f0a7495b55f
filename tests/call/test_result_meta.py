"""`result.meta`: where each result came from, whatever call gave it."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import asyncio
import gc
import pickle
import weakref
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from relaydance_async import AsyncRelayDance, RetryPolicy, SqliteJournal
from relaydance_async.sandbox import Fault, Sandbox
from tests.call.support import Start
from tests.kit.calls import CALLS, client_of, open_stream, submit_clip
from tests.kit.clocks import HandClock, QuickClock
from tests.kit.probe import look_at
from tests.kit.routes import CHAT, MODELS, TOKEN_USAGE
from tests.kit.waiting import wait_until

pytestmark = pytest.mark.anyio


async def balance(client: AsyncRelayDance) -> Any:
    return await client.account.balance()


async def prices(client: AsyncRelayDance) -> Any:
    return await client.account.prices()


async def one_task(client: AsyncRelayDance) -> Any:
    return await client.video.retrieve(await submit_clip(client))


EVERY: dict[str, Callable[[AsyncRelayDance], Awaitable[Any]]] = {
    **{route: call for route, call in CALLS.items() if "{task_id}" not in route},
    "GET /v1/video/generations/{task_id}": one_task,
    TOKEN_USAGE: balance,
    "GET /api/pricing": prices,
    "a stream": open_stream,
}


@pytest.mark.parametrize("name", EVERY)
async def test_every_result_knows_its_request(name: str, sandbox: Sandbox, start: Start) -> None:
    before = datetime.now(UTC)
    async with start(sandbox) as client:
        result = await EVERY[name](client)
    entry = sandbox.ledger.entries[-1]
    meta = result.meta
    assert (meta.request_id, result._request_id) == (entry.request_id, entry.request_id)
    assert (meta.method, meta.status_code) == (entry.method, 200)
    assert meta.path.endswith(entry.path.removeprefix("/v1"))  # of another host: its URL
    assert before <= meta.sent_at <= datetime.now(UTC)
    assert meta.queued == 0
    assert 0 < meta.elapsed < 30
    assert meta.attempts == ()
    assert meta.headers["content-type"].startswith(("application/json", "text/event-stream"))
    assert not meta.replayed


async def test_the_attempts_before_are_told(sandbox: Sandbox, start: Start) -> None:
    sandbox.faults.add(Fault(MODELS, status=503, at=(1, 2)))
    async with start(sandbox, QuickClock()) as client:
        models = await client.models.list()
    assert [record.status_code for record in models.meta.attempts] == [503, 503]
    assert models.meta.sent_at is not None
    assert models.meta.sent_at > models.meta.attempts[-1].started_at


async def test_the_seconds_in_the_queue_and_on_the_wire(sandbox: Sandbox) -> None:
    clock = HandClock()
    sandbox.faults.add(Fault(MODELS, delay=1.0, at=(1,)))
    async with client_of(sandbox, clock, max_concurrency=1) as client:
        calls = [asyncio.create_task(client.models.list()) for _ in range(2)]
        await wait_until(lambda: look_at(client).queued == 1 and sandbox.ledger.count(MODELS) == 1)
        clock.advance(7)
        first, second = await asyncio.gather(*calls)
    assert (first.meta.queued, first.meta.elapsed) == (0, 7)
    assert (second.meta.queued, second.meta.elapsed) == (7, 0)


async def test_it_holds_no_secret(sandbox: Sandbox, start: Start) -> None:
    sandbox.faults.add(
        Fault(
            CHAT, headers={"x-echo": f"Bearer {sandbox.api_key}", "set-cookie": "a=b", "location": "https://a/?sig=s"}
        )
    )
    async with start(sandbox) as client:
        completion = await CALLS[CHAT](client)
    told = repr(completion.meta) + repr(pickle.loads(pickle.dumps(completion.meta)))
    assert sandbox.api_key not in told
    assert "a=b" not in told
    assert "sig=s" not in told
    assert completion.meta.headers["x-echo"] == "Bearer ***"


async def test_a_result_holds_neither_its_request_nor_its_connection(sandbox: Sandbox) -> None:
    from relaydance_async._call import answer

    gc.collect()
    others = [thing for thing in gc.get_objects() if isinstance(thing, answer.Answer)]  # of tests before
    async with client_of(sandbox, retry=RetryPolicy(max_attempts=1)) as client:
        result = await client.chat.completions.create(
            model="grok-4.3", messages=[{"role": "user", "content": "x" * 10**5}]
        )
        gc.collect()
        assert not [thing for thing in gc.get_objects() if isinstance(thing, answer.Answer) and thing not in others]
    client_gone = weakref.ref(client)
    del client
    gc.collect()
    assert client_gone() is None
    assert result.meta.status_code == 200


async def test_what_a_journal_gives_is_told_as_such(sandbox: Sandbox, tmp_path: Path) -> None:
    async with SqliteJournal(tmp_path / "run.db") as journal, client_of(sandbox, journal=journal) as known:
        client: Any = known
        ask: dict[str, Any] = {"model": "grok-4.3", "messages": [{"role": "user", "content": "x"}]}
        first = await client.chat.completions.create(**ask, idempotency_key="k")
        again = await client.chat.completions.create(**ask, idempotency_key="k")
    assert (first.meta.replayed, again.meta.replayed) == (False, True)
    assert again == first
    assert again._request_id == first._request_id
