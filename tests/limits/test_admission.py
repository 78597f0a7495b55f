"""Admission: one wait for a permit and the pace, in turn, with nothing held meanwhile."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import time as real_time
from collections.abc import AsyncIterator

import anyio
import pytest

from relaydance_async import APITimeoutError
from relaydance_async._limits import Book, Ended, KeyOutage, Kind, LocalAdmission, Order
from relaydance_async._limits._gate import Gate
from relaydance_async._sansio.outage import OutageLimits
from tests.limits.support import Crowd, OpenBook, Time, local, settle, ticket

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
async def group() -> AsyncIterator[anyio.abc.TaskGroup]:
    async with anyio.create_task_group() as tasks:
        yield tasks
        tasks.cancel_scope.cancel()


POLL, STREAM = ticket(Kind.POLL), ticket(Kind.STREAM)


def nothing_is_left(admission: LocalAdmission) -> bool:
    return (admission.in_use, admission.waiting, admission._leader) == (0, 0, None)


# Permits


async def test_permits_are_given_at_once_up_to_the_maximum(time: Time) -> None:
    admission = local(2, time)
    assert admission.enter_now(ticket()) is not None
    assert admission.enter_now(ticket()) is not None
    assert admission.enter_now(ticket()) is None
    assert (admission.in_use, admission.waiting, admission.limit) == (2, 0, 2)


async def test_enter_alone_admits_at_once_too(time: Time) -> None:
    admission = local(1, time)
    lease = await admission.enter(ticket())
    assert (admission.in_use, lease.queued_for) == (1, 0.0)


async def test_who_waits_is_served_in_the_order_they_came(time: Time, group: anyio.abc.TaskGroup) -> None:
    crowd = Crowd(local(1, time), group)
    await crowd.join("a", "b", "c", "d")
    for name, served in (("a", ["a", "b"]), ("b", ["a", "b", "c"]), ("c", ["a", "b", "c", "d"])):
        await crowd.end(name)
        assert crowd.admitted == served


async def test_a_newcomer_does_not_overtake_one_who_was_just_admitted_or_still_waits(
    time: Time, group: anyio.abc.TaskGroup
) -> None:
    admission = local(1, time)
    crowd = Crowd(admission, group)
    await crowd.join("a", "b")
    crowd.leases["a"].ended(Ended.OTHER)  # b's turn, though b has not run yet
    assert (admission.in_use, admission.waiting) == (1, 0)
    assert admission.enter_now(ticket()) is None
    await crowd.join("c")
    assert crowd.admitted == ["a", "b"]
    assert admission.waiting == 1


async def test_the_higher_priority_goes_first_among_its_kind(time: Time, group: anyio.abc.TaskGroup) -> None:
    crowd = Crowd(local(1, time), group)
    await crowd.join("first")
    for name, priority in (("c", 0), ("e", -1), ("a", 5), ("d", 0), ("b", 5)):
        await crowd.join(name, ticket=ticket(priority=priority))
    for name in ("first", "a", "b", "c", "d"):
        await crowd.end(name)
    assert crowd.admitted == ["first", "a", "b", "c", "d", "e"]


async def test_kinds_that_wait_take_turns(time: Time, group: anyio.abc.TaskGroup) -> None:
    crowd = Crowd(local(2, time), group)
    await crowd.join("first")
    await crowd.join("stream", ticket=STREAM)
    await crowd.join("b1", "b2", "b3")
    await crowd.join("p1", "p2", "p3", ticket=POLL)
    for name in ("first", "b1", "p1", "b2", "p2", "b3"):
        await crowd.end(name)
    assert crowd.admitted == ["first", "stream", "b1", "p1", "b2", "p2", "b3", "p3"]


async def test_priority_reaches_beyond_its_kind_but_starves_nobody(time: Time, group: anyio.abc.TaskGroup) -> None:
    admission = local(1, time)
    crowd = Crowd(admission, group)
    await crowd.join("first")
    for number in range(60):
        await crowd.join(f"vip{number}", ticket=ticket(priority=100))
    await crowd.join("poll", "other poll", "third poll", ticket=POLL)
    while admission.waiting:
        await crowd.end(crowd.admitted[-1])
    served = [crowd.admitted.index(name) for name in ("poll", "other poll", "third poll")]
    assert served[0] <= 20
    assert 5 <= served[1] - served[0] <= 20


async def test_polls_go_after_what_is_asked_and_before_what_downloads_ask(
    time: Time, group: anyio.abc.TaskGroup
) -> None:
    crowd = Crowd(local(1, time), group)
    await crowd.join("first")
    await crowd.join("metadata", ticket=ticket(Kind.POLL, order=Order.METADATA))
    await crowd.join("poll 1", "poll 2", ticket=ticket(Kind.POLL, order=Order.POLL))
    await crowd.join("submit")
    await crowd.join("stream", ticket=STREAM)
    for _ in range(5):
        await crowd.end(crowd.admitted[-1])
    assert crowd.admitted == ["first", "submit", "stream", "poll 1", "poll 2", "metadata"]


async def test_views_take_turns(time: Time, group: anyio.abc.TaskGroup) -> None:
    crowd = Crowd(local(1, time), group)
    await crowd.join("first")
    await crowd.join("batch 1", "batch 2", "batch 3", "batch 4", ticket=ticket(view=1))
    await crowd.join("chat 1", "chat 2", ticket=ticket(view=2))
    for _ in range(6):
        await crowd.end(crowd.admitted[-1])
    assert crowd.admitted[1:] == ["batch 1", "chat 1", "batch 2", "chat 2", "batch 3", "batch 4"]


async def test_a_lease_gives_its_permit_back_once(time: Time) -> None:
    admission = local(2, time)
    lease, other = admission.enter_now(ticket()), admission.enter_now(ticket())
    assert lease is not None
    assert other is not None
    lease.ended(Ended.OVERLOADED)
    for how in Ended:
        lease.ended(how)
    assert (admission.in_use, admission.limit) == (1, 1)


async def test_a_lease_knows_how_long_it_queued(time: Time, group: anyio.abc.TaskGroup) -> None:
    crowd = Crowd(local(1, time), group)
    await crowd.join("a", "b")
    await time.advance(2.5)
    await crowd.end("a")
    assert (crowd.leases["a"].queued_for, crowd.leases["b"].queued_for) == (0.0, 2.5)


# The limit


async def test_overload_cuts_the_limit_once_for_all_that_was_under_way(time: Time) -> None:
    patient = KeyOutage(lambda: 0.5, OutageLimits(budget=1000.0))
    admission = LocalAdmission(100, OpenBook(), time.monotonic, time.sleep, patient)
    leases = [admission.enter_now(ticket()) for _ in range(90)]
    await time.advance(0.1)
    for lease in leases:
        assert lease is not None
        lease.ended(Ended.OVERLOADED)
    assert admission.limit in (62, 63)
    limits: list[int] = []
    for _ in range(20):
        await time.advance(0.3)
        lease = admission.enter_now(ticket())
        assert lease is not None
        await time.advance(0.01)
        lease.ended(Ended.OVERLOADED)
        limits.append(admission.limit)
    assert limits[-1] == min(limits) == 1


async def test_after_an_overload_all_permits_are_back_within_two_seconds(time: Time) -> None:
    admission = local(100, time)
    lease = admission.enter_now(ticket())
    assert lease is not None
    admission._book.overload.overloaded(time.at, time.at, 50)
    lease.ended(Ended.OVERLOADED)
    assert admission.limit == 35
    await time.advance(2.0)
    other = admission.enter_now(ticket())
    assert other is not None
    other.ended(Ended.ACCEPTED)
    assert admission.limit == 100


async def test_a_smaller_limit_admits_nobody_until_enough_permits_are_back(
    time: Time, group: anyio.abc.TaskGroup
) -> None:
    admission = local(4, time)
    crowd = Crowd(admission, group)
    await crowd.join("a", "b", "c", "d", "e")
    await crowd.end("a", Ended.OVERLOADED)
    await crowd.end("b")
    assert crowd.admitted == ["a", "b", "c", "d"]
    assert admission.in_use == admission.limit == 2
    await crowd.end("c")
    assert crowd.admitted == ["a", "b", "c", "d", "e"]


async def test_a_larger_limit_admits_more_than_the_one_whose_permit_came_back(
    time: Time, group: anyio.abc.TaskGroup
) -> None:
    admission = local(2, time)
    crowd = Crowd(admission, group)
    await crowd.join("a")
    await crowd.end("a", Ended.OVERLOADED)
    assert admission.limit == 1
    await crowd.join("b", "c", "d")
    assert crowd.admitted == ["a", "b"]
    await time.advance(2.0)
    await crowd.end("b", Ended.ACCEPTED)
    assert sorted(crowd.admitted) == ["a", "b", "c", "d"]


# The pace


async def test_while_a_limit_is_reached_everybody_waits_and_holds_nothing(
    time: Time, group: anyio.abc.TaskGroup
) -> None:
    book = OpenBook()
    book.hold(time.at, 5.0)
    admission = local(3, time, book)
    crowd = Crowd(admission, group)
    await crowd.join("b", "c")
    await crowd.join("d", ticket=POLL)
    assert (admission.in_use, admission.waiting) == (0, 3)
    assert time.sleepers == 1
    await time.advance(4.9)
    assert crowd.admitted == []
    await time.advance(0.2)
    assert crowd.admitted == ["b"]  # as the probe
    assert crowd.leases["b"].queued_for == pytest.approx(5.0)
    await crowd.end("b", Ended.ACCEPTED)
    await time.advance(2.0)
    assert sorted(crowd.admitted) == ["b", "c", "d"]


async def test_a_crowd_that_joins_one_lane_does_not_look_each_time(
    time: Time, group: anyio.abc.TaskGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[float] = []
    delay_of = Gate.delay

    def noted(gate: Gate, now: float) -> float:
        looked.append(now)
        return delay_of(gate, now)

    book = OpenBook()
    book.hold(time.at, 5.0)
    crowd = Crowd(local(200, time, book), group)
    await crowd.join("first")
    monkeypatch.setattr(Gate, "delay", noted)
    for number in range(100):
        crowd.start(str(number))
    await settle()
    assert len(looked) <= 5


async def test_one_who_joins_notices_that_a_limit_was_forgotten(time: Time, group: anyio.abc.TaskGroup) -> None:
    book = OpenBook()
    book.hold(time.at, 5.0)
    crowd = Crowd(local(200, time, book), group)
    await crowd.join("a", "b")
    assert crowd.admitted == []
    book.forget()
    time.at += 0.01
    await crowd.join("c")
    assert sorted(crowd.admitted) == ["a", "b", "c"]


async def test_a_pause_that_grows_while_somebody_waits_is_waited_out(time: Time, group: anyio.abc.TaskGroup) -> None:
    book = OpenBook()
    book.hold(time.at, 1.0)
    crowd = Crowd(local(3, time, book), group)
    await crowd.join("a")
    await time.advance(0.5)
    book.hold(time.at, 3.0)
    await time.advance(2.9)
    assert crowd.admitted == []
    await time.advance(0.1)
    assert crowd.admitted == ["a"]
    assert time.slept == pytest.approx([1.0, 2.5])


async def test_all_whom_the_pace_lets_pass_begin_in_one_turn_of_the_loop(
    time: Time, group: anyio.abc.TaskGroup
) -> None:
    book = OpenBook()
    book.hold(time.at, 1.0)
    admission = local(1_000, time, book)
    crowd = Crowd(admission, group)
    for number in range(100):
        crowd.start(str(number))
    await settle()
    time.at += 100.0  # nobody has woken yet
    book.wide.forget()
    await time.advance(0.0)
    assert len(crowd.admitted) == 100
    assert (admission.waiting, time.slept) == (0, [1.0])


async def test_who_is_admitted_at_once_does_not_overtake_those_whom_the_pace_holds_back(
    time: Time, group: anyio.abc.TaskGroup
) -> None:
    book = OpenBook()
    book.hold(time.at, 1.0)
    admission = local(10, time, book)
    await Crowd(admission, group).join("a")
    time.at += 5.0  # the one who sleeps has not woken yet
    assert admission.enter_now(POLL) is None


async def test_the_first_calls_of_a_client_are_paced(time: Time, group: anyio.abc.TaskGroup) -> None:
    crowd = Crowd(local(500, time, Book()), group)
    for number in range(100):
        crowd.start(str(number))
    await settle()
    assert 10 <= len(crowd.admitted) <= 13
    await time.advance(0.2)
    assert sorted(crowd.admitted, key=int) == [str(number) for number in range(100)]


async def test_two_event_loops_share_what_is_learned_but_not_the_permits(time: Time) -> None:
    book = OpenBook()
    one, other = local(1, time, book), local(1, time, book)
    assert one.enter_now(ticket()) is not None
    assert other.enter_now(ticket()) is not None
    book.hold(time.at, 5.0)
    assert local(1, time, book).enter_now(ticket()) is None


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_event_loops_in_several_threads_share_the_pace() -> None:
    book, admitted = Book(), [0, 0, 0]

    async def call(admission: LocalAdmission, thread: int) -> None:
        lease = admission.enter_now(ticket()) or await admission.enter(ticket())
        await asyncio.sleep(0.001)
        lease.ended(Ended.REFUSED if admitted[thread] % 100 == 99 else Ended.ACCEPTED, 0.01)
        admitted[thread] += 1

    async def run(thread: int) -> None:
        admission = LocalAdmission(50, book, real_time.monotonic, asyncio.sleep)
        await asyncio.gather(*(call(admission, thread) for _ in range(300)))
        assert nothing_is_left(admission)

    threads = [threading.Thread(target=asyncio.run, args=(run(thread),)) for thread in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        await anyio.to_thread.run_sync(thread.join)
    assert admitted == [300, 300, 300]


async def test_a_higher_priority_that_comes_later_passes_first(time: Time, group: anyio.abc.TaskGroup) -> None:
    book = OpenBook()
    book.hold(time.at, 1.0)
    admission = local(10, time, book)
    crowd = Crowd(admission, group)
    await crowd.join("leader", "second")
    await crowd.join("vip", ticket=ticket(priority=1))
    await time.advance(1.0)
    assert crowd.admitted == ["vip"]
    await crowd.end("vip", Ended.ACCEPTED)
    await time.advance(10.0)
    assert sorted(crowd.admitted) == ["leader", "second", "vip"]
    for name in crowd.admitted:
        await crowd.end(name)
    assert nothing_is_left(admission)


async def test_a_leader_who_finds_no_permit_when_it_wakes_waits_for_one(time: Time, group: anyio.abc.TaskGroup) -> None:
    book = OpenBook()
    admission = local(2, time, book)
    crowd = Crowd(admission, group)
    await crowd.join("a", "b")
    book.hold(time.at, 1.0)
    await crowd.join("c")
    await crowd.end("a")
    assert time.sleepers == 1  # c leads
    admission._shares.set_limit(1)
    await time.advance(5.0)
    assert (crowd.admitted, time.sleepers, admission.waiting) == (["a", "b"], 0, 1)
    await crowd.end("b")
    assert crowd.admitted == ["a", "b", "c"]


# Deadlines


async def test_who_cannot_be_admitted_before_its_deadline_is_told_at_once(time: Time) -> None:
    book = OpenBook()
    admission = local(1, time, book)
    book.hold(time.at, 5.0)
    assert admission.enter_now(ticket(deadline=time.at + 5)) is None
    with pytest.raises(APITimeoutError, match=r"its turn would come in 5\.0 s at the soonest, .*never sent") as info:
        await admission.enter(ticket(deadline=time.at + 5))
    assert (info.value.retryable, info.value.maybe_accepted, info.value.status_code) == (True, False, None)
    assert nothing_is_left(admission)
    assert time.slept == []


async def test_a_deadline_after_the_cool_down_is_waited_for(time: Time, group: anyio.abc.TaskGroup) -> None:
    book = OpenBook()
    book.hold(time.at, 5.0)
    crowd = Crowd(local(1, time, book), group)
    await crowd.join("a", ticket=ticket(deadline=time.at + 5.1))
    await time.advance(5.0)
    assert crowd.admitted == ["a"]


async def test_a_limit_that_is_reached_while_they_queue_turns_away_those_it_is_too_long_for(
    time: Time, group: anyio.abc.TaskGroup
) -> None:
    book = OpenBook()
    admission = local(1, time, book)
    crowd = Crowd(admission, group)
    await crowd.join("a")
    for name, deadline in (("soon", 2.0), ("later", 10.0), ("also soon", 3.0), ("whenever", None)):
        await crowd.join(name, ticket=ticket(deadline=None if deadline is None else time.at + deadline))
    book.hold(time.at, 5.0)
    crowd.leases["a"].ended(Ended.OTHER)
    await settle()
    assert sorted(crowd.failed) == ["also soon", "soon"]
    assert all(isinstance(error, APITimeoutError) for error in crowd.failed.values())
    assert (admission.waiting, time.sleepers) == (2, 1)
    await time.advance(5.0)
    assert crowd.admitted == ["a", "later"]


async def test_a_pause_that_gets_longer_refuses_even_the_one_who_leads(time: Time, group: anyio.abc.TaskGroup) -> None:
    book = OpenBook()
    book.hold(time.at, 1.0)
    admission = local(1, time, book)
    crowd = Crowd(admission, group)
    await crowd.join("a", ticket=ticket(deadline=time.at + 2))
    await crowd.join("b")
    book.hold(time.at, 5.0)
    await time.advance(1.0)
    assert list(crowd.failed) == ["a"]
    await time.advance(4.0)
    assert crowd.admitted == ["b"]
    await crowd.end("b")
    assert nothing_is_left(admission)


async def test_the_one_at_the_head_says_when_a_slow_pace_is_too_slow(time: Time, group: anyio.abc.TaskGroup) -> None:
    book = OpenBook()
    book.pace(time.at, 0.1)
    admission = local(1, time, book)
    crowd = Crowd(admission, group)
    await crowd.join("patient", ticket=ticket(deadline=time.at + 30))
    await crowd.join("hasty", ticket=ticket(deadline=time.at + 15))
    await time.advance(12.0)
    assert (crowd.admitted, list(crowd.failed)) == (["patient"], [])
    await crowd.end("patient", Ended.ACCEPTED)  # now it is at the head, and its turn is 8 s away
    assert list(crowd.failed) == ["hasty"]
    assert "its turn would come in" in str(crowd.failed["hasty"])
    assert nothing_is_left(admission)


# Streams


async def test_streams_that_hold_all_they_may_are_warned_of_once(
    time: Time, group: anyio.abc.TaskGroup, caplog: pytest.LogCaptureFixture
) -> None:
    crowd = Crowd(local(3, time), group)
    await crowd.join("a", "b", ticket=STREAM)
    assert caplog.records == []
    await crowd.join("c", "d", ticket=STREAM)
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("relaydance_async", logging.WARNING)
    assert record.getMessage().startswith("a call has to wait: 2 streams are open, of 2 at most. A stream keeps its")
    await crowd.join("other kind")
    assert crowd.admitted == ["a", "b", "other kind"]
    await crowd.end("a")
    await crowd.join("e", ticket=STREAM)
    assert len(caplog.records) == 1  # somebody has waited all the time
    await crowd.end("b")
    await crowd.end("c")
    await crowd.join("f", ticket=STREAM)
    assert len(caplog.records) == 2


async def test_others_than_streams_wait_without_a_warning(
    time: Time, group: anyio.abc.TaskGroup, caplog: pytest.LogCaptureFixture
) -> None:
    await Crowd(local(2, time), group).join("a", "b", "c", "d")
    assert caplog.records == []


async def test_a_logging_filter_that_fails_leaves_no_place_behind(time: Time) -> None:
    def fail(record: logging.LogRecord) -> bool:
        raise RuntimeError("the filter's")

    admission = local(1, time)
    lease = admission.enter_now(STREAM)
    assert lease is not None
    log = logging.getLogger("relaydance_async")
    log.addFilter(fail)
    try:
        with pytest.raises(RuntimeError, match="the filter's"):
            await admission.enter(STREAM)
    finally:
        log.removeFilter(fail)
    lease.ended(Ended.OTHER)
    assert nothing_is_left(admission)


# Cancellation


async def test_a_cancelled_one_leaves_its_place(time: Time, group: anyio.abc.TaskGroup) -> None:
    admission = local(1, time)
    crowd = Crowd(admission, group)
    await crowd.join("a", "b", "c")
    crowd.scopes["b"].cancel()
    await settle()
    assert admission.waiting == 1
    await crowd.end("a")
    assert crowd.admitted == ["a", "c"]
    assert admission.in_use == 1


async def test_one_who_is_cancelled_when_just_admitted_hands_its_permit_on(
    time: Time, group: anyio.abc.TaskGroup
) -> None:
    admission = local(1, time)
    crowd = Crowd(admission, group)
    await crowd.join("a", "b", "c")
    crowd.leases["a"].ended(Ended.OTHER)
    crowd.scopes["b"].cancel()  # before b has run
    await settle()
    assert len(crowd.admitted) == 2
    await crowd.end(crowd.admitted[1])
    for name in crowd.admitted[2:]:
        await crowd.end(name)
    assert nothing_is_left(admission)


@pytest.mark.parametrize("turns", range(0, 90, 3))
@pytest.mark.parametrize("victim", ["leader", "second", "third"])
async def test_cancelled_at_any_moment_nobody_leaves_anything_behind(
    time: Time, group: anyio.abc.TaskGroup, victim: str, turns: int
) -> None:
    book = OpenBook()
    admission = local(2, time, book)
    crowd = Crowd(admission, group)
    await crowd.join("a", "b")
    for name in ("leader", "second", "third"):
        crowd.start(name)

    async def live() -> None:
        book.hold(time.at, 1.0)
        await crowd.end("a")
        await time.advance(1.0)
        await crowd.end("b")
        await time.advance(5.0)

    group.start_soon(live)
    for _ in range(turns):
        await anyio.lowlevel.checkpoint()
    crowd.scopes[victim].cancel()
    for _ in range(100):
        await anyio.lowlevel.checkpoint()
    ended: set[str] = {"a", "b"}
    while left := set(crowd.admitted) - ended:
        for name in left:
            await crowd.end(name)
        ended |= left
        await time.advance(5.0)
    assert ended >= {"a", "b", "leader", "second", "third"} - {victim}
    assert nothing_is_left(admission)
    assert time.sleepers == 0


@pytest.mark.parametrize("held_by", ["permits", "pace"])
def test_in_a_loop_that_was_closed_under_them_those_who_wait_end_without_a_word(
    held_by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures: list[object] = []
    monkeypatch.setattr("sys.unraisablehook", failures.append)
    time = Time()
    book = OpenBook()
    admission = local(1, time, book)
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda loop, context: None)  # asyncio tells of each task that was pending
    lease = admission.enter_now(ticket())
    assert lease is not None
    waiting = [loop.create_task(admission.enter(ticket())) for _ in range(3)]
    loop.run_until_complete(settle())
    if held_by == "pace":
        book.hold(time.at, 5.0)
        lease.ended(Ended.OTHER)
        loop.run_until_complete(settle())
    loop.close()
    lease.ended(Ended.OTHER)
    del admission, lease, waiting, time
    gc.collect()
    assert failures == []


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # whose own cancellation comes even after the wake-up
class TestAsyncio:
    async def test_one_who_is_cancelled_when_just_made_the_leader_lets_the_next_lead(self, time: Time) -> None:
        book = OpenBook()
        book.hold(time.at, 5.0)
        admission = local(10, time, book)
        first, second, third = (asyncio.create_task(admission.enter(ticket())) for _ in range(3))
        await settle()
        led = admission._leader
        first.cancel()
        while admission._leader is led:  # noqa: ASYNC110  (one turn of the loop)
            await asyncio.sleep(0)
        second.cancel()  # which has not run since
        await time.advance(5.0)
        assert (first.cancelled(), second.cancelled(), third.cancelled()) == (True, True, False)
        assert time.slept == [5.0, 5.0]
        third.result().ended(Ended.OTHER)
        assert nothing_is_left(admission)

    async def test_one_who_is_cancelled_when_just_admitted_gives_back_its_permit(self, time: Time) -> None:
        admission = local(1, time)
        lease = admission.enter_now(ticket())
        assert lease is not None
        second = asyncio.create_task(admission.enter(ticket()))
        await settle()
        lease.ended(Ended.OTHER)
        assert admission.in_use == 1
        second.cancel()
        await settle()
        assert nothing_is_left(admission)

    async def test_one_who_is_cancelled_when_just_refused_leaves_nothing(self, time: Time) -> None:
        book = OpenBook()
        admission = local(1, time, book)
        lease = admission.enter_now(ticket())
        assert lease is not None
        late, patient = (asyncio.create_task(admission.enter(ticket(deadline=d))) for d in (time.at + 2, None))
        await settle()
        book.hold(time.at, 5.0)
        lease.ended(Ended.OTHER)
        await asyncio.sleep(0)
        late.cancel()
        await time.advance(5.0)
        patient.result().ended(Ended.OTHER)
        assert nothing_is_left(admission)

    async def test_a_wait_leaves_no_reference_cycle(self, time: Time) -> None:
        admission = local(1, time)
        lease = admission.enter_now(ticket())
        assert lease is not None
        waiting = [asyncio.create_task(admission.enter(ticket())) for _ in range(3)]
        await settle()
        gc.collect()
        gc.disable()
        try:
            waiting[0].cancel()
            await settle()
            lease.ended(Ended.OTHER)
            await settle()
            waiting[1].result().ended(Ended.OTHER)
            await settle()
            waiting[2].result().ended(Ended.OTHER)
            del waiting
            assert gc.collect() == 0
        finally:
            gc.enable()
