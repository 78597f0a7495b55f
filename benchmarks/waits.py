"""Point 9: thousands of tasks waited for at once."""

from __future__ import annotations

import asyncio
import json
import random
import time
import urllib.request
from collections.abc import Sequence
from math import ceil, floor
from statistics import mean
from typing import Any

from .child import call_once
from .ours import OURS, OURS_AIOHTTP, make_client
from .peers import AIOHTTP
from .report import Report
from .server import LocalServer
from .settings import Settings

_LONG = 600
"""Seconds of the schedule that are played without a clock."""
_VOLLEY = 6
"""The seconds that the first polls, which come at once, may take: as many as the client can send."""


def run(settings: Settings) -> list[Report]:
    """The report of point 9."""
    tasks, seconds = (1_000, 20) if settings.quick else (10_000, 60)
    report = Report(f"9. {tasks:,} tasks waited for, begun at once", ["", "polls", "CPU per poll, µs", "burst"])
    planned = _play_schedule(tasks, seconds, seed=0)
    report.row(f"the schedule, {seconds} s", f"{sum(planned):,}", "–", _burst(planned))
    played = _play_schedule(tasks, _LONG, seed=0)
    report.row(f"the schedule, {_LONG} s", f"{sum(played):,}", "–", _burst(played))
    bare = _cpu_of_aiohttp()
    report.row("aiohttp, a 1 KB completion", "–", bare, "–")
    for name in (OURS, OURS_AIOHTTP):
        found = _measure(name, tasks, seconds)
        polls: list[int] = found["polls"]
        report.data[name] = found
        report.row(f"{name}, {seconds} s", f"{sum(polls):,}", found["cpu_us"], _burst(polls))
        report.check(f"{name}: polls / the schedule's", sum(polls) / sum(planned), "≥", 0.95)
        report.check(f"{name}: polls / the schedule's, at most", sum(polls) / sum(planned), "≤", 1.05)
        report.check(f"{name}: burst", _burst(polls), "≤", 1.5)
        if name == OURS_AIOHTTP:
            report.check(f"{name}: CPU per poll / bare aiohttp", found["cpu_us"] / bare, "≤", 1.6)
    report.check(f"the schedule over {_LONG} s: burst", _burst(played), "≤", 1.5)
    report.notes.append(
        f"Burst: the busiest second of a window of the schedule over the window's mean, the worst of all windows from "
        f"second {_VOLLEY} on. The first polls come at once, and should."
    )
    report.data["planned"], report.data["played"] = planned, played
    return [report]


def _burst(polls: Sequence[int]) -> float:
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
    from relaydance_async._sansio.polling import next_poll

    dice = random.Random(seed)
    polls = [0] * seconds
    for _ in range(tasks):
        at, phase = 0.0, dice.random()
        while at < seconds:
            polls[int(at)] += 1
            at += next_poll(at, phase)
    return polls


def _cpu_of_aiohttp() -> float:
    with LocalServer() as server:
        found: dict[str, float] = call_once(
            "load", "measure_peer", peer=AIOHTTP, origin=server.origin, in_flight=100, seconds=2
        )
        return found["cpu_us"]


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
    from relaydance_async import TaskTimeoutError

    async def run() -> dict[str, float]:
        async with make_client(origin, 100, aiohttp=name == OURS_AIOHTTP) as client:

            async def wait(number: int) -> None:
                try:
                    await client.video.wait(f"task_{number}", deadline=seconds)
                except TaskTimeoutError:
                    return
                raise AssertionError("a task was ready")

            cpu = time.process_time()
            async with asyncio.TaskGroup() as group:
                for number in range(tasks):
                    group.create_task(wait(number))
            return {"cpu": time.process_time() - cpu}

    return asyncio.run(run())
