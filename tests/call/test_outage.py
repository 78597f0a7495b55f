"""A gateway that fails for a while: few requests reach it, and no call is lost."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from relaydance_async import AsyncRelayDance, RelayDanceError, RetryPolicy, ServerError
from relaydance_async.sandbox import Sandbox
from tests.call.support import Start, failure_of
from tests.kit.calls import ask_chat, list_models, submit_clip
from tests.kit.clocks import HandClock, QuickClock
from tests.kit.probe import look_at
from tests.kit.strangers import SIGNED, answer, gateway, good
from tests.kit.waiting import wait_until

pytestmark = pytest.mark.anyio

CHAT, MODELS, SUBMIT = "/chat/completions", "/models", "/video/generations"
DOWN = answer(503)
STRANGE = answer(502, {"server": "nginx"})

Reply = Callable[[str, int], bytes | None]


def until(at: float, clock: QuickClock | HandClock, failing: bytes) -> Reply:
    """A gateway that fails until that time."""
    return lambda path, _: failing if clock.at < at else good(path, SIGNED)


async def all_of(call: Callable[[AsyncRelayDance], Awaitable[Any]], client: AsyncRelayDance, count: int) -> list[Any]:
    """What so many calls at once end in."""
    ends: list[Any] = []

    async def one() -> None:
        try:
            ends.append(await call(client))
        except RelayDanceError as error:
            ends.append(error)

    async with anyio.create_task_group() as group:
        for _ in range(count):
            group.start_soon(one)
    return ends


@pytest.mark.parametrize("call", [list_models, submit_clip, ask_chat])
async def test_an_outage_of_some_seconds_loses_no_call_and_gets_few_requests(
    sandbox: Sandbox, start: Start, call: Callable[[AsyncRelayDance], Awaitable[Any]]
) -> None:
    clock = QuickClock()
    overloaded = answer(503, SIGNED, b'{"error": {"message": "busy", "code": "system_cpu_overloaded"}}')
    async with (
        gateway(until(1002.0, clock, overloaded)) as server,
        start(sandbox, clock, base_url=server.base_url) as client,
    ):
        ends = await all_of(call, client, 300)
    assert not [end for end in ends if isinstance(end, RelayDanceError)]
    assert len(server.taken) <= 1.4 * 300  # on this clock all 100 permits are out before the first answer


async def test_an_outage_leaves_only_the_clips_that_were_on_the_wire_in_doubt(sandbox: Sandbox, start: Start) -> None:
    clock = QuickClock()
    async with (
        gateway(until(1010.0, clock, STRANGE)) as server,
        start(sandbox, clock, base_url=server.base_url, max_concurrency=4) as client,
    ):
        ends = await all_of(submit_clip, client, 100)
    in_doubt = [end for end in ends if isinstance(end, RelayDanceError) and end.maybe_accepted]
    assert 3 <= len(in_doubt) <= 7  # three in a row, and what was on the wire beside the third
    assert len([end for end in ends if not isinstance(end, RelayDanceError)]) == 100 - len(in_doubt)
    assert server.taken.count(SUBMIT) == 100
    assert MODELS in server.taken


async def test_a_call_without_a_deadline_waits_for_a_minute_and_says_what_for(sandbox: Sandbox, start: Start) -> None:
    clock = HandClock()
    errors: list[RelayDanceError] = []
    async with gateway(DOWN) as server:
        client = start(sandbox, clock, base_url=server.base_url, retry=RetryPolicy(max_attempts=1))
        async with client, anyio.create_task_group() as group:
            for _ in range(10):
                await failure_of(list_models(client))

            async def fail() -> None:
                errors.append(await failure_of(submit_clip(client)))

            for _ in range(2):
                group.start_soon(fail)
            while len(errors) < 2:
                clock.advance(0.5)
                await anyio.sleep(0.001)
            assert clock.at < 1070.0
    assert isinstance(errors[0], ServerError)
    assert errors[0].message == ("the gateway is failing (HTTP 503); the call waited for it for 60 s, and was not sent")
    assert errors[0].not_retried_because == "its turn would not have come in time"
    assert (errors[0].attempts, errors[0].maybe_accepted, errors[0].retryable) == ((), False, True)
    assert SUBMIT not in server.taken


async def test_with_a_deadline_a_call_waits_until_that(sandbox: Sandbox, start: Start) -> None:
    async with gateway(DOWN) as server:
        once = RetryPolicy(max_attempts=1)
        async with start(sandbox, HandClock(), base_url=server.base_url, retry=once) as client:
            for _ in range(10):
                await failure_of(list_models(client))
            error = await failure_of(submit_clip(client.with_options(deadline=0.02)))
    assert "; the call had been waiting for its turn for " in error.message
    assert SUBMIT not in server.taken


async def test_a_probe_that_is_cancelled_passes_on(sandbox: Sandbox, start: Start) -> None:
    """One waits for the answer to its probe. When it is cancelled, the next one asks."""
    clock = HandClock()

    def reply(path: str, number: int) -> bytes | None:
        if number <= 10:
            return DOWN
        return None if number == 11 else good(path, SIGNED)

    async with gateway(reply) as server:
        client = start(sandbox, clock, base_url=server.base_url, retry=RetryPolicy(max_attempts=1))
        async with client, anyio.create_task_group() as group:
            for _ in range(10):
                await failure_of(list_models(client))
            clock.advance(1.0)
            first = anyio.CancelScope()
            group.start_soon(cancelled_within, first, submit_clip, client)
            await wait_until(lambda: len(server.taken) == 11)
            group.start_soon(submit_clip, client)
            await wait_until(lambda: look_at(client).queued == 1)
            first.cancel()
            await wait_until(lambda: SUBMIT in server.taken)
    assert server.taken[10:] == [MODELS, MODELS, SUBMIT]


async def cancelled_within(
    scope: anyio.CancelScope, call: Callable[[AsyncRelayDance], Awaitable[Any]], client: AsyncRelayDance
) -> None:
    """A call in that scope."""
    with scope:
        await call(client)


async def test_errors_of_one_model_stop_no_other_call(sandbox: Sandbox, start: Start) -> None:
    of_a_model = answer(500, SIGNED, b'{"error": {"message": "it broke", "code": "do_request_failed"}}')

    def reply(path: str, _: int) -> bytes:
        return of_a_model if path == CHAT else good(path, SIGNED)

    async with gateway(reply) as server:
        client = start(sandbox, QuickClock(), base_url=server.base_url, retry=RetryPolicy(max_attempts=1))
        async with client:
            for _ in range(30):
                await failure_of(ask_chat(client))
            await submit_clip(client)
    assert MODELS not in server.taken


async def test_an_outage_is_told_of_once_and_its_end_too(
    sandbox: Sandbox, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    clock = QuickClock()
    async with gateway(until(1003.0, clock, DOWN)) as server:
        with caplog.at_level(logging.WARNING, "relaydance_async"):
            async with start(sandbox, clock, base_url=server.base_url) as client:
                await all_of(list_models, client, 30)
    told = [record.getMessage() for record in caplog.records]
    assert told[0] == "the gateway is failing (HTTP 503): calls wait, and one at a time asks whether it is back"
    assert told[1].startswith("the gateway answers again after ")
    assert len(told) == 2
