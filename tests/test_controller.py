"""The attempt loop over real sockets: what is repeated, when, and what is left after it."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from relaydance_async import (
    APIConnectionError,
    APITimeoutError,
    AsyncRelayDance,
    BadRequestError,
    RateLimitError,
    RelayDanceError,
    ResponseTooLargeError,
    RetryEvent,
    RetryPolicy,
    ServerError,
    Timeout,
)
from relaydance_async.sandbox import ConnectionFault, Fault, FaultyProxy, Sandbox
from tests.kit.calls import BILLED, ask_chat, client_of, list_models, make_image, open_stream, submit_clip
from tests.kit.clocks import HandClock, QuickClock
from tests.kit.inside import limit_of
from tests.kit.probe import NOTHING, held, look_at
from tests.kit.routes import CHAT, FETCH, FILES, IMAGES, MODELS, SUBMIT
from tests.kit.transports import tap
from tests.kit.waiting import wait_until

pytestmark = pytest.mark.anyio

billed = pytest.mark.parametrize("route", BILLED)


Start = Callable[..., AsyncRelayDance]


@pytest.fixture(params=["aiohttp", "httpx"])
def start(request: pytest.FixtureRequest) -> Start:
    """`start(sandbox, clock, **options)` gives a client over each of our transports."""
    if request.param == "aiohttp":
        pytest.importorskip("aiohttp")

    def make(sandbox: Sandbox, clock: QuickClock | HandClock | None = None, **options: Any) -> AsyncRelayDance:
        return client_of(sandbox, clock, **{"transport": request.param, **options})

    return make


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(time_scale=0) as running:
        yield running


async def failure_of(awaitable: Awaitable[Any]) -> RelayDanceError:
    with pytest.raises(RelayDanceError) as caught:
        await awaitable
    return caught.value


# The policy: what is repeated, how often and when.


async def test_a_call_that_succeeds_at_once_is_sent_once_and_waits_for_nothing(sandbox: Sandbox, start: Start) -> None:
    clock = QuickClock()
    async with start(sandbox, clock) as client:
        await submit_clip(client)
    assert clock.sleeps == []
    assert sandbox.ledger.count() == sandbox.ledger.accepted(SUBMIT) == 1


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 520, 599])
@billed
async def test_a_billed_request_is_repeated_after_an_error_answer_and_accepted_once(
    sandbox: Sandbox, route: str, status: int, start: Start
) -> None:
    sandbox.faults.add(Fault(route, status=status, times=3))
    async with start(sandbox, QuickClock()) as client:
        await BILLED[route](client)
    assert sandbox.ledger.count(route) == 4
    assert sandbox.ledger.count(route, status=status) == 3
    assert sandbox.ledger.accepted(route) == sandbox.ledger.count(route, status=200) == 1


@billed
async def test_every_attempt_sends_the_same_body(sandbox: Sandbox, route: str, start: Start) -> None:
    sandbox.faults.add(Fault(route, status=503, times=2, after_accept=True))
    async with start(sandbox, QuickClock()) as client:
        await BILLED[route](client)
    assert len({(entry.body_sha256, entry.body_bytes) for entry in sandbox.ledger.entries}) == 1
    assert sandbox.ledger.duplicates(route) == 2


@pytest.mark.parametrize("attempts", [1, 2, 7])
async def test_max_attempts_is_kept_and_every_attempt_is_on_the_error(
    sandbox: Sandbox, attempts: int, start: Start
) -> None:
    sandbox.faults.add(Fault(MODELS, status=503, code="system_cpu_overloaded"))
    clock = QuickClock()
    async with start(sandbox, clock, retry=RetryPolicy(max_attempts=attempts)) as client:
        error = await failure_of(client.models.list())
    assert type(error) is ServerError
    assert sandbox.ledger.count(MODELS) == attempts
    assert [record.number for record in error.attempts] == [*range(1, attempts + 1)]
    assert [record.wait for record in error.attempts] == [*clock.sleeps, None]
    assert {(record.error, record.status_code, record.code) for record in error.attempts} == {
        ("ServerError", 503, "system_cpu_overloaded")
    }
    starts = [record.started_at for record in error.attempts]
    assert starts == sorted(starts)
    assert error.sent_at == starts[-1]


async def test_a_final_error_after_a_transient_one_ends_the_call(sandbox: Sandbox, start: Start) -> None:
    sandbox.faults.add(Fault(MODELS, status=503, at=(1,)))
    sandbox.faults.add(Fault(MODELS, status=400, at=(2,)))
    async with start(sandbox, QuickClock()) as client:
        error = await failure_of(client.models.list())
    assert type(error) is BadRequestError
    assert [(record.error, record.status_code) for record in error.attempts] == [
        ("ServerError", 503),
        ("BadRequestError", 400),
    ]


@pytest.mark.parametrize("jitter", [0.0, 0.25, 1.0])
async def test_the_waits_are_full_jitter_up_to_the_cap(sandbox: Sandbox, jitter: float, start: Start) -> None:
    sandbox.faults.add(Fault(MODELS, status=503))
    clock = QuickClock(jitter=jitter)
    async with start(sandbox, clock, retry=RetryPolicy(max_attempts=7, base=0.5, cap=4.0)) as client:
        await failure_of(client.models.list())
    assert clock.sleeps == pytest.approx([wait * jitter for wait in (0.5, 1.0, 2.0, 4.0, 4.0, 4.0)])


async def test_every_wait_draws_its_own_chance(sandbox: Sandbox, start: Start) -> None:
    sandbox.faults.add(Fault(MODELS, status=503))
    clock = QuickClock()
    waits: list[float] = []
    chances = iter((0.5, 0.25, 0.125))

    def redraw(event: RetryEvent) -> None:
        waits.append(event.wait)
        clock.jitter = next(chances)

    async with start(sandbox, clock, on_retry=redraw) as client:
        await failure_of(client.models.list())
    assert waits == pytest.approx([0.5 * 1.0, 1.0 * 0.5, 2.0 * 0.25])


@pytest.mark.parametrize("form", ["seconds", "date", "ms"])
@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_is_waited_for_in_each_of_its_forms(
    sandbox: Sandbox, form: str, status: int, start: Start
) -> None:
    clock = QuickClock(jitter=0.0)
    headers = {
        "seconds": {"retry-after": "20"},
        "ms": {"retry-after-ms": "20000"},
        "date": {"retry-after": format_datetime(clock.now() + timedelta(seconds=20), usegmt=True)},
    }[form]
    sandbox.faults.add(Fault(MODELS, status=status, headers=headers, times=1))
    async with start(sandbox, clock) as client:
        await client.models.list()
    # An HTTP date has no fractions of a second.
    assert clock.sleeps == [pytest.approx(20.0, abs=1.0 if form == "date" else 1e-6)]


async def test_a_429_that_says_nothing_is_followed_by_a_pause(sandbox: Sandbox, start: Start) -> None:
    sandbox.faults.add(Fault(MODELS, status=429, body=b"", times=1))
    clock = QuickClock(jitter=0.0)
    async with start(sandbox, clock) as client:
        await client.models.list()
    assert sum(clock.sleeps) == pytest.approx(1.0)


@pytest.mark.parametrize("status", [429, 503])
async def test_a_retry_after_above_the_deadline_ends_the_call_at_once_with_the_error(
    sandbox: Sandbox, status: int, start: Start
) -> None:
    sandbox.faults.add(Fault(MODELS, status=status, headers={"retry-after": "60"}))
    clock = QuickClock()
    async with start(sandbox, clock, deadline=30) as client:
        error = await failure_of(client.models.list())
    assert isinstance(error, RateLimitError | ServerError)
    assert (error.status_code, error.retry_after, len(error.attempts)) == (status, 60.0, 1)
    assert error.retryable
    assert clock.sleeps == []
    assert sandbox.ledger.count() == 1


# Never paid twice.


@billed
async def test_a_billed_request_whose_answer_is_lost_is_not_repeated(
    sandbox: Sandbox, route: str, start: Start
) -> None:
    sandbox.faults.add(Fault(route, after_accept=True))
    clock = QuickClock()
    async with start(sandbox, clock) as client:
        error = await failure_of(BILLED[route](client))
        sandbox.faults.clear()
        await BILLED[route](client)
    assert type(error) is APIConnectionError
    assert error.maybe_accepted
    assert not error.retryable  # who repeats what is retryable must not pay twice
    assert len(error.attempts) == 1
    assert "may have been accepted and billed" in str(error)
    assert clock.sleeps == []
    assert sandbox.ledger.accepted(route) == 2  # the lost one and ours after it


PROXY_FAULTS = [
    "reset_after_request",
    "reset_mid_headers",
    "cut_response",
    "black_hole_response",
]


@pytest.mark.parametrize("kind", PROXY_FAULTS)
@billed
async def test_a_billed_request_whose_connection_breaks_is_not_repeated(
    sandbox: Sandbox, route: str, kind: Any, start: Start
) -> None:
    after = {"cut_response": 400 if route == CHAT else 200}.get(kind, 0)
    with FaultyProxy(sandbox.root_url, [ConnectionFault(kind, after_bytes=after)]) as proxy:
        silent = kind == "black_hole_response"
        timeout = Timeout(read=0.1 if silent else 5.0)
        async with start(sandbox, QuickClock(), base_url=proxy.base_url, timeout=timeout) as client:
            error = await failure_of(BILLED[route](client))
            assert (await held(client)).connections == 0
            # On a slow machine the timeout may come before the server has read the request.
            await wait_until(lambda: sandbox.ledger.count(route) == 1)
    assert type(error) is (APITimeoutError if silent else APIConnectionError)
    assert error.maybe_accepted
    assert len(error.attempts) == 1
    assert proxy.requests == 1
    assert sandbox.ledger.accepted(route) == 1


@billed
async def test_a_connection_that_is_reset_before_the_request_was_read_loses_nothing_and_makes_nothing_twice(
    sandbox: Sandbox, route: str, start: Start
) -> None:
    with FaultyProxy(sandbox.root_url, [ConnectionFault("reset_before_request")]) as proxy:
        async with start(sandbox, QuickClock(), base_url=proxy.base_url) as client:
            error = await failure_of(BILLED[route](client))
    # The reset comes before the last byte was written, or after: only then the request may have been accepted.
    assert error.maybe_accepted or len(error.attempts) == RetryPolicy().max_attempts
    assert sandbox.ledger.count(route) == 0


async def test_an_opening_stream_that_breaks_is_not_repeated(sandbox: Sandbox, start: Start) -> None:
    with FaultyProxy(sandbox.root_url, [ConnectionFault("reset_after_request")]) as proxy:
        async with start(sandbox, QuickClock(), base_url=proxy.base_url) as client:
            error = await failure_of(open_stream(client))
    assert error.maybe_accepted
    assert sandbox.ledger.accepted(CHAT) == sandbox.ledger.count(CHAT) == 1


@billed
async def test_a_caller_can_allow_an_ambiguous_request_to_be_repeated(
    sandbox: Sandbox, route: str, start: Start
) -> None:
    sandbox.faults.add(Fault(route, after_accept=True, times=1))
    async with start(sandbox, QuickClock()) as client:
        await BILLED[route](client.with_options(retry=RetryPolicy(retry_ambiguous=True)))
    assert sandbox.ledger.accepted(route) == 2
    assert sandbox.ledger.duplicates(route) == 1


async def test_an_attempt_that_may_have_been_accepted_stays_so_when_a_later_one_is_refused(
    sandbox: Sandbox, start: Start
) -> None:
    sandbox.faults.add(Fault(SUBMIT, after_accept=True, at=(1,)))
    sandbox.faults.add(Fault(SUBMIT, status=400, at=(2,)))
    async with start(sandbox, QuickClock(), retry=RetryPolicy(retry_ambiguous=True)) as client:
        error = await failure_of(submit_clip(client))
    assert type(error) is BadRequestError
    assert error.maybe_accepted
    assert sandbox.ledger.accepted(SUBMIT) == 1


@pytest.mark.parametrize("kind", PROXY_FAULTS)
async def test_a_get_is_repeated_after_a_broken_connection(sandbox: Sandbox, kind: Any, start: Start) -> None:
    with FaultyProxy(sandbox.root_url, [ConnectionFault(kind, after_bytes=0, at=(1, 2))]) as proxy:
        timeout = Timeout(read=0.1 if kind == "black_hole_response" else 5.0)
        async with start(sandbox, QuickClock(), base_url=proxy.base_url, timeout=timeout) as client:
            models = await client.models.list()
            assert models.data
    assert proxy.connections == 3


async def test_a_get_that_breaks_for_good_is_not_called_accepted(sandbox: Sandbox, start: Start) -> None:
    with FaultyProxy(sandbox.root_url, [ConnectionFault("reset_after_request")]) as proxy:
        async with start(sandbox, QuickClock(), base_url=proxy.base_url) as client:
            error = await failure_of(client.models.list())
    assert type(error) is APIConnectionError
    assert not error.maybe_accepted
    assert len(error.attempts) == proxy.connections == 4


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@billed
async def test_a_refused_connection_is_tried_again_for_a_billed_request_too(
    sandbox: Sandbox, route: str, start: Start
) -> None:
    port = closed_port()
    proxy = FaultyProxy(sandbox.root_url, port=port)

    def open_at_last(event: RetryEvent) -> None:
        assert type(event.error) is APIConnectionError
        assert not event.error.maybe_accepted
        if event.attempt == 2:
            proxy.start()

    base_url = f"http://127.0.0.1:{port}/v1"
    try:
        async with start(sandbox, QuickClock(), base_url=base_url, on_retry=open_at_last) as client:
            await BILLED[route](client)
    finally:
        proxy.stop()
    assert sandbox.ledger.accepted(route) == sandbox.ledger.count(route) == 1


async def test_a_port_that_stays_closed_is_an_error_after_every_attempt(sandbox: Sandbox, start: Start) -> None:
    async with start(sandbox, QuickClock(), base_url=f"http://127.0.0.1:{closed_port()}/v1") as client:
        error = await failure_of(submit_clip(client))
    assert type(error) is APIConnectionError
    assert error.message.startswith("no connection to the gateway: ")
    assert (error.maybe_accepted, len(error.attempts)) == (False, 4)


async def test_a_host_without_an_address_is_tried_again_too(sandbox: Sandbox, start: Start) -> None:
    async with start(sandbox, QuickClock(), base_url="https://no-such-host.invalid/v1") as client:
        error = await failure_of(submit_clip(client))
    assert type(error) is APIConnectionError
    assert (error.maybe_accepted, error.retryable, len(error.attempts)) == (False, True, 4)


async def test_an_upload_that_can_be_read_once_is_sent_once(sandbox: Sandbox, start: Start) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"a piece"

    sandbox.faults.add(Fault(FILES, status=503))
    async with start(sandbox, QuickClock()) as client:
        error = await failure_of(client.files.upload(pieces(), filename="a.bin"))
    assert type(error) is ServerError
    assert sandbox.ledger.count(FILES) == 1


async def test_an_upload_from_a_path_is_read_again_for_each_attempt(
    sandbox: Sandbox, tmp_path: Path, start: Start
) -> None:
    path = tmp_path / "cat.jpg"
    path.write_bytes(b"cat" * 1000)
    sandbox.faults.add(Fault(FILES, status=503, times=2))
    async with start(sandbox, QuickClock()) as client:
        await client.files.upload(path)
    assert sandbox.ledger.accepted(FILES) == 1


async def test_a_stale_connection_of_the_pool_does_not_cost_a_get(sandbox: Sandbox, start: Start) -> None:
    with FaultyProxy(sandbox.root_url) as proxy:
        async with start(sandbox, QuickClock(), base_url=proxy.base_url) as client:
            await client.models.list()
            proxy.reset_all()
            await client.models.list()
    assert sandbox.ledger.accepted(MODELS) == 2


# The deadline.


def took(since: float) -> float:
    return time.monotonic() - since


async def test_the_deadline_ends_an_attempt_that_hangs(sandbox: Sandbox, start: Start) -> None:
    sandbox.faults.add(Fault(MODELS, stall=True))
    async with start(sandbox, deadline=0.03) as client:
        since = time.monotonic()
        error = await failure_of(client.models.list())
        assert took(since) < 1
        assert await held(client) == NOTHING
        sandbox.faults.clear()
        await client.with_options(deadline=5).models.list()
    assert type(error) is APITimeoutError
    assert isinstance(error, TimeoutError)
    assert error.message == "no result within the deadline of 0.03 s"
    assert [record.error for record in error.attempts] == ["APITimeoutError"]
    assert error.retryable
    assert not error.maybe_accepted


@billed
async def test_a_billed_request_that_the_deadline_ends_may_have_been_accepted(
    sandbox: Sandbox, route: str, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.faults.add(Fault(route, delay=60.0))
    deadlines: list[anyio.CancelScope] = []

    def by_hand(_: float) -> anyio.CancelScope:
        deadlines.append(anyio.CancelScope())
        return deadlines[-1]

    async def end_when_accepted() -> None:
        await wait_until(lambda: sandbox.ledger.accepted(route) == 1)
        deadlines[0].cancel()

    async with start(sandbox, deadline=9.0) as client:
        # However slow the machine is, it passes just when the request has been accepted.
        monkeypatch.setattr(anyio, "move_on_after", by_hand)
        async with anyio.create_task_group() as group:
            group.start_soon(end_when_accepted)
            error = await failure_of(BILLED[route](client))
            assert type(error) is APITimeoutError
            assert error.message == "no result within the deadline of 9 s"
            assert error.maybe_accepted
        monkeypatch.undo()
    assert sandbox.ledger.accepted(route) == 1


async def test_the_deadline_covers_the_queue_and_a_call_that_was_never_sent_is_not_called_accepted(
    sandbox: Sandbox, start: Start
) -> None:
    sandbox.faults.add(Fault(CHAT, stall=True))
    async with start(sandbox, max_concurrency=1) as client, anyio.create_task_group() as group:
        group.start_soon(ask_chat, client)
        await wait_until(lambda: sandbox.ledger.count(CHAT) == 1)
        error = await failure_of(submit_clip(client.with_options(deadline=0.02)))
        assert type(error) is APITimeoutError
        assert not error.maybe_accepted
        now = await held(client)
        assert (now.permits, now.queued) == (1, 0)
        group.cancel_scope.cancel()
    assert sandbox.ledger.count(SUBMIT) == 0


async def test_the_deadline_spans_all_attempts_and_waits(sandbox: Sandbox, start: Start) -> None:
    sandbox.faults.add(Fault(MODELS, status=503, delay=0.01))
    policy = RetryPolicy(max_attempts=10_000, base=0.005, cap=0.005)
    async with start(sandbox, deadline=0.2, retry=policy) as client:
        since = time.monotonic()
        error = await failure_of(client.models.list())
        assert took(since) < 1
    assert isinstance(error, ServerError | APITimeoutError)
    assert len(error.attempts) > 1
    assert sandbox.ledger.count(MODELS) >= len(error.attempts) - 1


async def test_a_wait_that_would_outlast_the_deadline_is_not_begun(sandbox: Sandbox, start: Start) -> None:
    sandbox.faults.add(Fault(MODELS, status=503))
    clock = QuickClock()
    async with start(sandbox, clock, deadline=3.0) as client:
        error = await failure_of(client.models.list())
    # 0.5 + 1.0 s have passed; 2.0 s more are too long.
    assert clock.sleeps == [0.5, 1.0]
    assert type(error) is ServerError
    assert len(error.attempts) == 3


async def test_a_poll_that_the_deadline_of_a_call_ends_does_not_end_the_wait(sandbox: Sandbox, start: Start) -> None:
    clock = QuickClock()
    async with start(sandbox, clock) as client:
        task = await submit_clip(client)
        sandbox.faults.add(Fault(FETCH, stall=True, times=1))
        sandbox.clock.advance(3600)
        done = await client.with_options(deadline=0.05).video.wait(task)
    assert done.status == "succeeded"
    assert sandbox.ledger.count(FETCH) > 1


# Cancellation.


async def cancelled(
    client: AsyncRelayDance,
    call: Callable[[AsyncRelayDance], Awaitable[Any]],
    reached: Callable[[], bool],
) -> None:
    """Begin a call, cancel it at a certain point, and look whether everything is back."""
    outcome: list[object] = []

    async def run() -> None:
        try:
            outcome.append(await call(client))
        except BaseException as error:
            outcome.append(error)
            raise

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await wait_until(reached)
        group.cancel_scope.cancel()
    assert [type(result) for result in outcome] == [anyio.get_cancelled_exc_class()]
    assert await held(client) == NOTHING


async def test_cancelling_while_connecting_leaves_nothing(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, start: Start
) -> None:
    loop = type(asyncio.get_running_loop())
    connecting: list[object] = []

    async def hang(_: object, sock: object, address: object) -> None:
        connecting.append(address)
        await anyio.sleep_forever()

    async with start(sandbox) as client:
        with monkeypatch.context() as patch:
            patch.setattr(loop, "sock_connect", hang)
            await cancelled(client, submit_clip, lambda: bool(connecting))
        await submit_clip(client)
    assert len(connecting) == 1
    assert sandbox.ledger.count(SUBMIT) == 1


@pytest.mark.parametrize("route", [*BILLED, MODELS])
async def test_cancelling_while_waiting_for_the_answer_leaves_nothing(
    sandbox: Sandbox, route: str, start: Start
) -> None:
    call = {**BILLED, MODELS: list_models}[route]
    sandbox.faults.add(Fault(route, stall=True, times=1))
    async with start(sandbox, max_concurrency=1) as client:
        await cancelled(client, call, lambda: sandbox.ledger.count(route) == 1)
        assert sandbox.ledger.count(route) == 1  # not repeated
        await call(client)
    assert sandbox.ledger.count(route) == 2


async def test_cancelling_while_the_answer_is_read_leaves_nothing(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, start: Start
) -> None:
    heard = tap(monkeypatch)
    sandbox.faults.add(Fault(IMAGES, endless_body=True, times=1))
    async with start(sandbox, max_concurrency=1) as client:
        await cancelled(client, make_image, lambda: heard.reads == 1)
        await make_image(client)


async def test_cancelling_during_the_back_off_leaves_nothing_and_holds_no_permit_meanwhile(
    sandbox: Sandbox, start: Start
) -> None:
    clock = HandClock()
    sandbox.faults.add(Fault(SUBMIT, status=503, times=1))
    async with start(sandbox, clock, max_concurrency=1) as client:

        def asleep() -> bool:
            if clock.sleeping:
                assert look_at(client).permits == 0
            return clock.sleeping == 1

        async with anyio.create_task_group() as group:
            group.start_soon(submit_clip, client)
            await wait_until(asleep)
            await client.models.list()  # the only permit is free
            group.cancel_scope.cancel()
        assert (look_at(client).permits, clock.sleeping) == (0, 0)
        await submit_clip(client)
    assert sandbox.ledger.count(SUBMIT) == 2


async def test_cancelling_in_the_queue_leaves_the_queue(sandbox: Sandbox, start: Start) -> None:
    sandbox.faults.add(Fault(CHAT, stall=True))
    async with start(sandbox, max_concurrency=1) as client:
        async with anyio.create_task_group() as outer:
            outer.start_soon(ask_chat, client)
            await wait_until(lambda: sandbox.ledger.count(CHAT) == 1)
            async with anyio.create_task_group() as inner:
                for _ in range(5):
                    inner.start_soon(submit_clip, client)
                await wait_until(lambda: look_at(client).queued == 5)
                inner.cancel_scope.cancel()
            now = await held(client)
            assert (now.permits, now.queued, now.connections) == (1, 0, 1)
            outer.cancel_scope.cancel()
        assert await held(client) == NOTHING
        await client.models.list()
    assert sandbox.ledger.count(SUBMIT) == 0


async def test_cancelling_during_the_cool_down_leaves_nothing(sandbox: Sandbox, start: Start) -> None:
    clock = HandClock()
    sandbox.faults.add(Fault(MODELS, status=429, headers={"retry-after": "9"}, times=1))
    async with start(sandbox, clock, retry=RetryPolicy(max_attempts=1)) as client:
        await failure_of(client.models.list())
        async with anyio.create_task_group() as group:
            group.start_soon(submit_clip, client)
            await wait_until(lambda: clock.sleeping == 1)
            group.cancel_scope.cancel()
        assert (look_at(client).permits, clock.sleeping) == (0, 0)
        clock.advance(9)
        await submit_clip(client)
    assert sandbox.ledger.count(SUBMIT) == 1


async def test_a_client_serves_everything_after_a_churn_of_cancellations(sandbox: Sandbox, start: Start) -> None:
    async with start(sandbox, max_concurrency=5) as client:
        for turn in range(30):
            with anyio.move_on_after(0.0005 * (turn % 7)):
                async with anyio.create_task_group() as group:
                    for _ in range(10):
                        group.start_soon(list_models, client)
        now = await held(client)
        assert (now.permits, now.queued) == (0, 0)
        assert now.connections <= 5
        for _ in range(20):
            await client.models.list()
        assert (await held(client)).permits == 0


# What is reported.


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
    assert "on_retry, or another observer, raised; the call goes on" in caplog.text
    assert "my bug" in caplog.text


async def test_a_view_may_have_a_hook_of_its_own(sandbox: Sandbox, start: Start) -> None:
    sandbox.faults.add(Fault(MODELS, status=503, at=(1, 3)))
    one: list[RetryEvent] = []
    other: list[RetryEvent] = []
    async with start(sandbox, QuickClock(), on_retry=one.append) as client:
        await client.models.list()
        await client.with_options(on_retry=other.append).models.list()
    assert (len(one), len(other)) == (1, 1)


# The cool-down and the limit.


async def test_after_a_429_the_other_calls_wait_instead_of_collecting_their_own(sandbox: Sandbox, start: Start) -> None:
    clock = HandClock()
    sandbox.faults.add(Fault(SUBMIT, status=429, headers={"retry-after": "7"}, at=(1,)))
    async with start(sandbox, clock) as client, anyio.create_task_group() as group:
        group.start_soon(submit_clip, client)
        await wait_until(lambda: clock.sleeping == 1)
        view = client.with_options(deadline=3600)
        for n in range(10):
            group.start_soon(list_models, view if n % 2 else client)
        await wait_until(lambda: look_at(client).queued == 10)
        assert look_at(client).permits == 0
        clock.advance(6.9)
        await anyio.sleep(0.005)
        assert sandbox.ledger.count() == 1
        # Then they pass, though not all at once: the pace is found out.
        while sandbox.ledger.count() < 12:
            clock.advance(0.25)
            await anyio.sleep(0.001)
    assert sandbox.ledger.count(status=429) == 1
    assert sandbox.ledger.accepted() == 11


async def test_clients_of_other_keys_do_not_wait(sandbox: Sandbox, start: Start) -> None:
    clock = HandClock()
    sandbox.faults.add(Fault(MODELS, status=429, headers={"retry-after": "7"}, times=1))
    async with start(sandbox, clock, retry=RetryPolicy(max_attempts=1)) as client, start(sandbox) as other:
        await failure_of(client.models.list())
        await other.models.list()
    assert sandbox.ledger.accepted(MODELS) == 1


async def test_a_cool_down_longer_than_the_deadline_ends_the_call_unsent(sandbox: Sandbox, start: Start) -> None:
    sandbox.faults.add(Fault(MODELS, status=429, headers={"retry-after": "60"}, times=1))
    async with start(sandbox, HandClock(), retry=RetryPolicy(max_attempts=1)) as client:
        await failure_of(client.models.list())
        error = await failure_of(submit_clip(client.with_options(deadline=30)))
    assert isinstance(error, RateLimitError)
    assert error.message == "the key is cooling down after a 429 for 60.0 s more, longer than the deadline allows"
    assert (error.retry_after, error.status_code, error.maybe_accepted) == (60.0, None, False)
    assert error.retryable
    assert sandbox.ledger.count(SUBMIT) == 0


async def test_a_cool_down_does_not_end_a_wait_for_a_task(sandbox: Sandbox, start: Start) -> None:
    clock = QuickClock()
    async with start(sandbox, clock) as client:
        task = await submit_clip(client)
        sandbox.clock.advance(3600)
        sandbox.faults.add(Fault(FETCH, status=429, headers={"retry-after": "5"}, times=1))
        done = await client.with_options(deadline=1.0).video.wait(task)
    assert done.status == "succeeded"


async def test_a_429_slows_the_calls_down_but_lets_as_many_be_under_way(sandbox: Sandbox, start: Start) -> None:
    sandbox.faults.add(Fault(MODELS, status=429, times=1))
    async with start(sandbox, QuickClock(), max_concurrency=8, retry=RetryPolicy(max_attempts=1)) as client:
        await failure_of(client.models.list())
        assert limit_of(client) == 8


async def test_an_overloaded_gateway_halves_the_limit_and_successes_raise_it_again(
    sandbox: Sandbox, start: Start
) -> None:
    sandbox.faults.add(Fault(MODELS, status=503, code="system_cpu_overloaded", times=1))
    async with start(sandbox, QuickClock(), max_concurrency=8, retry=RetryPolicy(max_attempts=1)) as client:
        await failure_of(client.models.list())
        assert limit_of(client) == 4
        for _ in range(5):
            await client.models.list()
        assert limit_of(client) == 5
        for _ in range(60):
            await client.models.list()
        assert limit_of(client) == 8


async def test_other_errors_leave_the_limit_as_it_is(sandbox: Sandbox, start: Start) -> None:
    sandbox.faults.add(Fault(MODELS, status=503, at=(1,)))
    sandbox.faults.add(Fault(MODELS, status=400, at=(2,)))
    async with start(sandbox, QuickClock(), max_concurrency=8, retry=RetryPolicy(max_attempts=1)) as client:
        limits: list[int] = []
        for _ in range(2):
            await failure_of(client.models.list())
            limits.append(limit_of(client))
    assert limits == [8, 8]


async def test_no_more_than_max_concurrency_attempts_are_under_way(sandbox: Sandbox, start: Start) -> None:
    sandbox.faults.add(Fault(MODELS, delay=0.002))
    with FaultyProxy(sandbox.root_url) as proxy:
        async with start(sandbox, base_url=proxy.base_url, max_concurrency=3) as client:
            async with anyio.create_task_group() as group:
                for _ in range(30):
                    group.start_soon(list_models, client)
            assert proxy.connections <= 3
    assert sandbox.ledger.accepted(MODELS) == 30


async def test_a_stream_holds_its_permit_until_it_is_closed(sandbox: Sandbox, start: Start) -> None:
    async with start(sandbox, max_concurrency=2) as client:
        stream = await client.chat.completions.create(
            model="grok-4.3", messages=[{"role": "user", "content": "Hi"}], stream=True
        )
        assert (await held(client)).permits == 1
        await stream.aclose()
        assert (await held(client)).permits == 0


async def test_an_answer_above_the_limit_is_refused_without_being_read(sandbox: Sandbox, start: Start) -> None:
    sandbox.faults.add(Fault(MODELS, endless_body=True, times=1))
    async with start(sandbox, max_response_bytes=10_000) as client:
        error = await failure_of(client.models.list())
        assert type(error) is ResponseTooLargeError
        assert error.message == "the answer is larger than 10000 bytes"
        assert await held(client) == NOTHING
        await client.models.list()


async def test_the_api_root_is_used_for_its_own_paths_and_the_key_goes_with_it(sandbox: Sandbox, start: Start) -> None:
    async with start(sandbox) as client:
        await client.account.balance()
    assert [entry.path for entry in sandbox.ledger.entries] == ["/api/usage/token/"]
