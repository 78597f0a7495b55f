"""The first of a poll and of an event."""

from __future__ import annotations

from inspect import CORO_CLOSED, getcoroutinestate

import anyio
import anyio.lowlevel
import pytest

from relaydance_async import RelayDanceError, VideoTask
from relaydance_async.resources._task_events import EndEvent

pytestmark = pytest.mark.anyio

ENDED = VideoTask.model_validate({"task_id": "task_1", "status": "succeeded"})
FOUND = VideoTask.model_validate({"task_id": "task_1", "status": "running"})


async def hang() -> VideoTask:
    await anyio.sleep_forever()
    raise AssertionError("it goes on for ever")


async def find() -> VideoTask:
    await anyio.lowlevel.checkpoint()
    return FOUND


async def fail() -> VideoTask:
    await anyio.lowlevel.checkpoint()
    raise RelayDanceError("refused")


async def test_without_an_event_it_is_what_the_poll_finds_or_raises() -> None:
    event = EndEvent()
    assert await event.first_of(find()) == FOUND
    with pytest.raises(RelayDanceError, match="refused"):
        await event.first_of(fail())


async def test_an_event_ends_the_poll_under_way() -> None:
    event, poll = EndEvent(), hang()
    found: list[VideoTask] = []

    async def wait() -> None:
        found.append(await event.first_of(poll))

    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        await anyio.lowlevel.checkpoint()
        await anyio.lowlevel.checkpoint()
        event.set(ENDED)
    assert found == [ENDED]
    assert getcoroutinestate(poll) == CORO_CLOSED


async def test_after_an_event_no_poll_is_begun() -> None:
    event, poll = EndEvent(), hang()
    event.set(ENDED)
    assert await event.first_of(poll) == ENDED
    assert getcoroutinestate(poll) == CORO_CLOSED


async def test_an_event_between_two_polls_is_not_missed() -> None:
    event = EndEvent()
    assert await event.first_of(find()) == FOUND
    event.set(ENDED)
    assert await event.first_of(find()) == ENDED


async def test_a_cancellation_from_outside_goes_through() -> None:
    with anyio.move_on_after(0.01) as scope:
        await EndEvent().first_of(hang())
    assert scope.cancelled_caught
