"""One client for many API keys: the connections are shared, what is known of a key is its own."""

from __future__ import annotations

import asyncio
import gc
import json
import weakref
from collections.abc import Iterator
from inspect import signature
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from relaydance_async import (
    APIConnectionError,
    AsyncRelayDance,
    AuthenticationError,
    ConfigurationError,
    NotFoundError,
    RateLimitError,
    SqliteJournal,
)
from relaydance_async.sandbox import Account, Fault, Sandbox
from relaydance_async.webhooks import WebhookReceiver
from tests.kit.calls import ask_chat
from tests.kit.clocks import QuickClock
from tests.kit.inside import book_of
from tests.kit.probe import look_at
from tests.kit.routes import CHAT, SUBMIT
from tests.kit.waiting import wait_until

pytestmark = pytest.mark.anyio

KEYS = [f"sk-user-{number:04}" for number in range(200)]


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(accounts={"sk-mine": Account(name="sk-mine"), **{key: Account(name=key) for key in KEYS}}) as running:
        yield running


def client_of(sandbox: Sandbox, **options: Any) -> AsyncRelayDance:
    return AsyncRelayDance("sk-mine", base_url=sandbox.base_url, **options)


async def test_each_call_bears_the_key_of_its_view(sandbox: Sandbox) -> None:
    async with client_of(sandbox) as client:
        for key in KEYS[:3]:
            view = client.with_options(api_key=key)
            assert view.api_key == key
            assert view.with_options(deadline=9).api_key == key
            await ask_chat(view)
        await ask_chat(client)
    assert [entry.account for entry in sandbox.ledger.entries] == [*KEYS[:3], "sk-mine"]


async def test_many_keys_share_few_connections(sandbox: Sandbox) -> None:
    async with client_of(sandbox, max_concurrency=20) as client:
        await asyncio.gather(*(ask_chat(client.with_options(api_key=key)) for key in KEYS))
        assert look_at(client).connections <= 20
    assert {entry.account for entry in sandbox.ledger.entries} == set(KEYS)


async def test_a_limit_of_one_key_holds_back_no_other(sandbox: Sandbox) -> None:
    clock = QuickClock()
    sandbox.faults.add(Fault(CHAT, status=429, at=(1,)))
    async with client_of(sandbox, max_retries=0, _clock=clock) as client:
        refused, other = client.with_options(api_key=KEYS[0]), client.with_options(api_key=KEYS[1])
        with pytest.raises(RateLimitError):
            await ask_chat(refused)
        await ask_chat(other)
        (limiter,) = refused.limits.snapshot().limiters
        assert limiter.refusals == 1
        assert [known.refusals for known in other.limits.snapshot().limiters] == [0]
        assert not client.limits.snapshot().limiters
        # The same key, in another view, knows what was learned.
        assert client.with_options(api_key=KEYS[0]).limits.snapshot().limiters[0].refusals == 1


async def test_a_key_that_nobody_uses_is_forgotten(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relaydance_async._call.keys._REMEMBERED", 2)
    async with client_of(sandbox) as client:
        kept = client.with_options(api_key=KEYS[0])
        gone = weakref.ref(book_of(client.with_options(api_key=KEYS[1])))
        for key in KEYS[2:4]:
            await ask_chat(client.with_options(api_key=key))
        gc.collect()
        assert gone() is None
        assert book_of(client.with_options(api_key=KEYS[0])) is book_of(kept)


async def test_an_idempotency_key_of_one_user_is_nothing_to_another(sandbox: Sandbox, tmp_path: Path) -> None:
    clip: dict[str, Any] = {"model": "grok-imagine-video", "prompt": "A boat", "seconds": 5}
    async with (
        SqliteJournal(tmp_path / "run.db") as journal,
        client_of(sandbox, journal=journal, _clock=QuickClock(sandbox.clock.advance).clock) as client,
    ):
        views = [client.with_options(api_key=key) for key in KEYS[:2]]
        first, second = [await view.video.submit(**clip, idempotency_key="order-1") for view in views]
        assert first.task_id != second.task_id
        again = await client.with_options(api_key=KEYS[0]).video.submit(**clip, idempotency_key="order-1")
        assert again.task_id == first.task_id
        assert again.meta.replayed
        await views[0].video.wait(first)
        # What the journal has of a task is for whoever it belongs to.
        with pytest.raises(NotFoundError):
            await views[1].video.wait(first.task_id)
        assert len({entry.origin async for entry in journal.entries()}) == 2
    assert sandbox.ledger.billed(SUBMIT) == 2


async def test_an_idempotency_key_of_one_user_holds_up_no_other(sandbox: Sandbox, tmp_path: Path) -> None:
    clip: dict[str, Any] = {"model": "grok-imagine-video", "prompt": "A boat", "seconds": 5}
    sandbox.faults.add(Fault(SUBMIT, stall=True, at=(1,)))
    async with SqliteJournal(tmp_path / "run.db") as journal, client_of(sandbox, journal=journal) as client:
        views = [client.with_options(api_key=key) for key in KEYS[:2]]
        slow = asyncio.create_task(views[0].video.submit(**clip, idempotency_key="order-1", timeout=2))
        await wait_until(lambda: sandbox.ledger.count(SUBMIT) > 0)
        assert (await views[1].video.submit(**clip, idempotency_key="order-1", deadline=1.5)).task_id
        assert not slow.done()
        slow.cancel()
        with pytest.raises(asyncio.CancelledError):
            await slow


async def test_a_receiver_of_a_view_decides_its_doubts(sandbox: Sandbox, tmp_path: Path) -> None:
    clip: dict[str, Any] = {"model": "grok-imagine-video", "prompt": "A boat", "seconds": 5}
    sandbox.faults.add(Fault(SUBMIT, after_accept=True, at=(1,)))
    async with SqliteJournal(tmp_path / "run.db") as journal, client_of(sandbox, journal=journal) as client:
        view = client.with_options(api_key=KEYS[0])
        receiver = WebhookReceiver(view, secret="0123456789abcdef", journal=journal)
        callback = receiver.callback_url("https://hooks.example/", "order 7")
        with pytest.raises(APIConnectionError):
            await view.video.submit(**clip, callback_url=callback, idempotency_key="row-1")
        task_id = sandbox.ledger.entries[0].task_id
        await receiver.receive(urlsplit(callback).query, json.dumps({"task_id": task_id, "status": "queued"}).encode())
        task = await view.video.submit(**clip, callback_url=callback, idempotency_key="row-1")
        assert (task.task_id, task.meta.replayed) == (task_id, True)
    assert sandbox.ledger.billed(SUBMIT) == 1


async def test_no_key_is_shown(sandbox: Sandbox) -> None:
    async with client_of(sandbox, max_retries=0) as client:
        view = client.with_options(api_key="sk-user-that-nobody-knows")
        with pytest.raises(AuthenticationError) as caught:
            await ask_chat(view)
        assert "nobody-knows" not in f"{caught.value!s}{caught.value!r}{view!r}{vars(view)!r}{caught.value.body}"


@pytest.mark.parametrize("wrong", ["", " ", "two words", "ключ", 7, None])
def test_what_can_not_be_a_key_is_refused_at_once(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match="key") as caught:
        AsyncRelayDance("sk-mine").with_options(api_key=wrong)
    assert "two words" not in str(caught.value)


async def test_a_key_for_one_call_is_refused_with_the_way_to_do_it(sandbox: Sandbox) -> None:
    async with client_of(sandbox) as client:
        options: Any = {"api_key": KEYS[0]}
        for call in (client.models.list, client.models.retrieve, client.chat.completions.create, client.video.submit):
            given: Any = {"model": "grok-4.3", "messages": [], "prompt": "A boat"}
            names = set(signature(call).parameters)
            with pytest.raises(TypeError, match=r"use client\.with_options\(api_key=…\)") as caught:
                await call(**{name: value for name, value in given.items() if name in names}, **options)
            assert KEYS[0] not in str(caught.value)
    assert not sandbox.ledger.entries
