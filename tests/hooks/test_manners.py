"""What a hook may do to a call: nothing."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
import time
from collections.abc import Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from relaydance_async import AsyncRelayDance, ConfigurationError, RetryEvent
from relaydance_async._hooks import _later
from relaydance_async.hooks import CallEnded, HookEvent, Retrying
from relaydance_async.sandbox import Fault, Sandbox
from tests.call.support import cancel_when
from tests.hooks.support import KINDS, ONCE, Heard, HeardLater
from tests.kit.calls import ask_chat, client_of, list_models, open_stream, submit_clip
from tests.kit.clocks import QuickClock
from tests.kit.probe import look_at
from tests.kit.routes import MODELS, SUBMIT
from tests.kit.waiting import wait_until

pytestmark = pytest.mark.anyio


class Bug(Exception):
    """A hook's own."""


def explode(event: HookEvent) -> None:
    raise Bug(type(event).__name__)


async def explode_later(event: HookEvent) -> None:
    explode(event)


def cancel(event: HookEvent) -> None:
    raise asyncio.CancelledError


@pytest.mark.parametrize("hook", [explode, explode_later, cancel])
async def test_what_a_hook_raises_is_logged_and_costs_nothing(
    sandbox: Sandbox, hook: Callable[[HookEvent], Any], caplog: pytest.LogCaptureFixture
) -> None:
    other = Heard()
    sandbox.faults.add(Fault(MODELS, status=503, times=1))
    with caplog.at_level(logging.ERROR, "relaydance_async"):
        async with client_of(sandbox, QuickClock(sandbox.clock.advance), hooks=[hook, other]) as client:
            await list_models(client)
            await open_stream(client)
            await client.video.wait(await submit_clip(client))
    raised = {type(event).__name__ for event in other.events}
    assert len(raised) >= len(KINDS) - 1
    assert all(record.levelname == "ERROR" and "the call goes on" in record.getMessage() for record in caplog.records)
    if hook is not cancel:
        assert all(f"Bug: {name}" in caplog.text for name in raised)
    assert len(caplog.records) == len(other.events)


class Odd(BaseException):
    """As pytest's own, and those of other frameworks."""


def raising(kind: type[BaseException], *, later: bool) -> Callable[[Any], Any]:
    def at_once(event: object) -> None:
        raise kind

    async def after(event: object) -> None:
        raise kind

    return after if later else at_once


ODD = [
    (GeneratorExit, False),
    (asyncio.CancelledError, False),
    (Odd, False),
    (asyncio.CancelledError, True),
    (Odd, True),
]


@pytest.mark.parametrize(("kind", "later"), ODD)
async def test_no_odd_exception_of_a_hook_costs_an_answer(
    sandbox: Sandbox, kind: type[BaseException], later: bool
) -> None:
    wrong, other = raising(kind, later=later), Heard()
    sandbox.faults.add(Fault(SUBMIT, status=503, times=1))
    options: dict[str, Any] = {"hooks": [wrong, other], "on_retry": wrong}
    async with client_of(sandbox, QuickClock(sandbox.clock.advance), **options) as client:
        task = await submit_clip(client)
        assert (await client.video.wait(task, on_update=wrong, on_progress=wrong)).status == "succeeded"
        await open_stream(client)
    assert other.names[0] == "CallBegan"
    assert other.names[-1] == "CallEnded"


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_what_ends_the_program_ends_it_in_a_hook_too(sandbox: Sandbox, kind: type[BaseException]) -> None:
    client = client_of(sandbox, hooks=[raising(kind, later=False)])
    with pytest.raises(kind):
        asyncio.run(ask_chat(client))


async def test_a_cancellation_amid_a_hook_that_is_awaited_is_the_calls(sandbox: Sandbox) -> None:
    entered = anyio.Event()

    async def hang(event: object) -> None:
        entered.set()
        await anyio.sleep_forever()

    sandbox.faults.add(Fault(MODELS, status=503, times=1))
    async with client_of(sandbox, QuickClock(), on_retry=hang) as client:
        call = asyncio.ensure_future(list_models(client))
        await entered.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        sandbox.faults.add(Fault(MODELS, status=503, times=1))
        with anyio.move_on_after(0.05) as scope:
            await list_models(client)
        assert scope.cancelled_caught


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_an_odd_exception_of_a_hook_does_not_end_the_run_of_trio(sandbox: Sandbox) -> None:
    import httpx

    async with (
        httpx.AsyncClient(trust_env=False) as http,
        client_of(sandbox, http_client=http, hooks=[raising(Odd, later=True)]) as client,
    ):
        assert await ask_chat(client)


async def test_a_slow_asynchronous_hook_delays_no_call_but_the_end_of_the_client(sandbox: Sandbox) -> None:
    done = list[HookEvent]()

    async def slow(event: HookEvent) -> None:
        await anyio.sleep(0.1)
        done.append(event)

    async with client_of(sandbox, hooks=[slow]) as client:
        began = time.perf_counter()
        for _ in range(3):
            await submit_clip(client)
        assert time.perf_counter() - began < 0.3  # each has five events, which take 0.5 s
        assert not done or len(done) < 15
    assert len(done) == 15


async def test_a_hook_that_hangs_is_ended_with_the_client(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_later, "DRAIN_SECONDS", 0.05)
    ended = anyio.Event()

    async def hang(event: HookEvent) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.set()

    async with client_of(sandbox, hooks=[hang]) as client:
        await ask_chat(client)
        assert look_at(client).tasks == 0
    with anyio.fail_after(1):
        await ended.wait()


async def test_a_cancelled_call_does_not_wait_for_its_hooks(sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault(SUBMIT, delay=60))
    told, goes_on = anyio.Event(), anyio.Event()
    heard = list[str]()

    async def slow(event: HookEvent) -> None:
        await goes_on.wait()
        heard.append(type(event).__name__)
        if isinstance(event, CallEnded):
            assert event.outcome == "cancelled"
            told.set()

    async with client_of(sandbox, hooks=[slow]) as client:
        await cancel_when(lambda: submit_clip(client), lambda: len(sandbox.ledger.entries) == 1)
        assert not heard  # and yet the call is over
        goes_on.set()
        with anyio.fail_after(1):
            await told.wait()
    assert heard == ONCE


async def test_no_hook_is_called_in_a_cancelled_scope_or_a_shielded_one(sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault(SUBMIT, delay=60))
    slept = list[str]()

    async def sleep(event: HookEvent) -> None:
        await anyio.sleep(0.01)  # raises at once where the scope is cancelled
        slept.append(type(event).__name__)

    async with client_of(sandbox, hooks=[sleep]) as client:
        with anyio.move_on_after(0.1):
            await submit_clip(client)
    assert slept == ONCE


request_id: contextvars.ContextVar[str] = contextvars.ContextVar("request_id")


@pytest.mark.parametrize("anyio_backend", ["asyncio", ("asyncio", {"use_uvloop": True}), "trio"])
async def test_hooks_see_the_context_of_their_call(sandbox: Sandbox) -> None:
    import httpx

    seen = list[tuple[str, str]]()

    def at_once(event: HookEvent) -> None:
        seen.append(("at once", request_id.get()))

    async def later(event: HookEvent) -> None:
        await anyio.lowlevel.checkpoint()
        seen.append(("later", request_id.get()))

    async def handle(name: str) -> None:
        request_id.set(name)
        await ask_chat(client)

    async with (
        httpx.AsyncClient(trust_env=False) as http,
        client_of(sandbox, http_client=http, hooks=[at_once, later]) as client,
        anyio.create_task_group() as group,
    ):
        group.start_soon(handle, "a")
        group.start_soon(handle, "b")
    assert sorted(seen) == sorted([(when, name) for when in ("at once", "later") for name in "ab"] * 5)


async def test_events_beyond_what_may_wait_are_dropped_with_one_warning(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(_later, "MOST", 7)
    goes_on = anyio.Event()
    done = list[HookEvent]()

    async def slow(event: HookEvent) -> None:
        await goes_on.wait()
        done.append(event)

    async with client_of(sandbox, hooks=[slow]) as client:
        for _ in range(4):
            await list_models(client)
        goes_on.set()
    assert len(done) == 7
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        "the hooks are too slow: 7 events wait for them, and further ones are dropped"
    ]


async def test_a_view_has_hooks_of_its_own(sandbox: Sandbox) -> None:
    heard, other = Heard(), HeardLater()
    async with client_of(sandbox, hooks=[heard]) as client:
        await list_models(client.with_options(hooks=[other]))
        await list_models(client.with_options(hooks=None))
        await list_models(client.with_options(hooks=[]))
        assert heard.events == []
        await list_models(client.with_options(deadline=5))
    assert heard.names == ONCE
    assert other.names == ONCE


async def test_on_retry_is_told_besides(sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault(MODELS, status=503, times=1))
    heard, retries = Heard(), list[RetryEvent]()
    async with client_of(sandbox, QuickClock(), hooks=[heard], on_retry=retries.append) as client:
        await list_models(client)
    (retry,) = retries
    assert (retry.attempt, retry.error, retry.wait) == (1, heard.one(Retrying).error, heard.one(Retrying).wait)


@pytest.mark.parametrize(
    ("hooks", "problem"),
    [
        (print, "hooks must be a list of hooks, not builtin_function_or_method"),
        ("print", "hooks must be a list of hooks, not str"),
        (3, "hooks must be a list of hooks, not int"),
        ([3], "a hook must be a function of one event, not int"),
        ([Heard], r"a hook must be an object: Heard\(\.\.\.\), not the class"),
    ],
)
def test_what_is_no_hook_is_refused_at_once(sandbox: Sandbox, hooks: Any, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{problem}"):
        client_of(sandbox, hooks=hooks)
    with pytest.raises(ConfigurationError, match=f"^{problem}"):
        client_of(sandbox).with_options(hooks=hooks)


async def test_an_awaitable_that_is_no_coroutine_is_awaited_too(sandbox: Sandbox) -> None:
    done = list[str]()

    async def note(event: HookEvent) -> None:
        done.append(type(event).__name__)

    def start(event: HookEvent) -> asyncio.Task[None]:
        return asyncio.get_running_loop().create_task(note(event))

    async with client_of(sandbox, hooks=[start]) as client:
        await list_models(client)
    assert done == ONCE


def test_a_loop_that_ends_early_takes_its_hooks_along(sandbox: Sandbox) -> None:
    async def hang(event: HookEvent) -> None:
        await anyio.sleep_forever()

    async def main(client: AsyncRelayDance) -> None:
        await list_models(client)

    client = client_of(sandbox, hooks=[hang])
    asyncio.run(main(client))
    heard = Heard()
    asyncio.run(main(client.with_options(hooks=[heard])))
    assert heard.names == ONCE
    gc.collect()


def test_a_call_that_is_garbage_before_its_end_is_told_as_no_error(sandbox: Sandbox) -> None:
    heard = Heard()
    sandbox.faults.add(Fault(MODELS, delay=60))
    loop = asyncio.new_event_loop()
    client = client_of(sandbox, hooks=[heard, HeardLater()])
    task = loop.create_task(client.models.list())
    loop.run_until_complete(wait_until(lambda: len(sandbox.ledger.entries) == 1))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)
    loop.run_until_complete(client.aclose())
    loop.close()
    assert (heard.names[0], heard.one(CallEnded).outcome) == ("CallBegan", "cancelled")


async def test_without_hooks_nothing_of_them_is_made(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relaydance_async._call.api.is_logging_attempts", lambda: False)
    monkeypatch.setattr("relaydance_async._call.call.watch", None)  # whoever calls it fails
    async with client_of(sandbox) as client:
        await ask_chat(client)
        await open_stream(client)


def test_the_events_are_not_defined_before_they_are_needed() -> None:
    import subprocess
    import sys

    code = "import sys, relaydance_async; print(sorted(m for m in sys.modules if 'hooks' in m or 'opentelemetry' in m))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "relaydance_async._hooks._events" not in out
    assert "opentelemetry" not in out
