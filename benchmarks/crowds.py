"""Point 12: crowds of calls: what they hold in memory, and how long their beginning holds up the event loop."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypedDict

from .child import call_once
from .machine import rss
from .ours import OURS_FAST, make_client
from .payloads import MESSAGES, MODEL
from .peers import AIOHTTP, PEERS
from .report import Report
from .server import LocalServer
from .settings import Settings

_IN_FLIGHT = 5_000
_WAITS = 10_000
_CREATED = 100_000
_PERMITS = 1_000
_TICK = 0.002
_SETTLE = 3.0
"""Seconds until all of a crowd have been sent."""


class Crowd(TypedDict):
    """What a crowd took."""

    grown_mb: float
    """Of the process, once all are under way."""
    stall_ms: float
    """The longest by which a ticker of 2 ms came late, up to then."""


def run(settings: Settings) -> list[Report]:
    """The report of point 12."""
    scale = 10 if settings.quick else 1
    report = Report("12. Crowds", ["", "calls", "MB grown", "KB each", "longest stall, ms"])
    with LocalServer() as server:
        for what, name, count in (
            ("in flight", OURS_FAST, _IN_FLIGHT),
            ("in flight", AIOHTTP, _IN_FLIGHT),
            ("video.wait", OURS_FAST, _WAITS),
            ("created at once, 1,000 permits", OURS_FAST, _CREATED),
        ):
            function = {"in flight": "measure_in_flight", "video.wait": "measure_waits"}.get(what, "measure_created")
            found: Crowd = call_once("crowds", function, name=name, origin=server.origin, count=count // scale)
            each = found["grown_mb"] * 1e3 / (count // scale)
            report.row(f"{what}: {name}", f"{count // scale:,}", found["grown_mb"], each, found["stall_ms"])
            report.data[f"{what}: {name}"] = found
            if what.startswith("created"):
                report.check(f"{count // scale:,} created at once: longest stall", found["stall_ms"], "≤", 2_000, "ms")
    ours, theirs = (report.data[f"in flight: {name}"]["grown_mb"] for name in (OURS_FAST, AIOHTTP))
    report.check("memory of calls in flight / aiohttp's", ours / theirs, "≤", 1)
    report.notes.append("MB grown: the process's memory above what it had before, with all of them under way.")
    return [report]


def measure_in_flight(name: str, origin: str, count: int) -> Crowd:
    """In a process of its own: calls that are not answered."""

    async def run() -> Crowd:
        async with PEERS[name](origin, 1) as call:
            await call()
        async with PEERS[name](f"{origin}/hang", count) as call:
            return await _measure(call, count)

    return asyncio.run(run())


def measure_waits(name: str, origin: str, count: int) -> Crowd:
    """In a process of its own: waits for tasks that are never ready."""

    async def run() -> Crowd:
        async with make_client(origin, 100, fast=True) as client:
            await client.models.list()
            return await _measure(lambda: client.video.wait("task_0", deadline=600), count)

    return asyncio.run(run())


def measure_created(name: str, origin: str, count: int) -> Crowd:
    """In a process of its own: far more calls than permits."""

    async def run() -> Crowd:
        async with make_client(origin, _PERMITS, fast=True) as client:
            await client.models.list()
            return await _measure(lambda: client.chat.completions.create(model=MODEL, messages=MESSAGES), count)

    return asyncio.run(run())


async def _measure(call: Callable[[], Any], count: int) -> Crowd:
    stall = 0.0

    async def tick() -> None:
        nonlocal stall
        while True:
            began = time.perf_counter()
            await asyncio.sleep(_TICK)
            stall = max(stall, time.perf_counter() - began - _TICK)

    ticker = asyncio.create_task(tick())
    await asyncio.sleep(_TICK)
    gc.collect()
    before = rss()
    tasks = [asyncio.ensure_future(_as_coroutine(call)) for _ in range(count)]
    await asyncio.sleep(_SETTLE)
    grown = rss() - before
    ticker.cancel()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return {"grown_mb": grown / 1e6, "stall_ms": stall * 1e3}


def _as_coroutine(call: Callable[[], Any]) -> Coroutine[Any, Any, None]:
    async def run() -> None:
        await call()

    return run()
