"""A billed call that is cancelled says whether it may have been accepted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest

from relaydance_async import APITimeoutError, AsyncRelayDance, RelayDanceError, TaskFailedError, maybe_accepted
from relaydance_async._sansio.observer import CallInfo, CallObserver, NoObserver
from relaydance_async.sandbox import Sandbox, TaskPlan, TaskScript
from tests.kit.calls import ask_chat, edit_image, list_models, make_image, open_stream, submit_clip, upload_file
from tests.kit.calls import client_of as sandbox_client
from tests.kit.clocks import JumpingLoop, QuickClock
from tests.kit.inside import close_limits, make_client
from tests.kit.strangers import Gateway, answer, gateway, good

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("transport", ["httpx", "direct"])]

Call = Callable[[AsyncRelayDance], Awaitable[Any]]

SKIPPED = 60.0
"""Seconds."""


@pytest.fixture(scope="module")
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Its time can be put forward."""
    return "asyncio", {"loop_factory": JumpingLoop}


BILLED: dict[str, Call] = {
    "video": submit_clip,
    "generate": lambda client: client.video.generate(model="m", prompt="a cat"),
    "image": make_image,
    "edit": edit_image,
    "upload": upload_file,
    "chat": ask_chat,
    "stream": open_stream,
}
ON_ITS_WAY = "the request was on its way: it may have been accepted and billed"


@dataclass
class Ear(NoObserver):
    """Hears how calls end."""

    ends: list[tuple[type[BaseException], bool]] = field(default_factory=list[tuple[type[BaseException], bool]])

    def call_began(self, call: CallInfo) -> CallObserver:
        return self

    def ended(self, result: object, error: BaseException | None, maybe_accepted: bool) -> None:
        assert error is not None
        self.ends.append((type(error), maybe_accepted))


def client_of(server: Gateway, transport: Any, **options: Any) -> AsyncRelayDance:
    return make_client("sk-very-secret-1", base_url=server.base_url, transport=transport, **options)


def silence(path: str, number: int) -> None:
    return None


Stop = Callable[[Awaitable[Any], asyncio.Event], Awaitable[None]]


async def by_cancel(call: Awaitable[Any], at: asyncio.Event) -> None:
    task = asyncio.ensure_future(call)
    await at.wait()
    task.cancel()
    await task


async def by_timeout(call: Awaitable[Any], at: asyncio.Event) -> None:
    async with asyncio.timeout(None) as limit:
        watch = asyncio.ensure_future(when(at, lambda: limit.reschedule(0)))
        await call
        watch.cancel()


async def by_wait_for(call: Awaitable[Any], at: asyncio.Event) -> None:
    watch = asyncio.ensure_future(when(at, skip))
    await asyncio.wait_for(call, SKIPPED / 2)
    watch.cancel()


async def by_fail_after(call: Awaitable[Any], at: asyncio.Event) -> None:
    with anyio.fail_after(1000) as scope:
        watch = asyncio.ensure_future(when(at, lambda: setattr(scope, "deadline", anyio.current_time())))
        await call
        watch.cancel()


async def in_a_group(*calls: Coroutine[Any, Any, Any]) -> None:
    async with asyncio.TaskGroup() as group:
        for call in calls:
            group.create_task(call)


def skip() -> None:
    """Let time pass, less than any timeout of the client."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, JumpingLoop)
    loop.skip(SKIPPED)


async def when(at: asyncio.Event, act: Callable[[], None]) -> None:
    await at.wait()
    act()


STOPS: dict[str, tuple[Stop, type[BaseException]]] = {
    "Task.cancel": (by_cancel, asyncio.CancelledError),
    "asyncio.timeout": (by_timeout, TimeoutError),
    "asyncio.wait_for": (by_wait_for, TimeoutError),
    "anyio.fail_after": (by_fail_after, TimeoutError),
}


def notes_of(error: BaseException | None) -> list[str]:
    """The notes of an exception and of those behind it."""
    notes: list[str] = []
    while error is not None:
        notes += getattr(error, "__notes__", [])
        error = error.__cause__ or error.__context__
    return notes


@pytest.mark.parametrize("stop", STOPS)
@pytest.mark.parametrize("call", BILLED)
async def test_a_call_that_was_on_its_way_may_have_been_accepted(transport: Any, call: str, stop: str) -> None:
    act, kind = STOPS[stop]
    ear = Ear()
    async with gateway(silence) as server, client_of(server, transport, observers=[ear]) as client:
        with pytest.raises(kind) as caught:
            await act(BILLED[call](client), server.arrived)
        assert len(server.taken) == 1
    assert maybe_accepted(caught.value) is True
    assert any(note.startswith(ON_ITS_WAY) for note in notes_of(caught.value))
    assert ear.ends == [(asyncio.CancelledError, True)]


@pytest.mark.parametrize("stop", STOPS)
@pytest.mark.parametrize("call", BILLED)
async def test_a_call_that_waited_for_its_turn_was_not_accepted(transport: Any, call: str, stop: str) -> None:
    act, kind = STOPS[stop]
    ear = Ear()
    async with gateway(silence) as server, client_of(server, transport, observers=[ear]) as client:
        close_limits(client, 1000)
        queued = asyncio.Event()
        ear.queued = lambda attempt: queued.set()  # type: ignore[method-assign]
        with pytest.raises(kind) as caught:
            await act(BILLED[call](client), queued)
        assert server.taken == []
    assert maybe_accepted(caught.value) is False
    assert notes_of(caught.value) == []
    assert ear.ends == [(asyncio.CancelledError, False)]


@pytest.mark.parametrize("call", BILLED)
async def test_a_scope_that_swallows_the_cancellation_cannot_keep_it_from_the_observer(
    transport: Any, call: str
) -> None:
    ear = Ear()
    async with gateway(silence) as server, client_of(server, transport, observers=[ear]) as client:
        with anyio.move_on_after(1000) as scope:
            watch = asyncio.ensure_future(when(server.arrived, scope.cancel))
            await BILLED[call](client)
            watch.cancel()
    assert scope.cancelled_caught
    assert ear.ends == [(asyncio.CancelledError, True)]


async def test_of_tasks_that_others_cancel_the_observer_tells(transport: Any) -> None:
    ear = Ear()

    def reply(path: str, number: int) -> bytes | None:
        return answer(400) if number == 3 else None

    async with gateway(reply) as server, client_of(server, transport, observers=[ear]) as client:

        async def third() -> None:
            while len(server.taken) < 2:
                server.arrived.clear()
                await server.arrived.wait()
            await submit_clip(client)

        with pytest.raises(BaseExceptionGroup) as caught:
            await in_a_group(submit_clip(client), submit_clip(client), third())
    # The group has only what the third one raised.
    assert maybe_accepted(caught.value) is False
    assert sorted(ear.ends, key=str) == [
        (asyncio.CancelledError, True),
        (asyncio.CancelledError, True),
        (type(caught.value.exceptions[0]), False),
    ]


async def test_a_member_of_a_group_that_may_have_been_accepted_is_found(transport: Any) -> None:
    async with gateway(answer(504)) as server, client_of(server, transport) as client:
        with pytest.raises(BaseExceptionGroup) as caught:
            await in_a_group(submit_clip(client))
    assert maybe_accepted(caught.value) is True


async def test_a_deadline_says_it_too(transport: Any) -> None:
    ear = Ear()
    options: dict[str, Any] = {"deadline": SKIPPED / 2, "observers": [ear]}
    async with gateway(silence) as server, client_of(server, transport, **options) as client:
        watch = asyncio.ensure_future(when(server.arrived, skip))
        with pytest.raises(APITimeoutError) as caught:
            await submit_clip(client)
        await watch
    assert (caught.value.maybe_accepted, maybe_accepted(caught.value), caught.value.retryable) == (True, True, False)
    assert ear.ends == [(APITimeoutError, True)]


async def test_a_request_that_costs_nothing_says_nothing(transport: Any) -> None:
    async with gateway(silence) as server, client_of(server, transport) as client:
        with pytest.raises(asyncio.CancelledError) as caught:
            await by_cancel(list_models(client), server.arrived)
    assert maybe_accepted(caught.value) is None
    assert notes_of(caught.value) == []
    assert maybe_accepted(ValueError()) is None


async def test_a_stream_that_is_cancelled_while_it_is_read_was_accepted(transport: Any) -> None:
    head = answer(200, {"content-type": "text/event-stream"}).replace(b"content-length: 0", b"content-length: 999")
    read = asyncio.Event()

    async def listen(client: AsyncRelayDance) -> None:
        messages = [{"role": "user", "content": "Hi"}]
        async with await client.chat.completions.create(model="m", messages=messages, stream=True) as stream:
            async for _ in stream:
                read.set()

    chunk = b'data: {"choices": [{"index": 0, "delta": {"content": "Hello"}}]}\n\n'
    async with gateway(head + chunk) as server, client_of(server, transport) as client:
        with pytest.raises(asyncio.CancelledError) as caught:
            await by_cancel(listen(client), read)
    assert maybe_accepted(caught.value) is True


# After the submit of `generate`.


def only_the_submit(path: str, number: int) -> bytes | None:
    return good(path) if number == 1 else None


async def test_generate_after_its_submit_was_accepted_and_keeps_its_id(transport: Any) -> None:
    async with gateway(only_the_submit) as server, client_of(server, transport) as client:
        submitted = asyncio.Event()
        call = client.video.generate(model="m", prompt="a cat", on_update=lambda _: submitted.set())
        with pytest.raises(asyncio.CancelledError) as caught:
            await by_cancel(call, submitted)
    assert maybe_accepted(caught.value) is True
    assert notes_of(caught.value) == ["video task task_1 was submitted; resume with client.video.wait('task_1')"]


async def test_a_poll_of_generate_that_fails_leaves_nothing_that_may_be_repeated(transport: Any) -> None:
    def reply(path: str, number: int) -> bytes:
        refused = answer(401, {"x-oneapi-request-id": "1"}, b'{"error": {"message": "no such key"}}')
        return good(path) if number == 1 else refused

    async with gateway(reply) as server, client_of(server, transport) as client:
        with pytest.raises(RelayDanceError) as caught:
            await client.video.generate(model="m", prompt="a cat")
    assert (caught.value.maybe_accepted, caught.value.retryable) == (True, False)
    assert "The task goes on: resume with `await client.video.wait('task_1')`" in str(caught.value)


async def test_a_clip_that_failed_was_not_billed(transport: Any) -> None:
    with Sandbox(time_scale=1000, tasks=TaskPlan(TaskScript(outcome="failed"))) as sandbox:
        async with sandbox_client(sandbox, QuickClock(), transport=transport) as client:
            with pytest.raises(TaskFailedError) as caught:
                await client.video.generate(model="grok-imagine-video", prompt="a cat")
    assert maybe_accepted(caught.value) is False
