"""`video.wait`: when it asks, what it bears, how it ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from dataclasses import replace
from itertools import accumulate, islice, pairwise
from math import sqrt
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from relaydance_async import (
    AsyncRelayDance,
    AuthenticationError,
    NotFoundError,
    PermissionDeniedError,
    RetryPolicy,
    ServerError,
    TaskFailedError,
    TaskTimeoutError,
    VideoTask,
)
from relaydance_async._config import Clock
from relaydance_async._polling import ACTIVE_WAITS
from relaydance_async._sansio.polling import AT_ONCE, every_nth, windows
from relaydance_async._transports import TransportStats, WireRequest
from relaydance_async.sandbox import ConnectionFault, Fault, FaultyProxy, TaskPlan, TaskScript
from tests.kit.clocks import HandClock, QuickClock
from tests.kit.inside import learn_rate, make_client, open_limits
from tests.kit.probe import NOTHING, held
from tests.kit.routes import FETCH, SUBMIT
from tests.kit.transports import change_transport
from tests.resources.support import CLIP, Bench

pytestmark = pytest.mark.anyio


def slow(seconds: float, **script: Any) -> TaskPlan:
    return TaskPlan(TaskScript(queue=1, run=seconds - 1, **script))


async def test_it_asks_at_once_then_after_about_2_s_growing_to_about_15_s(bench: Bench) -> None:
    sandbox, client, pace = bench.filming(tasks=slow(200))
    task = await client.video.submit(**CLIP)
    assert (await client.video.wait(task)).status == "succeeded"
    assert sandbox.ledger.count(FETCH) == len(pace.sleeps) + 1  # the first without a sleep
    asked_at = list(accumulate(pace.sleeps))
    phase = (asked_at[0] - 1) / 2
    assert 0 <= phase < 1
    assert asked_at == pytest.approx(
        [begin + phase * width for begin, width in islice(windows(), len(asked_at))], abs=0.001
    )
    assert sum(pace.sleeps) >= 200


async def test_a_finished_task_is_given_without_any_sleep(bench: Bench) -> None:
    sandbox, client, pace = bench.filming()
    task = await client.video.submit(**CLIP)
    sandbox.clock.advance(10)
    finished = await client.video.wait(task)
    assert finished.url
    assert pace.sleeps == []


async def test_the_id_alone_is_enough_after_a_restart(bench: Bench) -> None:
    sandbox, client, _ = bench.filming()
    task_id = (await client.video.submit(**CLIP)).task_id
    await client.aclose()
    another = bench.client(sandbox, pace=QuickClock(sandbox.clock.advance, jitter=None))
    finished = await another.video.wait(task_id)
    assert (finished.task_id, finished.status) == (task_id, "succeeded")
    assert sandbox.ledger.billed(SUBMIT) == 1


async def test_it_outlasts_more_failures_than_a_call_has_attempts(bench: Bench) -> None:
    faults = [Fault(FETCH, status=503, times=9), Fault(FETCH, status=502, body="html", times=5)]
    sandbox, client, _ = bench.filming(tasks=slow(400), faults=faults)
    task = await client.video.submit(**CLIP)
    seen: list[VideoTask] = []
    assert (await client.video.wait(task, on_update=seen.append)).status == "succeeded"
    assert sandbox.ledger.count(FETCH, status=503) == 9
    assert sandbox.ledger.count(FETCH, status=502) == 5
    assert seen[-1].status == "succeeded"


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 520, 524, 529])
async def test_every_transient_status_is_tolerated(bench: Bench, status: int) -> None:
    sandbox, client, _ = bench.filming(tasks=slow(60), faults=[Fault(FETCH, status=status, body="empty", times=6)])
    task = await client.video.submit(**CLIP)
    assert (await client.video.wait(task)).status == "succeeded"
    assert sandbox.ledger.count(FETCH, status=status) == 6


async def test_broken_connections_are_tolerated(bench: Bench) -> None:
    sandbox = bench.sandbox(time_scale=0, tasks=slow(60))
    with FaultyProxy(sandbox.root_url) as proxy:
        client = bench.client(sandbox, base_url=proxy.base_url, pace=QuickClock(sandbox.clock.advance, jitter=None))
        task = await client.video.submit(**CLIP)
        proxy.add(ConnectionFault("reset_after_request", per="request", times=6))
        assert (await client.video.wait(task)).status == "succeeded"
        assert proxy.fired == {"reset_after_request": 6}


async def test_a_poll_that_hangs_is_asked_again(bench: Bench) -> None:
    sandbox = bench.sandbox(time_scale=0, tasks=slow(30), faults=[Fault(FETCH, stall=True, times=2)])
    client = bench.client(sandbox, pace=QuickClock(sandbox.clock.advance, jitter=None))
    task = await client.video.submit(**CLIP)
    assert (await client.with_options(timeout=0.02).video.wait(task)).status == "succeeded"


async def test_a_refused_key_ends_the_wait_at_once(bench: Bench) -> None:
    sandbox, client, pace = bench.filming(tasks=slow(60))
    task = await client.video.submit(**CLIP)
    sandbox.accounts[sandbox.api_key].disabled = True
    with pytest.raises(AuthenticationError) as caught:
        await client.video.wait(task)
    assert caught.value.task_id == task.task_id
    assert sandbox.ledger.count(FETCH) == 1
    assert pace.sleeps == []


async def test_an_unknown_task_ends_the_wait_at_the_third_answer_in_a_row(bench: Bench) -> None:
    sandbox, client, _ = bench.filming()
    with pytest.raises(NotFoundError):
        await client.video.wait("task_nope")
    assert sandbox.ledger.count(FETCH) == 3


async def test_a_task_that_a_lagging_replica_does_not_know_yet_is_waited_for(bench: Bench) -> None:
    lag = Fault(FETCH, status=400, code="task_not_exist", times=2)
    sandbox, client, _ = bench.filming(tasks=slow(60), faults=[lag])
    task = await client.video.submit(**CLIP)
    assert (await client.video.wait(task)).status == "succeeded"
    assert sandbox.ledger.count(FETCH, status=400) == 2


async def test_a_task_that_is_gone_ends_the_wait_at_the_third_answer_in_a_row(bench: Bench) -> None:
    sandbox, client, pace = bench.filming(tasks=slow(60))
    task = await client.video.submit(**CLIP)
    sandbox.reset()
    with pytest.raises(NotFoundError) as caught:
        await client.video.wait(task)
    assert caught.value.task_id == task.task_id
    assert len(pace.sleeps) == 2


STRANGE = [
    *(Fault(FETCH, status=status, body="html") for status in (302, 400, 401, 403, 404, 405, 407, 418, 451)),
    *(Fault(FETCH, status=status, body="empty") for status in (200, 401, 403)),
    *(
        Fault(FETCH, body=body)
        for body in ("html", "truncated", "{}", "[]", '{"task_id": "task_2", "status": "failed"}')
    ),
]


@pytest.mark.parametrize("fault", STRANGE, ids=lambda fault: f"{fault.status}-{fault.body}")
async def test_what_strangers_answer_says_nothing_about_the_task(bench: Bench, fault: Fault) -> None:
    strange = replace(fault, at=(1, 3, 4, 5, 6), name="stranger")
    sandbox, client, _ = bench.filming(tasks=slow(120), faults=[strange])
    task = await client.video.submit(**CLIP)
    assert (await client.video.wait(task.task_id)).status == "succeeded"
    assert sum(entry.fault == "stranger" for entry in sandbox.ledger.entries) == 5


async def test_a_refusal_of_the_gateway_is_doubted_twice(bench: Bench) -> None:
    refusal = Fault(FETCH, status=403, body="error", at=(1, 2, 4, 5), name="refusal")
    sandbox, client, _ = bench.filming(tasks=slow(120), faults=[refusal])
    task = await client.video.submit(**CLIP)
    assert (await client.video.wait(task)).status == "succeeded"
    assert sum(entry.fault == "refusal" for entry in sandbox.ledger.entries) == 4
    sandbox.faults.add(Fault(FETCH, status=403, body="error"))
    with pytest.raises(PermissionDeniedError):
        await client.video.wait(task)


async def test_without_a_deadline_10_minutes_of_strangers_end_it_with_what_was_seen(bench: Bench) -> None:
    _, client, pace = bench.filming(faults=[Fault(FETCH, status=403, body="html", message="log in first")])
    task = await client.video.submit(**CLIP)
    with pytest.raises(TaskTimeoutError, match="log in first") as caught:
        await client.video.wait(task.task_id)
    assert 600 <= sum(pace.sleeps) < 620
    assert isinstance(caught.value.__cause__, PermissionDeniedError)
    assert f"The task may go on: resume with `await client.video.wait({task.task_id!r})`" in str(caught.value)


@pytest.mark.parametrize("shape", ["wrapped", "upstream"])
async def test_a_failed_task_ends_in_an_error_with_the_reason_and_the_task(bench: Bench, shape: Any) -> None:
    plan = slow(20, outcome="failed", reason="the picture shows a person", shape=shape)
    _, client, _ = bench.filming(tasks=plan)
    task = await client.video.submit(**CLIP)
    with pytest.raises(TaskFailedError, match="the picture shows a person") as caught:
        await client.video.wait(task)
    error = caught.value
    assert error.task is not None
    assert (error.task.status, error.task_id) == ("failed", task.task_id)
    assert error.task.error is not None
    assert error.task.error.message == "the picture shows a person"
    assert "not billed" in str(error)
    assert not error.retryable


async def test_a_task_that_failed_without_a_reason_says_so(bench: Bench) -> None:
    _, client, _ = bench.filming(tasks=slow(20, outcome="failed", reason=""))
    task = await client.video.submit(**CLIP)
    with pytest.raises(TaskFailedError, match="no reason given"):
        await client.video.wait(task)


async def test_a_word_never_heard_of_does_not_end_the_wait(bench: Bench) -> None:
    _, client, _ = bench.filming(tasks=slow(60, words={"running": "MODERATING"}))
    seen: list[str] = []
    task = await client.video.submit(**CLIP)
    await client.video.wait(task, on_update=lambda task: seen.append(task.raw_status))
    assert "MODERATING" in seen
    assert len(seen) > seen.index("MODERATING") + 1


async def test_the_deadline_ends_it_with_the_id_and_how_to_resume(bench: Bench) -> None:
    sandbox = bench.sandbox(time_scale=0)
    client = bench.client(sandbox, clock=Clock())
    task = await client.video.submit(**CLIP)
    with pytest.raises(TaskTimeoutError) as caught:
        await client.video.wait(task, deadline=0.2)
    error = caught.value
    assert isinstance(error, TimeoutError)
    assert error.task_id == task.task_id
    assert error.task is not None
    assert error.task.status == "submitted"
    assert f"resume with `await client.video.wait({task.task_id!r})`" in str(error)
    assert (await held(client)).permits == 0
    sandbox.clock.advance(10)
    assert (await client.video.wait(error.task_id or "")).status == "succeeded"


async def test_the_deadline_also_ends_a_poll_under_way(bench: Bench) -> None:
    sandbox = bench.sandbox(faults=[Fault(FETCH, stall=True)])
    client = bench.client(sandbox, clock=Clock())
    task = await client.video.submit(**CLIP)
    with pytest.raises(TaskTimeoutError) as caught:
        await client.video.wait(task.task_id, deadline=0.03)
    assert caught.value.task is None
    assert (await held(client)).permits == 0


async def test_a_deadline_that_passes_while_polls_fail_names_what_they_failed_of(bench: Bench) -> None:
    sandbox = bench.sandbox(faults=[Fault(FETCH, status=503, message="upstream is away")])
    client = bench.client(sandbox, retry=RetryPolicy(max_attempts=1), clock=Clock())
    task = await client.video.submit(**CLIP)
    with pytest.raises(TaskTimeoutError) as caught:
        await client.video.wait(task, deadline=0.2)
    assert isinstance(caught.value.__cause__, ServerError)
    assert "upstream is away" in str(caught.value.__cause__)
    assert "HTTP 503: upstream is away" in str(caught.value)


@pytest.mark.parametrize("deadline", [0, -1, float("nan")])
async def test_a_deadline_that_is_none_is_refused(client: AsyncRelayDance, deadline: float) -> None:
    with pytest.raises(ValueError, match="deadline"):
        await client.video.wait("task_1", deadline=deadline)


async def test_every_change_is_told_once(bench: Bench) -> None:
    sandbox, client, _ = bench.filming(tasks=TaskPlan(TaskScript(queue=20, run=60)))
    seen: list[VideoTask] = []
    task = await client.video.submit(**CLIP)
    finished = await client.video.wait(task, on_update=seen.append)
    facts = [(item.raw_status, item.progress) for item in seen]
    assert all(before != after for before, after in pairwise(facts))
    assert len(seen) < sandbox.ledger.count(FETCH)  # it was asked while nothing had changed
    assert seen[-1] == finished
    statuses = [item.status for item in seen]
    assert statuses == sorted(statuses, key=["submitted", "running", "succeeded"].index)
    assert set(statuses) == {"submitted", "running", "succeeded"}


async def test_an_update_hook_may_be_a_coroutine_function_and_is_awaited(bench: Bench) -> None:
    _, client, _ = bench.filming()
    seen: list[str] = []

    async def tell(task: VideoTask) -> None:
        await anyio.lowlevel.checkpoint()
        seen.append(task.status)

    await client.video.wait(await client.video.submit(**CLIP), on_update=tell)
    assert seen[0] == "submitted"
    assert seen[-1] == "succeeded"


async def test_what_an_update_hook_raises_is_logged_and_costs_no_clip(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    _, client, _ = bench.filming()
    task = await client.video.submit(**CLIP)

    def refuse(task: VideoTask) -> None:
        raise LookupError("no such row")

    assert (await client.video.wait(task, on_update=refuse)).status == "succeeded"
    assert f"on_update raised for task {task.task_id}; the wait goes on" in caplog.text
    assert "no such row" in caplog.text
    assert (await held(client)).permits == 0


async def test_a_failed_task_is_told_before_the_error_is_raised(bench: Bench) -> None:
    _, client, _ = bench.filming(tasks=slow(10, outcome="failed"))
    seen: list[str] = []
    with pytest.raises(TaskFailedError):
        await client.video.wait(await client.video.submit(**CLIP), on_update=lambda task: seen.append(task.status))
    assert seen[-1] == "failed"


async def test_cancelling_a_wait_leaves_the_task_and_nothing_else(bench: Bench) -> None:
    sandbox = bench.sandbox(time_scale=0)
    client = bench.client(sandbox, clock=Clock())
    task = await client.video.submit(**CLIP)
    with anyio.move_on_after(0.02) as scope:
        await client.video.wait(task)
    assert scope.cancelled_caught
    assert (await held(client)).permits == 0
    sandbox.clock.advance(10)
    assert (await client.video.wait(task.task_id)).status == "succeeded"


async def test_asleep_it_holds_no_permit(bench: Bench) -> None:
    sandbox = bench.sandbox(time_scale=0, tasks=slow(60))
    asleep: list[int] = []

    async def look(seconds: float) -> None:
        asleep.append((await held(client)).permits)
        sandbox.clock.advance(seconds)

    client = bench.client(sandbox, pace=QuickClock(look, jitter=None), max_concurrency=1)
    await client.video.wait(await client.video.submit(**CLIP))
    assert asleep
    assert set(asleep) == {0}


async def test_on_a_key_whose_limit_is_learned_it_asks_less_often(bench: Bench) -> None:
    counts: list[int] = []
    for rate in (1000.0, 0.05):
        sandbox, client, _ = bench.filming(tasks=slow(200))
        task = await client.video.submit(**CLIP)
        learn_rate(client, rate)
        await client.video.wait(task)
        counts.append(sandbox.ledger.count(FETCH))
    assert counts[1] < counts[0] / 2


async def test_the_retry_policy_of_the_client_holds_for_each_poll(bench: Bench) -> None:
    sandbox, client, pace = bench.filming(tasks=slow(20), faults=[Fault(FETCH, status=503, times=3)])
    task = await client.video.submit(**CLIP)
    await client.with_options(retry=RetryPolicy(max_attempts=1)).video.wait(task)
    # Each failed poll is followed by a wait of the schedule, not by a back-off.
    assert pace.sleeps[0] >= 1.0
    assert sandbox.ledger.count(FETCH) == len(pace.sleeps) + 1


# 2,000 waits, with time that moves from one sleeper to the next.

ENDS = 60.0


class InstantAnswer:
    """What `TransportResponse` is."""

    status_code = 200
    headers: Mapping[str, str] = {"content-type": "application/json"}
    is_over = False

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def read(self, limit: int) -> bytes:
        return self._body

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        yield self._body

    async def aclose(self) -> None:
        pass


class InstantGateway:
    """A transport whose tasks end evenly within `ending` seconds from ENDS on. It writes down when it is asked."""

    name = "instant"

    def __init__(self, clock: HandClock, ending: float = 0.0) -> None:
        self._clock = clock
        self._ending = ending
        self.asked_at: list[float] = []
        self.under_way = self.most_under_way = 0

    async def send(self, request: WireRequest) -> InstantAnswer:
        at = self._clock.at - 1000.0
        self.asked_at.append(at)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        await anyio.lowlevel.checkpoint()
        self.under_way -= 1
        task_id = request.url.rpartition("/")[2].encode()
        share = int(task_id.rpartition(b"_")[2]) % 1000 / 1000
        status = b"succeeded" if at >= ENDS + self._ending * share else b"running"
        return InstantAnswer(b'{"task_id": "%s", "status": "%s", "url": "https://cdn.example/a"}' % (task_id, status))

    def stats(self) -> TransportStats:
        return TransportStats(0, 0)

    async def aclose(self) -> None:
        pass


async def wait_for_all(waits: int, clock: HandClock, gateway: InstantGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for that many tasks of the gateway's, all at once."""
    change_transport(monkeypatch, lambda _: gateway)
    finished: list[str] = []
    async with make_client("sk-1", base_url="http://127.0.0.1:1/v1", clock=clock.clock, max_concurrency=50) as client:
        open_limits(client)

        async def wait(number: int) -> None:
            finished.append((await client.video.wait(f"task_{number}")).task_id)

        async with anyio.create_task_group() as group:
            for number in range(waits):
                group.start_soon(wait, number)
            while len(finished) < waits:
                if clock.sleeping + len(finished) < waits:
                    await anyio.lowlevel.checkpoint()
                else:
                    assert await held(client) == NOTHING
                    clock.wake_next()
    assert len(set(finished)) == waits


@pytest.mark.parametrize("waits", [2_000, 5_000])
async def test_waits_begun_at_once_are_spread_evenly_and_hold_no_permit_asleep(
    waits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = HandClock(jitter=None)
    gateway = InstantGateway(clock)
    await wait_for_all(waits, clock, gateway, monkeypatch)
    assert gateway.most_under_way <= 50

    asked = gateway.asked_at
    assert sum(at == 0 for at in asked) == AT_ONCE  # the others have their place in the schedule from the first poll on
    assert len(asked) < 11 * waits
    for begin, width in islice(windows(), 6):
        asking = waits / every_nth(width, waits)
        seconds = Counter(int(at - begin) for at in asked if begin <= at < min(begin + width, ENDS))
        whole = [seconds[second] for second in range(int(width))]
        chance = 4 * sqrt(asking / width)
        assert max(whole) < asking / width + chance, f"a burst of {max(whole)} polls after {begin} s"
        assert min(whole) > asking / width - chance


async def test_many_waits_stay_spread_while_others_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relaydance_async._sansio.polling.MOST_PER_SECOND", 100)
    clock = HandClock(jitter=None)
    gateway = InstantGateway(clock, ending=60.0)
    await wait_for_all(2_000, clock, gateway, monkeypatch)
    seconds = Counter(map(int, gateway.asked_at))
    assert max(seconds[second] for second in range(20, int(ENDS) + 80)) < 140


async def test_every_end_of_a_wait_is_counted(bench: Bench) -> None:
    sandbox, client, _ = bench.filming(tasks=slow(200))
    task = await client.video.submit(**CLIP)
    seen: list[int] = []
    await client.video.wait(task, on_update=lambda _: seen.append(len(ACTIVE_WAITS)))
    assert set(seen) == {1}
    with pytest.raises(NotFoundError):
        await client.video.wait("task_unknown")
    sandbox.faults.add(Fault(FETCH, stall=True))
    with pytest.raises(TaskTimeoutError):
        await client.video.wait(task, deadline=0.01)
    with anyio.CancelScope() as scope:
        scope.cancel()
        await client.video.wait(task)
    assert len(ACTIVE_WAITS) == 0


async def test_many_waits_over_a_real_server_all_end(bench: Bench) -> None:
    sandbox = bench.sandbox(time_scale=1000, tasks=TaskPlan(TaskScript(queue=5, run=30), jitter=0.5))
    client: AsyncRelayDance = bench.client(sandbox, clock=Clock(sleep=lambda seconds: anyio.sleep(seconds / 1000)))
    finished: list[VideoTask] = []

    async def make(number: int) -> None:
        task = await client.video.submit(model=CLIP["model"], prompt=f"cat {number}")
        finished.append(await client.video.wait(task))

    async with anyio.create_task_group() as group:
        for number in range(50):
            group.start_soon(make, number)
    assert {task.status for task in finished} == {"succeeded"}
    assert len({task.task_id for task in finished}) == 50
    assert (await held(client)).permits == 0
