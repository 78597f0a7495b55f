"""Point 10: many calls that wait for their turn."""

from __future__ import annotations

import asyncio
import base64
import gc
import os
import sys
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

from .child import call_once
from .ours import make_client
from .payloads import MODEL
from .report import Report
from .server import LocalServer
from .settings import Settings

if TYPE_CHECKING:
    from relaydance_async import AsyncRelayDance

Start: TypeAlias = Callable[[], Coroutine[Any, Any, object]]

_IMAGE = 1_500_000
"""Bytes; base64 makes them 2 MB."""
_CHATS = 500
_AT_ONCE = 10

_QUEUED = "queued by the client"
_SEMAPHORE = "behind a semaphore of the caller's"


def run(settings: Settings) -> list[Report]:
    """The reports of point 10."""
    with LocalServer() as server:
        reports = [_report_calls(server.origin, 10_000 if settings.quick else 100_000)]
        if sys.platform == "linux":
            reports.append(_report_bodies(server.origin, _CHATS // 10 if settings.quick else _CHATS))
    return reports


def _report_calls(origin: str, count: int) -> Report:
    times = call_once("queued", "measure_times", origin=origin, count=count)
    held = call_once("queued", "measure_bytes", origin=origin, count=min(count, 20_000))
    report = Report(f"10a. {count:,} calls that wait for their turn", ["", "calling, s", "first turn, s", "bytes each"])
    for name in ("bare", "ours"):
        report.row(name, times[name]["calling"], times[name]["turn"], held[name])
    report.check("bytes of a queued call beyond a bare task", held["ours"] - held["bare"], "≤", 2_048, "B")
    report.check(f"first turn of {count:,}", times["ours"]["turn"], "≤", 2.5e-5 * count, "s")
    report.check("calling and first turn / a bare task's", _total(times["ours"]) / _total(times["bare"]), "≤", 25)
    report.notes.append(
        "A bare task awaits a future three coroutines deep, as a call that waits does. A call is checked and made into "
        "bytes when it is called; in the first turn of the event loop it takes its place in the line."
    )
    report.data = {"times": times, "held": held}
    return report


def _total(times: dict[str, float]) -> float:
    return times["calling"] + times["turn"]


def _report_bodies(origin: str, count: int) -> Report:
    found = {
        name: call_once("queued", "measure_peak", origin=origin, count=count, gated=name == _SEMAPHORE)
        for name in (_QUEUED, _SEMAPHORE)
    }
    report = Report(f"10b. {count} chats with an image of 2 MB, {_AT_ONCE} at once", ["", "peak of memory, MB"])
    for name, peak in found.items():
        report.row(name, peak)
    report.check("peak of memory above the start", found[_QUEUED], "≤", 100, "MB")
    report.check(f"{_QUEUED} / {_SEMAPHORE}", found[_QUEUED] / found[_SEMAPHORE], "≤", 1.5)
    report.data = {"peaks": found}
    return report


def measure_times(origin: str, count: int) -> dict[str, dict[str, float]]:
    """In a process of its own: seconds of CPU of the calling, and of the first turn of the loop."""

    async def run() -> dict[str, dict[str, float]]:
        async with _busy_client(origin) as client:
            starts = _starts(client)
            return {name: await _times(start, count) for name, start in starts.items()}

    return asyncio.run(run())


async def _times(start: Start, count: int) -> dict[str, float]:
    began = time.process_time()
    calls = [start() for _ in range(count)]
    called = time.process_time()
    tasks = [asyncio.ensure_future(call) for call in calls]
    ready = time.process_time()
    await asyncio.sleep(0)
    turned = time.process_time()
    await _cancel(tasks)
    return {"calling": called - began, "turn": turned - ready}


def measure_bytes(origin: str, count: int) -> dict[str, float]:
    """In a process of its own: the bytes of a task that waits."""

    async def run() -> dict[str, float]:
        async with _busy_client(origin) as client:
            starts = _starts(client)
            return {name: await _bytes_each(start, count) for name, start in starts.items()}

    return asyncio.run(run())


async def _bytes_each(start: Start, count: int) -> float:
    await _times(start, 20)  # what is made once
    gc.collect()
    tracemalloc.start()
    try:
        tasks = [asyncio.ensure_future(start()) for _ in range(count)]
        await asyncio.sleep(0)
        gc.collect()
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    await _cancel(tasks)
    return held / count


async def _cancel(tasks: list[asyncio.Task[object]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _starts(client: AsyncRelayDance) -> dict[str, Start]:
    return {"bare": _outer, "ours": lambda: client.video.submit(model=MODEL, prompt="A boat")}


async def _outer() -> None:
    await _middle()


async def _middle() -> None:
    await _inner()


async def _inner() -> None:
    await asyncio.get_running_loop().create_future()


@asynccontextmanager
async def _busy_client(origin: str) -> AsyncIterator[AsyncRelayDance]:
    """A client whose permits are all taken, by calls that are never answered."""
    async with make_client(f"{origin}/hang", 1, fast=True) as client:
        taken: list[asyncio.Task[object]] = [asyncio.ensure_future(_starts(client)["ours"]()) for _ in range(_AT_ONCE)]
        while not client._held().queued:  # noqa: ASYNC110  (nothing tells)
            await asyncio.sleep(0.01)
        yield client
        await _cancel(taken)


def measure_peak(origin: str, count: int, *, gated: bool) -> float:
    """In a process of its own: megabytes of memory at most, above those at the start. Linux only."""
    image = base64.b64encode(os.urandom(_IMAGE)).decode()
    part = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{image}"}}
    messages = [{"role": "user", "content": [part]}]

    async def run() -> float:
        client = make_client(origin, _AT_ONCE, fast=True)
        gate = asyncio.Semaphore(_AT_ONCE if gated else count)

        async def call() -> None:
            async with gate:
                await client.chat.completions.create(model=MODEL, messages=messages)

        async with client:
            await client.models.list()
            gc.collect()
            _reset_peak()
            before = _kilobytes("VmRSS")
            await asyncio.gather(*(call() for _ in range(count)))
            return (_kilobytes("VmHWM") - before) / 1e3

    return asyncio.run(run())


def _reset_peak() -> None:
    with open("/proc/self/clear_refs", "w") as refs:
        refs.write("5")


def _kilobytes(name: str) -> float:
    with open("/proc/self/status") as status:
        return next(float(line.split()[1]) for line in status if line.startswith(f"{name}:"))
