"""`on_retry` is told what is repeated."""

from __future__ import annotations

import logging

import anyio
import anyio.lowlevel
import pytest

from relaydance_async import RetryEvent, ServerError
from relaydance_async.sandbox import Fault, Sandbox
from tests.call.support import Start, failure_of
from tests.kit.calls import submit_clip
from tests.kit.clocks import QuickClock
from tests.kit.routes import MODELS, SUBMIT

pytestmark = pytest.mark.anyio


async def test_the_hook_is_told_every_retry_and_what_led_to_it(sandbox: Sandbox, start: Start) -> None:
    sandbox.faults.add(Fault(SUBMIT, status=503, code="get_channel_failed", times=2))
    seen: list[RetryEvent] = []
    clock = QuickClock()
    async with start(sandbox, clock, on_retry=seen.append) as client:
        await submit_clip(client)
    assert [(event.attempt, event.wait, event.elapsed) for event in seen] == [(1, 0.5, 0.0), (2, 1.0, 0.5)]
    assert {(event.method, event.path) for event in seen} == {("POST", "/video/generations")}
    assert [type(event.error) for event in seen] == [ServerError, ServerError]
    assert [len(event.error.attempts) for event in seen] == [1, 2]
    assert seen[0].error.code == "get_channel_failed"
    with pytest.raises(AttributeError):
        seen[0].wait = 0.0  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


async def test_the_hook_is_not_told_an_error_that_is_not_repeated(sandbox: Sandbox, start: Start) -> None:
    sandbox.faults.add(Fault(MODELS, status=400))
    seen: list[RetryEvent] = []
    async with start(sandbox, QuickClock(), on_retry=seen.append) as client:
        await failure_of(client.models.list())
    assert seen == []


async def test_a_coroutine_function_as_hook_is_awaited_before_the_wait(sandbox: Sandbox, start: Start) -> None:
    sandbox.faults.add(Fault(MODELS, status=503, times=2))
    order: list[str] = []
    clock = QuickClock()

    async def hook(event: RetryEvent) -> None:
        await anyio.lowlevel.checkpoint()
        order.append(f"{event.attempt} after {len(clock.sleeps)} waits")

    async with start(sandbox, clock, on_retry=hook) as client:
        await client.models.list()
    assert order == ["1 after 0 waits", "2 after 1 waits"]


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_hook_that_raises_does_not_cost_the_call(
    sandbox: Sandbox, is_async: bool, caplog: pytest.LogCaptureFixture, start: Start
) -> None:
    def hook(event: RetryEvent) -> None:
        raise ValueError("my bug")

    async def async_hook(event: RetryEvent) -> None:
        raise ValueError("my bug")

    sandbox.faults.add(Fault(MODELS, status=503, times=1))
    with caplog.at_level(logging.ERROR, "relaydance_async"):
        async with start(sandbox, QuickClock(), on_retry=async_hook if is_async else hook) as client:
            assert (await client.models.list()).data
    assert "on_retry raised; the call goes on" in caplog.text
    assert "my bug" in caplog.text


async def test_a_view_may_have_a_hook_of_its_own(sandbox: Sandbox, start: Start) -> None:
    sandbox.faults.add(Fault(MODELS, status=503, at=(1, 3)))
    one: list[RetryEvent] = []
    other: list[RetryEvent] = []
    async with start(sandbox, QuickClock(), on_retry=one.append) as client:
        await client.models.list()
        await client.with_options(on_retry=other.append).models.list()
    assert (len(one), len(other)) == (1, 1)
