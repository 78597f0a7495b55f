"""Point 4: streamed completions."""

from __future__ import annotations

import asyncio
import gc
import time
from statistics import median
from typing import Any

from .children import Children, in_turns, medians
from .machine import rss
from .ours import OURS, OURS_FAST
from .payloads import CHUNK_BYTES
from .peers import OPENAI, OPENAI_AIOHTTP
from .report import Report
from .server import LocalServer
from .settings import Settings
from .streams import BARE_AIOHTTP, BARE_HTTPX, STREAMERS

Results = dict[str, dict[str, float]]

_FIRST_CHUNKS = 200
_LONG = 100_000
_FASTER = 1.04
"""Beside a bare parser over aiohttp: 1.3 times the 0.8 that was asked of our client while it stood on aiohttp."""
_SAME_TRANSPORT = {OURS: BARE_HTTPX, OURS_FAST: BARE_AIOHTTP}


def run(settings: Settings) -> list[Report]:
    """The report of point 4."""
    count = 5_000 if settings.quick else 20_000
    with LocalServer() as server, Children() as children:

        def measure(name: str) -> dict[str, float] | None:
            return children.call(name, "stream", "measure", name=name, origin=server.origin, count=count)

        found = {name: medians(each) for name, each in in_turns(STREAMERS, settings.repeats, measure).items()}
        for name in set(found) & set(_SAME_TRANSPORT):
            grown = children.call(name, "stream", "measure_memory", name=name, origin=server.origin)
            found[name]["grown_mb"] = float("nan") if grown is None else grown
    return [_report(found)]


def _report(found: Results) -> Report:
    header = ["", "chunks/s of CPU", "64 KiB pieces", "first chunk, ms", f"MB grown in {_LONG:,}"]
    report = Report(f"4. Streams of {CHUNK_BYTES}-byte chunks", header)
    for name, each in found.items():
        report.row(
            name, each["per_second"], each["bulk_per_second"], each["first_ms"], each.get("grown_mb", float("nan"))
        )
    for ours, bare in _SAME_TRANSPORT.items():
        if ours in found:
            _check(report, found, ours, bare)
    report.notes.append(
        "chunks/s of CPU: chunks for each second of the client's CPU time, each chunk in a piece of its own of the "
        "chunked encoding, as a gateway flushes them. 64 KiB pieces: the same events, many to a piece. First chunk: "
        "median time from the call."
    )
    report.data = {"streams": found}
    return report


def _check(report: Report, found: Results, ours: str, bare: str) -> None:
    mine = found[ours]
    openai = {OPENAI: 10, OPENAI_AIOHTTP: 10} if ours == OURS_FAST else {OPENAI: 4}
    for peer, goal in {**openai, bare: _FASTER if ours == OURS_FAST else 0.8}.items():
        if peer in found:
            report.check(
                f"{ours} / {peer}: chunks per second", mine["per_second"] / found[peer]["per_second"], "≥", goal
            )
    if bare in found:
        report.check(
            f"{ours}: 64 KiB pieces / {bare}", mine["bulk_per_second"] / found[bare]["bulk_per_second"], "≥", 0.8
        )
        report.check(
            f"{ours}: first chunk, later than {bare}", mine["first_ms"] - found[bare]["first_ms"], "≤", 1, "ms"
        )
    report.check(f"{ours}: memory grown over {_LONG:,} chunks", mine["grown_mb"], "≤", 2, "MB")


def measure(name: str, origin: str, count: int) -> dict[str, float]:
    """In a process of its own: chunks per second of CPU, and the delay of the first chunk."""

    async def run() -> dict[str, float]:
        await _chunks_per_second(name, f"{origin}/stream-500")
        return {
            "per_second": await _chunks_per_second(name, f"{origin}/stream-{count}"),
            "bulk_per_second": await _chunks_per_second(name, f"{origin}/bulk-{count}"),
            "first_ms": await _first_chunk(name, f"{origin}/stream-2"),
        }

    return asyncio.run(run())


async def _chunks_per_second(name: str, origin: str) -> float:
    async with STREAMERS[name](origin) as stream:
        gc.collect()
        cpu = time.process_time()
        count = await _drain(stream())
        return count / (time.process_time() - cpu)


async def _drain(chunks: Any) -> int:
    count = 0
    async for _ in chunks:
        count += 1
    return count


async def _first_chunk(name: str, origin: str) -> float:
    took: list[float] = []
    async with STREAMERS[name](origin) as stream:
        for _ in range(_FIRST_CHUNKS):
            began = time.perf_counter()
            chunks = stream()
            await anext(chunks)
            took.append(time.perf_counter() - began)
            await _drain(chunks)
    return median(took) * 1e3


def measure_memory(name: str, origin: str) -> float:
    """In a process of its own: MB by which it grows while it reads a long stream, after the first tenth of it."""

    async def run() -> float:
        async with STREAMERS[name](f"{origin}/stream-{_LONG}") as stream:
            count, before, most = 0, 0, 0
            async for _ in stream():
                count += 1
                if count == _LONG // 10:
                    before = rss()
                if count % 1_000 == 0:
                    most = max(most, rss())
            return (most - before) / 1e6

    return asyncio.run(run())
