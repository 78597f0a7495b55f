"""A client outlives an event loop: loops one after another, side by side, of another kind, or none yet."""

from __future__ import annotations

import asyncio
import gc
import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import pytest

from relaydance_async import AsyncRelayDance, ConfigurationError
from relaydance_async._runtime import Runtime, Runtimes
from relaydance_async._sansio.target import Network
from relaydance_async._transports import build_transport
from relaydance_async.sandbox import Fault, Sandbox
from tests.kit.calls import HELLO, client_of, list_models, submit_clip
from tests.kit.loops import make_loops
from tests.kit.probe import NOTHING, Held, held, look_at, loops_of, watch
from tests.kit.routes import MODELS, SUBMIT
from tests.kit.waiting import wait_until


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


@pytest.fixture(params=["direct", "httpx", "direct on uvloop", "httpx on uvloop"])
def client(request: pytest.FixtureRequest, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> AsyncRelayDance:
    """Made outside of any loop."""
    make_loops(monkeypatch, request.param)
    return client_of(sandbox, transport=request.param)


def test_one_client_serves_one_asyncio_run_after_another(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    for _ in range(3):
        assert asyncio.run(list_models(client)).data
    assert sandbox.ledger.accepted(MODELS) == 3


def test_a_closed_client_serves_the_next_loop_and_the_same_one(client: AsyncRelayDance) -> None:
    async def use() -> None:
        async with client:
            await list_models(client)
        assert (await list_models(client)).data
        await client.aclose()
        await client.aclose()

    asyncio.run(use())
    asyncio.run(use())


def test_one_client_serves_a_loop_in_each_of_several_threads(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    failures: list[BaseException] = []
    together = threading.Barrier(4)

    async def use() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(list_models, client)

    def run() -> None:
        try:
            together.wait(5)
            for _ in range(3):
                asyncio.run(use())
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failures == []
    assert sandbox.ledger.accepted(MODELS) == 60


def test_loops_share_neither_connections_nor_permits_and_the_closed_ones_are_forgotten(client: AsyncRelayDance) -> None:
    looks: list[Callable[[], Held]] = []

    async def look() -> None:
        await list_models(client)
        looks.append(await watch(client))
        assert loops_of(client) == 1

    for _ in range(3):
        asyncio.run(look())
    assert len(set(looks)) == 3
    assert [look() for look in looks] == [NOTHING] * 3


def test_the_end_of_a_loop_closes_its_connections(client: AsyncRelayDance) -> None:
    async def use() -> Callable[[], Held]:
        await list_models(client)
        look = await watch(client)
        assert look().connections == 1
        return look

    assert asyncio.run(use())() == NOTHING


def test_a_loop_that_ends_under_a_running_call_cancels_it_and_leaves_nothing(
    client: AsyncRelayDance, sandbox: Sandbox
) -> None:
    sandbox.faults.add(Fault(MODELS, stall=True, times=1))

    async def leave() -> Callable[[], Held]:
        task = asyncio.ensure_future(list_models(client))
        await wait_until(lambda: sandbox.ledger.count() == 1)
        assert not task.done()
        assert look_at(client).permits == 1
        return await watch(client)

    assert asyncio.run(leave())() == NOTHING
    assert asyncio.run(list_models(client)).data


async def both_kinds_of_calls(sandbox: Sandbox, **options: Any) -> None:
    client = client_of(sandbox, **options)
    async with client:
        await list_models(client)
        await submit_clip(client)
        look = await watch(client)
        assert look().connections == (0 if options else 1)  # a caller's client's are the caller's
    assert look() == NOTHING
    assert (await list_models(client)).data
    async with await client.chat.completions.create(
        model="grok-4.3", messages=[{"role": "user", "content": "Hi"}], stream=True
    ) as stream:
        assert (await stream.get_final_completion()).choices[0].message.content
    assert (await held(client)).permits == 0
    await client.aclose()


def test_calls_streams_and_closing_work_under_asyncio(sandbox: Sandbox) -> None:
    anyio.run(both_kinds_of_calls, sandbox)


def test_and_under_trio_over_a_callers_client(sandbox: Sandbox) -> None:
    async def run() -> None:
        async with httpx.AsyncClient() as http:
            await both_kinds_of_calls(sandbox, http_client=http)

    anyio.run(run, backend="trio")


def test_one_client_says_under_trio_what_it_needs_and_serves_asyncio_before_and_after(sandbox: Sandbox) -> None:
    client = client_of(sandbox)
    for backend in ("asyncio", "trio", "asyncio"):
        if backend == "trio":
            with pytest.raises(ConfigurationError, match="http_client"):
                anyio.run(list_models, client, backend=backend)
        else:
            assert anyio.run(list_models, client, backend=backend).data


def test_cancellation_under_trio_leaves_nothing(sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault(MODELS, stall=True, times=1))

    async def run() -> None:
        async with httpx.AsyncClient() as http:
            client = client_of(sandbox, http_client=http)
            async with anyio.create_task_group() as group:
                group.start_soon(list_models, client)
                await wait_until(lambda: sandbox.ledger.count() == 1)
                group.cancel_scope.cancel()
            assert await held(client) == NOTHING
            await list_models(client)
            await client.aclose()

    anyio.run(run, backend="trio")


def test_a_call_outside_of_any_loop_is_the_callers_mistake_and_says_so(client: AsyncRelayDance) -> None:
    call = client.models.list()
    with pytest.raises(RuntimeError):
        call.send(None)


def test_a_client_that_was_never_used_leaves_nothing() -> None:
    client = AsyncRelayDance("sk-1")
    asyncio.run(client.aclose())
    del client
    gc.collect()


@pytest.mark.anyio
@pytest.mark.parametrize("transport", ["direct", "httpx"])
async def test_what_a_client_holds_is_told_for_the_running_loop(sandbox: Sandbox, transport: Any) -> None:
    sandbox.faults.add(Fault(MODELS, stall=True))
    endless = {"sandbox_chunks": 10_000, "sandbox_chunk_delay": 0.01}
    async with client_of(sandbox, transport=transport, max_concurrency=2) as client:
        assert await held(client) == NOTHING
        stream = await client.chat.completions.create(model="grok-4.3", messages=HELLO, stream=True, extra_body=endless)
        assert await held(client) == Held(permits=1, connections=1, streams=1)
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(list_models, client)
            await wait_until(lambda: sandbox.ledger.count(MODELS) == 1)
            assert await held(client) == await held(client.with_options()) == Held(2, 2, 2, 1, 0)
            group.cancel_scope.cancel()
        await stream.aclose()
        assert (await held(client)).permits == 0
    assert await held(client) == NOTHING


class Building:
    """Builds runtimes as a client does, while time passes as if a library were imported."""

    def __init__(self, *failures: Exception) -> None:
        self.begun = 0
        self._failures = list(failures)

    async def __call__(self) -> Runtime:
        self.begun += 1
        await anyio.lowlevel.checkpoint()
        if self._failures:
            raise self._failures.pop(0)
        transport = await build_transport("httpx", None, max_idle=1, network=Network.ANY)
        nobody: Any = None
        return Runtime({Network.ANY: transport}, nobody, nobody)


@pytest.mark.anyio
async def test_calls_that_begin_together_make_one_runtime_and_say_so_once(caplog: pytest.LogCaptureFixture) -> None:
    async def use() -> None:
        made.add(await runtimes.current())

    made: set[Runtime] = set()
    caplog.set_level(logging.DEBUG, "relaydance_async")
    build = Building()
    runtimes = Runtimes(build)
    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(use)
    await runtimes.aclose()
    assert (build.begun, len(made)) == (1, 1)
    assert caplog.messages == ["transport: httpx over an engine of ours, with llhttp"]


@pytest.mark.anyio
async def test_when_the_first_call_fails_to_make_the_runtime_the_others_try_too() -> None:
    build = Building(OSError("no thread"))
    runtimes = Runtimes(build)
    first, *others = await asyncio.gather(*(runtimes.current() for _ in range(5)), return_exceptions=True)
    await runtimes.aclose()
    assert isinstance(first, OSError)
    assert build.begun == 5
    assert isinstance(others[0], Runtime)
    assert set(others) == {others[0]}


def test_a_loop_that_is_closed_meanwhile_says_nothing() -> None:
    program = """
import asyncio, gc
from relaydance_async._runtime import Runtimes

async def build():
    await asyncio.sleep(5)

async def begin():
    kept.extend(asyncio.ensure_future(runtimes.current()) for _ in range(3))
    await asyncio.sleep(0)

kept, runtimes, loop = [], Runtimes(build), asyncio.new_event_loop()
loop.run_until_complete(begin())
loop.close()
asyncio.log.logger.disabled = True  # it tells of the pending tasks
kept.clear()
gc.collect()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_the_first_call_imports_nothing_heavy_in_the_event_loop() -> None:
    program = """
import asyncio, sys
import httptools
from relaydance_async import AsyncRelayDance

async def main():
    async with AsyncRelayDance("sk-1", base_url="http://127.0.0.1:9/v1", allow_http=True) as client:
        await client._runtimes.current()
        print("anyio._backends._asyncio" in sys.modules)

asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.anyio
async def test_when_the_first_call_is_cancelled_meanwhile_the_others_make_the_runtime() -> None:
    build = Building()
    runtimes = Runtimes(build)
    first, *others = [asyncio.ensure_future(runtimes.current()) for _ in range(5)]
    await asyncio.sleep(0)
    first.cancel()
    made = await asyncio.gather(*others)
    await runtimes.aclose()
    assert first.cancelled()
    assert len(set(made)) == 1


@pytest.mark.anyio
@pytest.mark.parametrize("transport", ["direct", "httpx"])
async def test_calls_that_queue_while_the_client_is_closed_go_over_new_connections(
    sandbox: Sandbox, transport: str
) -> None:
    async with client_of(sandbox, transport=transport, max_concurrency=2) as client:
        sandbox.faults.add(Fault(SUBMIT, delay=0.05, times=2))
        submit = client.video.submit
        calls = [asyncio.ensure_future(submit(model="grok-imagine-video", prompt=f"cat {n}")) for n in range(5)]
        await wait_until(lambda: look_at(client).queued == 3 and sandbox.ledger.count(SUBMIT) == 2)
        await client.aclose()
        done = await asyncio.gather(*calls, return_exceptions=True)
    assert [isinstance(result, BaseException) for result in done] == [True, True, False, False, False]
    assert sandbox.ledger.duplicates() == 0
