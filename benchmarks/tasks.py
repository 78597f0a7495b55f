"""Point 11: what `fan_out` costs above bare tasks, and what the two task groups would."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from .child import Child
from .report import Report
from .settings import Settings

_IN_FLIGHT = 5_000
_BARE = "bare tasks"
_WAYS = (_BARE, "asyncio.TaskGroup", "anyio's task group", "fan_out", "fan_out, ordered")
_OURS = ("fan_out", "fan_out, ordered")


def run(settings: Settings) -> list[Report]:
    """The reports of point 11."""
    return [_report_cost(settings), _report_many(settings)]


def _report_cost(settings: Settings) -> Report:
    items = 20_000 if settings.quick else 100_000
    report = Report(
        f"11a. {items:,} items that wait twice, {_IN_FLIGHT:,} in flight", ["CPU per item, µs", "asyncio", "uvloop"]
    )
    with Child() as child:
        found: dict[str, dict[str, float]] = {way: {"asyncio": 1e9, "uvloop": 1e9} for way in _WAYS}
        for _ in range(settings.repeats + 1):
            for way in _WAYS:
                for loop in _loops():
                    cost = child.call("tasks", "measure", way=way, loop=loop, items=items)
                    found[way][loop] = min(found[way][loop], cost)
    for way in _WAYS:
        report.row(way, *(found[way].get(loop, float("nan")) for loop in ("asyncio", "uvloop")))
    for way in _OURS:
        for loop in _loops():
            above = found[way][loop] - found[_BARE][loop]
            report.check(f"{way}, {loop}: above bare tasks", above, "≤", 20, "µs")
    report.notes.append("The lowest of several runs that take turns. The items are begun as places become free.")
    report.data = {"cost": found}
    return report


def _report_many(settings: Settings) -> Report:
    items = 100_000 if settings.quick else 1_000_000
    with Child() as child:
        few = child.call("tasks", "measure_memory", items=_IN_FLIGHT * 2)
        many = child.call("tasks", "measure_memory", items=items)
    report = Report(f"11b. {items:,} items that do nothing", ["", "seconds of CPU", "peak of memory, MB"])
    report.row(f"{_IN_FLIGHT * 2:,} items", few["seconds"], few["peak"])
    report.row(f"{items:,} items", many["seconds"], many["peak"])
    report.check("memory of many items above that of few", many["peak"] - few["peak"], "≤", 5, "MB")
    report.data = {"few": few, "many": many}
    return report


def _loops() -> tuple[str, ...]:
    return ("asyncio",) if sys.platform == "win32" else ("asyncio", "uvloop")


def measure(way: str, loop: str, items: int) -> float:
    """In a process of its own: µs of CPU for an item."""
    ways: dict[str, Callable[[int], Coroutine[Any, Any, None]]] = {
        _BARE: _bare,
        "asyncio.TaskGroup": _task_group,
        "anyio's task group": _anyio_group,
        "fan_out": _fan_out,
        "fan_out, ordered": _fan_out_ordered,
    }
    with asyncio.Runner(loop_factory=_factory(loop)) as runner:
        began = time.process_time()
        runner.run(ways[way](items))
        return (time.process_time() - began) / items * 1e6


def _factory(loop: str) -> Callable[[], asyncio.AbstractEventLoop]:
    if loop == "asyncio":
        return asyncio.new_event_loop
    import uvloop

    return uvloop.new_event_loop


async def _item(number: int) -> None:
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def _nothing(number: int) -> None:
    pass


async def _in_groups(items: int, group: Callable[[], Awaitable[None]]) -> None:
    for _ in range(items // _IN_FLIGHT):
        await group()


async def _bare(items: int) -> None:
    async def group() -> None:
        for task in [asyncio.ensure_future(_item(number)) for number in range(_IN_FLIGHT)]:
            await task

    await _in_groups(items, group)


async def _task_group(items: int) -> None:
    async def group() -> None:
        async with asyncio.TaskGroup() as tasks:
            for number in range(_IN_FLIGHT):
                tasks.create_task(_item(number))

    await _in_groups(items, group)


async def _anyio_group(items: int) -> None:
    import anyio

    async def group() -> None:
        async with anyio.create_task_group() as tasks:
            for number in range(_IN_FLIGHT):
                tasks.start_soon(_item, number)

    await _in_groups(items, group)


async def _fan_out(items: int) -> None:
    from relaydance_async import fan_out

    async with fan_out(_item, range(items), in_flight=_IN_FLIGHT) as outcomes:
        async for _ in outcomes:
            pass


async def _fan_out_ordered(items: int) -> None:
    from relaydance_async import fan_out

    async with fan_out(_item, range(items), in_flight=_IN_FLIGHT, ordered=True) as outcomes:
        async for _ in outcomes:
            pass


def measure_memory(items: int) -> dict[str, float]:
    """In a process of its own: seconds of CPU, and the peak of its memory so far in MB."""
    import resource

    from relaydance_async import fan_out

    async def play() -> None:
        async with fan_out(_nothing, range(items), in_flight=_IN_FLIGHT) as outcomes:
            async for _ in outcomes:
                pass

    began = time.process_time()
    asyncio.run(play())
    seconds = time.process_time() - began
    return {"seconds": seconds, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3}
