"""Point 10: a request under other conditions: TLS, uvloop, all at once, a busy event loop, a process's first."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypedDict

from .child import ChildError, call_once
from .children import Children, in_turns, medians
from .ours import OURS_FAST
from .peers import AIOHTTP, FLOOR, PEERS, PYREQWEST
from .report import Report
from .server import LocalServer
from .settings import Settings

_LEVELS = (10, 100, 1_000)
_BUSY = 0.7
"""The share of its time that the event loop works when latency is measured."""
_WORKERS = 1_000
_TICK = 0.002


class Burst(TypedDict):
    """What many calls at once cost, their connections included."""

    cpu_us: float
    collector_share: float
    stall_ms: float
    """The longest by which a ticker of 2 ms came late."""


def run(settings: Settings) -> list[Report]:
    """The reports of point 10."""
    with TemporaryDirectory() as directory:
        authority, certificate = _issue(Path(directory))
        os.environ["SSL_CERT_FILE"] = str(authority)  # of the processes that measure
        try:
            with LocalServer() as plain, LocalServer(str(certificate)) as tls:
                ways: dict[tuple[str, str], dict[str, Any]] = {
                    (OURS_FAST, "asyncio"): {"origin": plain.origin},
                    (OURS_FAST, "uvloop"): {"origin": plain.origin, "uvloop": True},
                    (OURS_FAST, "TLS"): {"origin": tls.origin},
                    (AIOHTTP, "asyncio"): {"origin": plain.origin},
                    (AIOHTTP, "uvloop"): {"origin": plain.origin, "uvloop": True},
                    (AIOHTTP, "TLS"): {"origin": tls.origin},
                    (FLOOR, "asyncio"): {"origin": plain.origin},
                    (FLOOR, "uvloop"): {"origin": plain.origin, "uvloop": True},
                }
                return [_measure_ways(settings, ways), _measure_bursts(settings, plain.origin)]
        finally:
            del os.environ["SSL_CERT_FILE"]


def _issue(directory: Path) -> tuple[Path, Path]:
    import trustme

    authority, certificate = directory / "authority.pem", directory / "certificate.pem"
    issuer = trustme.CA()
    issuer.cert_pem.write_to_path(str(authority))
    issuer.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(certificate))
    return authority, certificate


def _measure_ways(settings: Settings, ways: dict[tuple[str, str], dict[str, Any]]) -> Report:
    named = {f"{peer}, {how}": (peer, arguments) for (peer, how), arguments in ways.items()}
    cost: dict[str, dict[int, float]] = {name: {} for name in named}
    with Children() as children:
        for level in _LEVELS:

            def measure(name: str, level: int = level) -> dict[str, float] | None:
                peer, more = named[name]
                more = {"peer": peer, "in_flight": level, "seconds": settings.seconds, **more}
                return children.call(name, "load", "measure_peer", **more)

            for name, each in in_turns(named, settings.repeats, measure).items():
                cost[name][level] = medians(each)["cpu_us"]
    report = Report("10. CPU per request (µs), other conditions", ["in flight", *(f"{level:,}" for level in _LEVELS)])
    for name, found in cost.items():
        report.row(name, *(found.get(level, float("nan")) for level in _LEVELS))
    uvloop_goals = {10: 1.0, 100: 0.95, 1_000: 0.95}
    for level in _LEVELS:
        _check(report, cost, f"{OURS_FAST}, TLS", f"{AIOHTTP}, TLS", level, 0.8)
        _check(report, cost, f"{OURS_FAST}, uvloop", f"{OURS_FAST}, asyncio", level, uvloop_goals[level])
    report.data = {"conditions": cost}
    return report


def _check(report: Report, cost: dict[str, dict[int, float]], ours: str, peer: str, level: int, goal: float) -> None:
    if level in cost[ours] and level in cost[peer]:
        report.check(f"{ours} / {peer}, {level:,} in flight", cost[ours][level] / cost[peer][level], "≤", goal)


def _measure_bursts(settings: Settings, origin: str) -> Report:
    count = 5_000 if settings.full else 1_000
    found: dict[str, dict[str, float]] = {}
    for name in (OURS_FAST, AIOHTTP, PYREQWEST):
        with suppress(ChildError):
            found[name] = medians(
                call_once("conditions", "measure_burst", peer=name, origin=origin, count=count)
                for _ in range(settings.repeats)
            )
            found[name] |= call_once("conditions", "measure_paced", peer=name, origin=origin, seconds=5)
            firsts = [call_once("conditions", "measure_first", peer=name, origin=origin) for _ in range(5)]
            found[name]["first_ms"] = sorted(firsts)[2]
    header = ["", "CPU per call, µs", "in the collector, %", "longest stall, ms", "p99 busy, ms", "first call, ms"]
    report = Report(f"11. {count:,} calls at once, connects included; a busy loop; the first call", header)
    for name, each in found.items():
        cells = (each[key] for key in ("cpu_us", "collector_share", "stall_ms", "p99_ms", "first_ms"))
        report.row(name, *cells)
    ours, aiohttp = found[OURS_FAST], found[AIOHTTP]
    report.check("CPU per call / aiohttp's", ours["cpu_us"] / aiohttp["cpu_us"], "≤", 0.6)
    report.check("the collector's share", ours["collector_share"], "≤", 15, "%")
    report.check("longest stall", ours["stall_ms"], "≤", 50, "ms")
    report.check("p99 with a busy loop / aiohttp's", ours["p99_ms"] / aiohttp["p99_ms"], "≤", 1)
    report.check("CPU of a process's first call", ours["first_ms"], "≤", 40, "ms")
    report.notes.append(
        f"p99 busy: {_WORKERS:,} callers that call at random times, at the rate that keeps each client's own loop "
        f"busy for {_BUSY:.0%} of the time. First call: after the import, with the making of the client."
    )
    report.data = {"bursts": found}
    return report


def measure_burst(peer: str, origin: str, count: int) -> Burst:
    """In a process of its own: so many calls at once, after a few that warm up."""

    async def run() -> Burst:
        async with PEERS[peer](origin, count) as call:
            for _ in range(50):
                await call()
            gc.collect()
            paused, began_pause, stall = 0.0, 0.0, 0.0

            def note(phase: str, _: object) -> None:
                nonlocal paused, began_pause
                if phase == "start":
                    began_pause = time.process_time()
                else:
                    paused += time.process_time() - began_pause

            async def tick() -> None:
                nonlocal stall
                while True:
                    began = time.perf_counter()
                    await asyncio.sleep(_TICK)
                    stall = max(stall, time.perf_counter() - began - _TICK)

            ticker = asyncio.create_task(tick())
            await asyncio.sleep(_TICK)
            gc.callbacks.append(note)
            cpu = time.process_time()
            await asyncio.gather(*(call() for _ in range(count)))
            cpu = time.process_time() - cpu
            gc.callbacks.remove(note)
            await asyncio.sleep(_TICK)  # the stall that ends with the last answer
            ticker.cancel()
            return {"cpu_us": cpu / count * 1e6, "collector_share": paused / cpu * 100, "stall_ms": stall * 1e3}

    return asyncio.run(run())


def measure_paced(peer: str, origin: str, seconds: float) -> dict[str, float]:
    """In a process of its own: the latency of calls at a rate that leaves the loop some time."""
    dice = random.Random(0)

    async def run() -> dict[str, float]:
        took: list[float] = []
        async with PEERS[peer](origin, _WORKERS) as call:
            cpu = time.process_time()
            for _ in range(20):
                await asyncio.gather(*(call() for _ in range(50)))
            between = _WORKERS * (time.process_time() - cpu) / 1_000 / _BUSY
            ends = time.perf_counter() + seconds

            async def worker() -> None:
                await asyncio.sleep(dice.uniform(0, between))
                while time.perf_counter() < ends:
                    began = time.perf_counter()
                    await call()
                    took.append(time.perf_counter() - began)
                    await asyncio.sleep(dice.uniform(0, 2 * between))

            await asyncio.gather(*(worker() for _ in range(_WORKERS)))
        return {"p99_ms": sorted(took)[int(len(took) * 0.99)] * 1e3}

    return asyncio.run(run())


_PACKAGES = {OURS_FAST: "relaydance_async", AIOHTTP: "aiohttp", PYREQWEST: "pyreqwest.client"}


def measure_first(peer: str, origin: str) -> float:
    """In a process of its own: milliseconds of CPU from the import to the end of the first call."""
    __import__(_PACKAGES[peer])

    async def run() -> float:
        cpu = time.process_time()
        async with PEERS[peer](origin, 10) as call:
            await call()
            return (time.process_time() - cpu) * 1e3

    return asyncio.run(run())
