"""One client for many API keys: the connections are shared, what is known of a key is its own."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import pickle
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from traceback import StackSummary, TracebackException
from typing import Any, cast
from urllib.parse import urlsplit

import openai
import pytest
from pydantic import SecretStr

from relaydance_async import (
    NOT_GIVEN,
    APIConnectionError,
    AsyncRelayDance,
    AuthenticationError,
    ConfigurationError,
    NotFoundError,
    RateLimitError,
    RelayDanceError,
    SqliteJournal,
)
from relaydance_async.sandbox import Account, Fault, Sandbox
from relaydance_async.webhooks import WebhookReceiver
from tests.hooks.support import Heard
from tests.hooks.telemetry import Telemetry
from tests.kit.calls import ask_chat
from tests.kit.clocks import QuickClock
from tests.kit.inside import book_of, make_client
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
    return make_client("sk-mine", base_url=sandbox.base_url, **options)


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
    async with client_of(sandbox, max_retries=0, clock=clock) as client:
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
        client_of(sandbox, journal=journal, clock=QuickClock(sandbox.clock.advance).clock) as client,
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


async def test_a_key_for_one_call_is_that_of_a_view(sandbox: Sandbox) -> None:
    hello: dict[str, Any] = {"model": "grok-4.3", "messages": [{"role": "user", "content": "hi"}]}
    async with client_of(sandbox) as client:
        chat: Any = client.chat.completions
        assert (await chat.create(**hello, api_key=KEYS[0])).choices
        assert (await chat.with_raw_response.create(**hello, api_key=SecretStr(KEYS[1]))).status_code == 200
        async with chat.with_streaming_response.create(**hello, api_key=KEYS[2]) as answer:
            await answer.read()
        async with chat.stream(**hello, api_key=KEYS[3]) as stream:
            await stream.until_done()
        assert chat is client.chat.completions
        await client.chat.run_tools(**hello, tools=[sorted_names], api_key=KEYS[4])
        async for _ in client.models.list(api_key=KEYS[5]):
            pass
        task = await client.post("/video/generations", body=CLIP, api_key=KEYS[6])
        await client.with_raw_response.get("/models", api_key=KEYS[7])
        await client.video.with_raw_response.retrieve(task["task_id"], api_key=KEYS[6])
        async for _ in client.video.watch(task["task_id"], api_key=KEYS[6]):
            break
        for nothing in None, NOT_GIVEN, openai.omit:
            given: Any = {"api_key": nothing}
            await client.models.list(**given)
        assert client.limits.snapshot().limiters
    used = [entry.account for entry in sandbox.ledger.entries]
    assert list(dict.fromkeys(used)) == [*KEYS[:8], "sk-mine"]


CLIP = {"model": "grok-imagine-video", "prompt": "A boat", "seconds": "5"}


def sorted_names() -> list[str]:
    """Names."""
    return []


SECRET = "sk-Qm3Wn5Eb7Rv9Tc1Yx2Uz4Ia6Os8PdLfKgJhGqFwDeSrA"  # never seen in a traceback's own line


@pytest.mark.parametrize("wrong", ["an unknown keyword", "no model", "an unknown key", "no connection"])
async def test_a_key_for_one_call_is_shown_nowhere(
    sandbox: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture, wrong: str
) -> None:
    caplog.set_level(logging.DEBUG, "relaydance_async")
    telemetry, heard = Telemetry(), Heard()
    secret: Any = {"api_key": SECRET}
    others: dict[str, Any] = {"tiemout": 3} if wrong == "an unknown keyword" else {}
    model: Any = 5 if wrong == "no model" else "grok-4.3"
    shown: list[str] = []
    place = "http://127.0.0.1:9/v1" if wrong == "no connection" else sandbox.base_url
    path: Any = model if model == 5 else "/models"
    async with SqliteJournal(tmp_path / "run.db") as journal:
        hooks: Any = [heard, telemetry.hook()]
        async with AsyncRelayDance("sk-mine", base_url=place, journal=journal, max_retries=0, hooks=hooks) as own:
            client: Any = own
            chat = client.chat.completions
            hello: Any = [{"role": "user", "content": "hi"}]
            ways: list[Any] = [
                lambda: chat.create(model=model, messages=hello, idempotency_key="a", **others, **secret),
                lambda: chat.with_raw_response.create(model=model, messages=hello, **others, **secret),
                lambda: chat.with_streaming_response.create(model=model, messages=hello, **others, **secret),
                lambda: chat.stream(model=model, messages=hello, **others, **secret),
                lambda: client.models.retrieve(model, **others, **secret),
                lambda: client.get(path, **others, **secret),
                lambda: client.with_raw_response.get(path, **others, **secret),
                lambda: client.video.with_streaming_response.retrieve(model, **others, **secret),
                lambda: client.video.wait_all([model], deadline=0.2, **others, **secret),
            ]
            for way in ways:
                with pytest.raises((RelayDanceError, TypeError)) as caught:
                    await used(way)
                shown.append(frames_of_ours(caught.value))
                if isinstance(caught.value, RelayDanceError):
                    shown.append(repr(vars(caught.value)) + pickle.dumps(caught.value).decode("latin-1"))
            shown += [repr(vars(own)), repr(own.limits.snapshot()), caplog.text, repr(heard.events)]
            shown += [span.to_json() for span in telemetry.spans]
            shown += [file.read_bytes().decode("latin-1") for file in tmp_path.iterdir()]
    assert all(SECRET not in text for text in shown)


async def used(way: Callable[[], Any]) -> None:
    made = way()
    if hasattr(made, "__aenter__"):
        async with made:
            pass
    else:
        await made


def frames_of_ours(error: BaseException) -> str:
    """The exception and its chain with all local variables, but for those of this file."""
    told = TracebackException.from_exception(error, capture_locals=True)
    chain = cast("TracebackException | None", told)
    while chain is not None:
        chain.stack = StackSummary.from_list([frame for frame in chain.stack if frame.filename != __file__])
        chain = chain.__cause__ or chain.__context__
    return "".join(told.format())


async def test_what_can_be_no_key_of_a_call_is_refused_unseen(sandbox: Sandbox) -> None:
    odd: list[Any] = [b"sk-hunter2", 7_777_777, "sk hunter2", "", ["sk-hunter2"]]
    async with client_of(sandbox) as client:
        for key in odd:
            with pytest.raises(ConfigurationError, match="API key") as caught:
                await client.models.list(api_key=key)
            assert "hunter2" not in frames_of_ours(caught.value)
            assert "7777777" not in frames_of_ours(caught.value)
    assert not sandbox.ledger.entries
