"""Requests to other hosts: so many at once, in the order they came, whatever the API says."""

from __future__ import annotations

import anyio
import pytest

from relaydance_async._limits import Ended, ForeignAdmission, Kind
from tests.limits.support import Crowd, Time, ticket

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_all_kinds_are_served_in_the_order_they_came() -> None:
    time = Time()
    async with anyio.create_task_group() as group:
        crowd = Crowd(ForeignAdmission(2, time.monotonic, time.sleep), group)
        for number, kind in enumerate([Kind.STREAM, Kind.STREAM, Kind.POLL, Kind.STREAM, Kind.BILLED, Kind.POLL]):
            await crowd.join(str(number), ticket=ticket(kind))
        assert crowd.admitted == ["0", "1"]
        for number in range(4):
            await crowd.end(str(number))
        assert crowd.admitted == ["0", "1", "2", "3", "4", "5"]


@pytest.mark.parametrize("how", Ended)
async def test_nothing_is_learned(how: Ended) -> None:
    time = Time()
    admission = ForeignAdmission(2, time.monotonic, time.sleep)
    for _ in range(10):
        lease = admission.enter_now(ticket())
        assert lease is not None
        lease.ended(how, retry_after=60.0)
    assert (admission.in_use, admission.waiting, admission.limit) == (0, 0, 2)


async def test_a_cancelled_one_leaves_its_place() -> None:
    time = Time()
    async with anyio.create_task_group() as group:
        crowd = Crowd(ForeignAdmission(1, time.monotonic, time.sleep), group)
        await crowd.join("a", "b", "c")
        crowd.scopes["b"].cancel()
        await crowd.end("a")
        assert crowd.admitted == ["a", "c"]
