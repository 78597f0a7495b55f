"""A steady load: so many calls in flight at all times."""

from __future__ import annotations

import asyncio
import gc
import time
from typing import TypedDict

from .peers import PEERS, Call

_SETTLE = 1.0
"""Seconds between the first answer of the slowest worker and the beginning of the measurement, at least. What a client
does only at its begin is over then: connections, caches, and our limiter's slow start, which takes half a second."""

_SETTLE_EACH = 0.001
"""The same for each worker: a client may make connections at a pace of its own, and the pool has to be complete."""

_WARMING = 500
"""First calls at once: with more connects at a time than the kernel queues, some wait many seconds for a repeat."""

_STEP = 0.25
_ROUNDS = 2
"""Calls of each worker that a measurement lasts, at least and on average: in less, starts and ends don't balance."""
_LONGEST = 20.0
"""Seconds; a peer that is slower than that is measured over what it managed."""


class Load(TypedDict):
    """What a steady load cost and gave."""

    cpu_us: float
    """CPU of this process for each call, microseconds."""
    per_second: float
    p50_ms: float
    p99_ms: float
    collector_us: float
    """Time in the garbage collector for each call, microseconds."""
    longest_pause_ms: float
    """The longest of its passes."""


def measure_peer(
    peer: str, origin: str, in_flight: int, seconds: float, gc_threshold: int | None = None, uvloop: bool = False
) -> Load:
    """In a process of its own; see `child`."""
    if gc_threshold is not None:
        gc.set_threshold(gc_threshold)

    async def run() -> Load:
        async with PEERS[peer](origin, in_flight) as call:
            return await measure(call, in_flight, seconds)

    with asyncio.Runner(loop_factory=_uvloop if uvloop else None) as runner:
        return runner.run(run())


def _uvloop() -> asyncio.AbstractEventLoop:
    import uvloop

    return uvloop.new_event_loop()


async def measure(call: Call, in_flight: int, seconds: float) -> Load:
    """Let that many workers call again and again; counted once each has had an answer."""
    took: list[float] = []
    warm = 0
    running = True
    all_warm = asyncio.Event()
    warming = asyncio.Semaphore(_WARMING)

    pauses = [0.0]
    paused_at = 0.0

    def note(phase: str, _: object) -> None:
        nonlocal paused_at
        if phase == "start":
            paused_at = time.perf_counter()
        else:
            pauses.append(time.perf_counter() - paused_at)

    async def worker() -> None:
        nonlocal warm
        async with warming:
            await call()
        warm += 1
        if warm == in_flight:
            all_warm.set()
        while running:
            began = time.perf_counter()
            await call()
            took.append(time.perf_counter() - began)

    async with asyncio.TaskGroup() as group:
        for _ in range(in_flight):
            group.create_task(worker())
        await all_warm.wait()
        await asyncio.sleep(max(_SETTLE, _SETTLE_EACH * in_flight))
        gc.collect()
        gc.callbacks.append(note)
        took.clear()
        began, cpu = time.perf_counter(), time.process_time()
        await asyncio.sleep(seconds)
        for _ in range(int(_LONGEST / _STEP)):
            if len(took) >= _ROUNDS * in_flight:
                break
            await asyncio.sleep(_STEP)
        elapsed, cpu = time.perf_counter() - began, time.process_time() - cpu
        gc.callbacks.remove(note)
        measured = sorted(took)
        running = False
    return {
        "cpu_us": cpu / len(measured) * 1e6,
        "per_second": len(measured) / elapsed,
        "p50_ms": measured[len(measured) // 2] * 1e3,
        "p99_ms": measured[int(len(measured) * 0.99)] * 1e3,
        "collector_us": sum(pauses) / len(measured) * 1e6,
        "longest_pause_ms": max(pauses) * 1e3,
    }
