"""How the kinds divide the permits: none can take all of them, and none is locked out."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import anyio
import pytest

from relaydance_async._limits import Ended, Kind, LocalAdmission
from relaydance_async._limits._shares import most_of
from tests.limits.support import Crowd, Time, local, ticket

pytestmark = pytest.mark.anyio

BILLED, POLL, STREAM = Kind.BILLED, Kind.POLL, Kind.STREAM


def take_all(admission: LocalAdmission, kind: Kind) -> int:
    taken = 0
    while admission.enter_now(ticket(kind)) is not None:
        taken += 1
    return taken


@pytest.mark.parametrize(
    ("limit", "billed", "poll", "stream"),
    [
        (1, 1, 1, 1),
        (2, 2, 2, 1),
        (9, 9, 9, 8),
        (10, 8, 8, 8),
        (39, 37, 37, 37),
        (40, 36, 36, 36),
        (100, 90, 90, 90),
        (1000, 900, 900, 900),
    ],
)
async def test_a_kind_alone_may_hold_so_many(limit: int, billed: int, poll: int, stream: int) -> None:
    expected = {BILLED: billed, POLL: poll, STREAM: stream}
    assert {kind: most_of(kind, limit) for kind in Kind} == expected
    assert {kind: take_all(local(limit, Time()), kind) for kind in Kind} == expected


@pytest.mark.parametrize("greedy", Kind)
@pytest.mark.parametrize("maximum", [10, 50, 100, 333])
async def test_beside_a_kind_that_takes_all_it_can_the_others_have_their_share(maximum: int, greedy: Kind) -> None:
    admission = local(maximum, Time())
    taken = take_all(admission, greedy)
    others = [take_all(admission, kind) for kind in Kind if kind is not greedy]
    assert sum(others) == 2 * max(1, maximum // 20)
    assert taken + sum(others) == admission.in_use == maximum


@pytest.mark.parametrize("maximum", [10, 50, 100, 333])
async def test_two_kinds_that_take_all_they_can_leave_the_third_its_share(maximum: int) -> None:
    admission = local(maximum, Time())
    share = max(1, maximum // 20)
    for _ in range(maximum - 2 * share):
        assert admission.enter_now(ticket(BILLED)) is not None
    for _ in range(share):
        assert admission.enter_now(ticket(STREAM)) is not None
    assert [admission.enter_now(ticket(POLL)) is not None for _ in range(share)] == [True] * share


@pytest.mark.parametrize("maximum", range(2, 10))
async def test_of_few_permits_streams_leave_one(maximum: int) -> None:
    admission = local(maximum, Time())
    take_all(admission, STREAM)
    assert admission.enter_now(ticket(BILLED)) is not None


@pytest.mark.parametrize("maximum", [2, 3, 9, 10, 100])
async def test_streams_that_are_open_while_the_limit_falls_lock_no_kind_out(maximum: int) -> None:
    admission = local(maximum, Time())
    take_all(admission, STREAM)
    admission._shares.set_limit(1)
    assert admission.in_use >= admission.limit
    lease = admission.enter_now(ticket(BILLED))
    assert lease is not None
    assert admission.enter_now(ticket(BILLED)) is None
    lease.ended(Ended.OTHER)
    poll = admission.enter_now(ticket(POLL))
    assert poll is not None
    assert admission.in_use <= maximum


@pytest.mark.parametrize("maximum", range(1, 130))
async def test_at_any_limit_every_kind_can_have_a_permit_when_none_is_in_use(maximum: int) -> None:
    admission = local(maximum, Time())
    for limit in range(maximum, 0, -1):
        admission._shares.set_limit(limit)
        for kind in Kind:
            lease = admission.enter_now(ticket(kind))
            assert lease is not None
            lease.ended(Ended.OTHER)
            admission._shares.set_limit(limit)


async def test_the_shares_follow_the_limit() -> None:
    admission = local(100, Time())
    admission._shares.set_limit(25)
    assert take_all(admission, STREAM) == 23


async def test_streams_that_hold_all_they_may_hold_nobody_else_up() -> None:
    time = Time()
    admission = local(20, time)
    async with anyio.create_task_group() as group:
        crowd = Crowd(admission, group)
        assert take_all(admission, STREAM) == 18
        await crowd.join("stream", ticket=ticket(STREAM))
        for number in range(50):
            await crowd.join(f"billed{number}")
            await crowd.join(f"poll{number}", ticket=ticket(POLL))
            await crowd.end(f"billed{number}")
            await crowd.end(f"poll{number}")
        assert "stream" not in crowd.admitted
        group.cancel_scope.cancel()
