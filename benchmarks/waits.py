"""Point 9: thousands of tasks waited for at once."""

from __future__ import annotations

import asyncio
import json
import random
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from math import ceil, floor
from statistics import mean
from typing import Any, TypeAlias

from .child import call_once
from .ours import OURS, OURS_FAST, make_client
from .peers import AIOHTTP, HEADERS
from .report import Report
from .server import LocalServer
from .settings import Settings

Wait: TypeAlias = Callable[[str, int], Coroutine[Any, Any, None]]
"""Waits for the task of that id, for so many seconds."""

_IN_FLIGHT = 100
_LONG = 600
"""Seconds of the schedule that are played without a clock."""
_VOLLEY = 6
"""The seconds that the first polls, which come at once, may take: as many as the client can send."""


def run(settings: Settings) -> list[Report]:
    """The report of point 9."""
    tasks, seconds = (1_000, 20) if settings.quick else (10_000, 60)
    report = Report(f"9. {tasks:,} tasks waited for, begun at once", ["", "polls", "CPU per poll, µs", "burst"])
    planned = _play_schedule(tasks, seconds, seed=0)
    report.row(f"the schedule, {seconds} s", f"{sum(planned):,}", "–", _burst(planned, tasks))
    played = _play_schedule(tasks, _LONG, seed=0)
    report.row(f"the schedule, {_LONG} s", f"{sum(played):,}", "–", _burst(played, tasks))
    bare = _row(report, AIOHTTP, tasks, seconds)
    for name in (OURS, OURS_FAST):
        found = _row(report, name, tasks, seconds)
        polls = found["polls"]
        report.check(f"{name}: polls / the schedule's", sum(polls) / sum(planned), "≥", 0.95)
        report.check(f"{name}: polls / the schedule's, at most", sum(polls) / sum(planned), "≤", 1.05)
        report.check(f"{name}: burst", _burst(polls, tasks), "≤", 1.5)
        if name == OURS_FAST:
            report.check(f"{name}: CPU per poll / {AIOHTTP}", found["cpu_us"] / bare["cpu_us"], "≤", 1.6)
    report.check(f"the schedule over {_LONG} s: burst", _burst(played, tasks), "≤", 1.5)
    report.notes.append(
        f"Burst: the busiest second of a window of the schedule over the window's mean, the worst of all windows from "
        f"second {_VOLLEY} on. The first polls come at once, and should. {AIOHTTP} polls on the same schedule. "
        "A client that gets too little of a processor sends fewer polls than the schedule has, and in bursts."
    )
    report.data["planned"], report.data["played"] = planned, played
    return [report]


def _burst(polls: Sequence[int], tasks: int) -> float:
    """The busiest whole second of a window over the mean of its whole seconds, in the worst window."""
    from relaydance_async._sansio.polling import windows

    worst = 0.0
    for begin, width in windows():
        seconds = polls[ceil(begin) : floor(begin + width)]
        if floor(begin + width) > len(polls):
            return worst
        if begin >= _VOLLEY:
            worst = max(worst, max(seconds) / mean(seconds))
    raise AssertionError("the windows have no end")


def _play_schedule(tasks: int, seconds: int, *, seed: int) -> list[int]:
    """How many polls the schedule has in each second, when the polls themselves take no time."""
    from relaydance_async._sansio.polling import Place, next_poll

    dice = random.Random(seed)
    polls = [0] * seconds
    for _ in range(tasks):
        at, place = 0.0, Place.draw(dice.random)
        while at < seconds:
            polls[int(at)] += 1
            at += next_poll(at, place, tasks)
    return polls


def _row(report: Report, name: str, tasks: int, seconds: int) -> dict[str, Any]:
    found = _measure(name, tasks, seconds)
    report.data[name] = found
    report.row(f"{name}, {seconds} s", f"{sum(found['polls']):,}", found["cpu_us"], _burst(found["polls"], tasks))
    return found


def _measure(name: str, tasks: int, seconds: int) -> dict[str, Any]:
    with LocalServer() as server:
        done: dict[str, Any] = call_once(
            "waits", "measure", name=name, origin=server.origin, tasks=tasks, seconds=seconds
        )
        with urllib.request.urlopen(f"{server.origin}/v1/polls", timeout=10) as answer:
            polls: list[int] = json.load(answer)
    polls = (polls + [0] * seconds)[:seconds]
    return {"polls": polls, "cpu_us": done["cpu"] / sum(polls) * 1e6}


def measure(name: str, origin: str, tasks: int, seconds: int) -> dict[str, float]:
    """In a process of its own: the CPU of waiting for that many tasks, none of which is ever ready."""
    poller = _with_aiohttp(origin, tasks) if name == AIOHTTP else _with_ours(origin, fast=name == OURS_FAST)

    async def run() -> dict[str, float]:
        async with poller as wait:
            cpu = time.process_time()
            async with asyncio.TaskGroup() as group:
                for number in range(tasks):
                    group.create_task(wait(f"task_{number}", seconds))
            return {"cpu": time.process_time() - cpu}

    return asyncio.run(run())


@asynccontextmanager
async def _with_ours(origin: str, *, fast: bool) -> AsyncIterator[Wait]:
    from relaydance_async import TaskTimeoutError

    async with make_client(origin, _IN_FLIGHT, fast=fast) as client:

        async def wait(task_id: str, seconds: int) -> None:
            try:
                await client.video.wait(task_id, deadline=seconds)
            except TaskTimeoutError:
                return
            raise AssertionError("a task was ready")

        await client.models.list()  # imports and the first connection are no part of a poll
        yield wait


@asynccontextmanager
async def _with_aiohttp(origin: str, tasks: int) -> AsyncIterator[Wait]:
    import aiohttp

    from relaydance_async import VideoTask
    from relaydance_async._sansio.polling import Place, next_poll

    connector = aiohttp.TCPConnector(limit=_IN_FLIGHT)
    async with aiohttp.ClientSession(connector=connector, headers=HEADERS) as session:

        async def wait(task_id: str, seconds: int) -> None:
            begun, place = time.monotonic(), Place.draw(random.random)
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    while True:
                        async with session.get(f"{origin}/v1/video/generations/{task_id}") as answer:
                            task = VideoTask.model_validate_json(await answer.read())
                        assert not task.is_terminal
                        await asyncio.sleep(next_poll(time.monotonic() - begun, place, tasks))

        async with session.get(f"{origin}/v1/models") as answer:
            await answer.read()
        yield wait
