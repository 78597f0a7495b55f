"""Point 1: the CPU that a request costs, and how it grows with the number in flight (point 2)."""

from __future__ import annotations

import asyncio
import gc
import sys
import tracemalloc
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from .child import ChildError, call_once
from .children import Children, in_turns, medians
from .ours import OURS, OURS_FAST, make_client
from .payloads import MESSAGES, MODEL
from .peers import AIOHTTP, HTTPX, HTTPX2, OPENAI, OPENAI_AIOHTTP, PEERS
from .report import Report
from .server import LocalServer
from .settings import Settings

Loads = dict[str, dict[int, dict[str, float]]]

_IN_FLIGHT = (1, 10, 100, 1_000)
_MOST = 5_000
_TOO_SLOW = (HTTPX, HTTPX2, OPENAI, OPENAI_AIOHTTP)
"""Take minutes at 5,000 in flight: their cost for each request grows with the number, or, with fewer connections than
calls, some calls wait for ever while newer ones overtake them."""
_WAITING = 2_000
_TAIL_LENGTH = 5
"""How much longer than the cost: full passes of the garbage collector, of 30 ms, come every second or two."""
_GC_THRESHOLD = 50_000
"""Objects: what the documentation advises for thousands of calls in flight."""


def run(settings: Settings) -> list[Report]:
    """The reports of points 1 and 2."""
    with LocalServer() as server:
        loads = _measure_loads(settings, server.origin)
        tuned = _measure_tuned(settings, server.origin) if settings.full else {}
        tails = _measure_tails(settings, server.origin)
        waiting = {name: _bytes_per_waiting(name, server.origin) for name in (OURS, OURS_FAST) if name in loads}
    return [_report_cost(loads), _report_flatness(loads, tuned, tails, waiting)]


def _measure_loads(settings: Settings, origin: str) -> Loads:
    loads: Loads = {name: {} for name in PEERS}
    with Children() as children:
        for in_flight in (*_IN_FLIGHT, *([_MOST] if settings.full else [])):
            names = [name for name in PEERS if in_flight < _MOST or name not in _TOO_SLOW]
            for name, load in _measure_level(children, settings, origin, names, in_flight).items():
                loads[name][in_flight] = load
    return {name: levels for name, levels in loads.items() if levels}


def _measure_tuned(settings: Settings, origin: str) -> Loads:
    """The same with a garbage collector that looks less often."""
    loads: Loads = {name: {} for name in (OURS, OURS_FAST, AIOHTTP)}
    with Children() as children:
        for in_flight in (10, _MOST):
            found = _measure_level(children, settings, origin, loads, in_flight, gc_threshold=_GC_THRESHOLD)
            for name, load in found.items():
                loads[name][in_flight] = load
    return loads


def _measure_tails(settings: Settings, origin: str) -> dict[str, float]:
    """p99 / p50 at 100 in flight."""
    names, seconds = (OURS, OURS_FAST, AIOHTTP), _TAIL_LENGTH * settings.seconds
    with Children() as children:
        found = _measure_level(children, settings, origin, names, 100, seconds=seconds)
    return {name: load["p99_ms"] / load["p50_ms"] for name, load in found.items()}


def _measure_level(
    children: Children, settings: Settings, origin: str, names: Iterable[str], in_flight: int, **more: Any
) -> dict[str, dict[str, float]]:
    def measure(name: str) -> dict[str, float] | None:
        fixed = {"origin": origin, "in_flight": in_flight, "seconds": settings.seconds, **more}
        return children.call(name, "load", "measure_peer", peer=name, **fixed)

    return {name: medians(results) for name, results in in_turns(names, settings.repeats, measure).items()}


def _report_cost(loads: Loads) -> Report:
    levels = sorted({level for found in loads.values() for level in found})
    report = Report(
        "1. CPU per request (µs), and requests per second", ["in flight", *(f"{level:,}" for level in levels)]
    )
    for name, found in loads.items():
        cells = [
            f"{found[level]['cpu_us']:,.0f} ({found[level]['per_second']:,.0f}/s)" if level in found else "–"
            for level in levels
        ]
        report.row(name, *cells)
    _check_ratio(report, loads, OURS, OPENAI, {100: 0.45, 1_000: 0.2})
    _check_ratio(report, loads, OURS_FAST, AIOHTTP, dict.fromkeys(levels, 1.6))
    _check_ratio(report, loads, OURS_FAST, OPENAI_AIOHTTP, dict.fromkeys(levels, 0.25))
    report.data = {"loads": loads}
    return report


def _check_ratio(report: Report, loads: Loads, ours: str, peer: str, goals: dict[int, float]) -> None:
    for level, goal in goals.items():
        mine, theirs = loads.get(ours, {}).get(level), loads.get(peer, {}).get(level)
        if mine and theirs:
            report.check(f"{ours} / {peer}, {level:,} in flight", mine["cpu_us"] / theirs["cpu_us"], "≤", goal)


def _report_flatness(
    loads: Loads, tuned: Loads, tails: dict[str, float], waiting: dict[str, dict[str, float]]
) -> Report:
    report = Report(
        "2. Flat",
        [
            "",
            "CPU at most / at 10",
            "CPU at most, µs",
            "in the collector",
            "longest pause, ms",
            "p99 / p50 at 100",
            "KB queued",
            "KB in flight",
        ],
    )
    for name, found in loads.items():
        most = max(found)
        growth = _growth(found)
        tail = tails.get(name, float("nan"))
        kept = waiting.get(name, {"queued": float("nan"), "in_flight": float("nan")})
        report.row(name, growth, *_at_most(found), tail, kept["queued"] / 1024, kept["in_flight"] / 1024)
        if name in (OURS, OURS_FAST):
            report.check(f"{name}: CPU per request at {most:,} / at 10 in flight", growth, "≤", 1.25)
            report.check(f"{name}: p99 / p50 at 100 in flight", tail, "≤", 3)
            report.check(f"{name}: memory of a call that waits for its turn", kept["queued"] / 1024, "≤", 8, "KB")
    for name, found in tuned.items():
        if _MOST in found:
            report.row(f"{name}, gc.set_threshold({_GC_THRESHOLD:_})", _growth(found), *_at_most(found), "–", "–", "–")
    report.notes.append(
        "The collector is CPython's; its longest pass stops everything. At 10 in flight it never runs; with thousands "
        "it visits what each of them holds. Memory is what a call holds beyond a bare coroutine that waits "
        "(tracemalloc): queued for a permit, and sent."
    )
    report.data = {"waiting": waiting, "tuned": tuned, "tails": tails}
    return report


def _at_most(found: dict[int, dict[str, float]]) -> tuple[float, float, float]:
    load = found[max(found)]
    return load["cpu_us"], load["collector_us"], load["longest_pause_ms"]


def _growth(found: dict[int, dict[str, float]]) -> float:
    return found[max(found)]["cpu_us"] / found[10]["cpu_us"]


def _bytes_per_waiting(name: str, origin: str) -> dict[str, float]:
    try:
        return {
            state: call_once("requests", "measure_waiting", name=name, origin=origin, state=state)
            for state in ("queued", "in_flight")
        }
    except ChildError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return {"queued": float("nan"), "in_flight": float("nan")}


def measure_waiting(name: str, origin: str, state: str) -> float:
    """In a process of its own: the bytes that a waiting call holds beyond a bare coroutine's."""

    async def bare() -> None:
        await asyncio.get_running_loop().create_future()

    async def run() -> float:
        permits = _WAITING if state == "in_flight" else 10
        async with make_client(f"{origin}/hang", permits, fast=name == OURS_FAST) as client:

            async def call() -> None:
                await client.chat.completions.create(model=MODEL, messages=MESSAGES)

            await _bytes_each(call, 20)  # what is made once
            return await _bytes_each(call, _WAITING) - await _bytes_each(bare, _WAITING)

    return asyncio.run(run())


async def _bytes_each(call: Callable[[], Awaitable[Any]], count: int) -> float:
    gc.collect()
    tracemalloc.start()
    try:
        tasks = [asyncio.ensure_future(call()) for _ in range(count)]
        await asyncio.sleep(2)
        gc.collect()
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return held / count
