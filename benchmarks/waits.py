"""Point 9: thousands of tasks waited for at once."""

from __future__ import annotations

import asyncio
import json
import random
import time
import urllib.request
from collections.abc import Sequence
from statistics import mean
from typing import Any

from .child import call_once
from .ours import OURS, OURS_AIOHTTP, make_client
from .peers import AIOHTTP
from .report import Report
from .server import LocalServer
from .settings import Settings

_SETTLED = 10
"""Seconds after which every task has been asked for a few times."""
_LONG = 600
"""Seconds of the schedule that are played without a clock."""


def run(settings: Settings) -> list[Report]:
    """The report of point 9."""
    tasks, seconds = (1_000, 20) if settings.quick else (10_000, 40)
    report = Report(
        f"9. {tasks:,} tasks waited for, begun at once", ["", "polls", "per second", "CPU per poll, µs", "burst"]
    )
    planned = _play_schedule(tasks, seconds, seed=0)
    report.row(f"the schedule, {seconds} s", *_cells(planned, float("nan")))
    played = _play_schedule(tasks, _LONG, seed=0)
    report.row(f"the schedule, {_LONG} s", *_cells(played, float("nan")))
    bare = _cpu_of_aiohttp()
    report.row("aiohttp, a 1 KB completion", "–", "–", bare, "–")
    for name in (OURS, OURS_AIOHTTP):
        found = _measure(name, tasks, seconds)
        polls: list[int] = found["polls"]
        report.data[name] = found
        report.row(f"{name}, {seconds} s", *_cells(polls, found["cpu_us"]))
        report.check(f"{name}: polls / the schedule's", sum(polls) / sum(planned), "≥", 0.95)
        report.check(f"{name}: polls / the schedule's, at most", sum(polls) / sum(planned), "≤", 1.05)
        report.check(f"{name}: burst", _burst(polls[_SETTLED:]), "≤", 1.5)
        if name == OURS_AIOHTTP:
            report.check(f"{name}: CPU per poll / bare aiohttp", found["cpu_us"] / bare, "≤", 1.6)
    report.check(f"the schedule over {_LONG} s: burst", _burst(played[_SETTLED:]), "≤", 1.5)
    report.notes.append(
        f"Burst: the busiest second over the mean, from second {_SETTLED} on. The first polls come at once, and should."
    )
    report.data["planned"], report.data["played"] = planned, played
    return [report]


def _cells(polls: Sequence[int], cpu_us: float) -> tuple[object, ...]:
    return f"{sum(polls):,}", mean(polls[_SETTLED:]), cpu_us, _burst(polls[_SETTLED:])


def _burst(polls: Sequence[int]) -> float:
    return max(polls) / mean(polls)


def _play_schedule(tasks: int, seconds: int, *, seed: int) -> list[int]:
    """How many polls the schedule has in each second, when the polls themselves take no time."""
    from relaydance_async._sansio.polling import poll_schedule

    dice = random.Random(seed)
    polls = [0] * seconds
    for _ in range(tasks):
        at = 0.0
        for pause in poll_schedule(dice.random):
            if at >= seconds:
                break
            polls[int(at)] += 1
            at += pause
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
