"""The rows of the table: a server, a load, how long, and what is to be reached."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from .servers import (
    Changing,
    FixedWindow,
    Free,
    Meter,
    Refusing,
    Server,
    SlidingCounter,
    SlidingLog,
    Together,
    TokenBucket,
    UnderWay,
)
from .world import Backlog, Load, Steady


@dataclass
class Row:
    """One row.

    Attributes:
        group: rows of one goal.
        name: of this one.
        server: builds it, of the chance.
        load: builds it.
        seconds: of the world.
        share: of the ideal, at least.
        refused: share of the attempts that may be refused; `learning` refusals and `window` refusals a window are free.
    """

    group: str
    name: str
    server: Callable[[random.Random], Server]
    seconds: float
    share: float = 0.0
    refused: float = 1.0
    learning: int = 0
    window: float = 0.0
    load: Callable[[], Load] = Backlog
    offered: float | None = None
    processes: int = 1
    after: float = 0.0
    check: str = "share"
    told: int = 1
    fair: float = float("inf")


NEAR = (0.0003, 0.0015)
"""Seconds each way on one machine."""

Build = Callable[[random.Random], Meter]
"""A limit, of the chance."""


def bucket(rate: float, burst: float) -> Build:
    return lambda chance: TokenBucket(rate, burst)


def fixed(calls: int, window: float) -> Build:
    return lambda chance: FixedWindow(calls, window, chance.uniform(0, window))


def log(calls: int, window: float, counts_refused: bool = False) -> Build:
    return lambda chance: SlidingLog(calls, window, counts_refused)


def at_once(calls: int, seconds: float, changed: tuple[float, int] | None = None) -> Build:
    return lambda chance: UnderWay(calls, seconds, changed)


def free(chance: random.Random) -> Meter:
    return Free()


def changing(*parts: tuple[float, Build]) -> Build:
    return lambda chance: Changing(*((at, build(chance)) for at, build in parts))


def refusing(chance: random.Random) -> Meter:
    return Refusing()


def serving(build: Build, **options: Any) -> Callable[[random.Random], Server]:
    """A server with that limit."""
    return lambda chance: Server(build(chance), **options)


def around(seconds: float) -> Callable[[random.Random], float]:
    return lambda chance: chance.uniform(0.9 * seconds, 1.1 * seconds)


def exactly(seconds: float) -> Callable[[random.Random], float]:
    return lambda chance: seconds


def always(share: float) -> Callable[[float], float]:
    return lambda now: share


def rows() -> list[Row]:
    """All of them."""
    return [*_buckets(), *_windows(), *_under_way(), *_near(), *_noise(), *_changes(), *_processes(), *_rest()]


def _buckets() -> Iterator[Row]:
    for rate, burst in ((2, 2), (10, 10), (20, 20), (100, 20), (1000, 100)):
        asked = ("absent", "exact", "rounded", "date", "zero", "short", "long") if rate == 20 else ("absent", "rounded")
        for ra in asked:
            server = serving(bucket(rate, burst), retry_after=ra)
            refused = 0.07 if rate == 2 else 0.05
            yield Row("bucket", f"{rate}/s, {ra}", server, 300 if rate <= 10 else 60, 0.95, refused, 25)
    # Half of 120 s is over before the first answers of 30 s are.
    yield Row("bucket", "20/s, 30 s answers", serving(bucket(20, 20), latency=around(30)), 120, 0.70, 0.05, 25)
    late = serving(bucket(20, 20), retry_after="15 s")
    yield Row("bucket, Retry-After 15 s", "20/s", late, 120, 0.88, 0.05, 25)


def _windows() -> Iterator[Row]:
    for kind, build in (("fixed", fixed), ("sliding", log)):
        for calls, window in ((20, 4), (100, 5), (60, 60), (500, 60)):
            seconds = max(75, 15 * window)
            for ra, share in (("rounded", 0.92), ("absent", 0.88)):
                group = "window, right Retry-After" if ra == "rounded" else "window, no Retry-After"
                server = serving(build(calls, window), retry_after=ra)
                # A crowd's pace × the round trip has left before the first refusal is back: a third of the window.
                learning, each = 25 + calls // 3, 1.5 * seconds / window
                yield Row(group, f"{kind} {calls} per {window} s", server, seconds, share, 0.0, learning, each)
    counting = serving(log(60, 30, counts_refused=True))
    yield Row("window, no Retry-After", "sliding 60 per 30 s, refused count", counting, 450, 0.88, 0.05, 45, 22)
    other = serving(lambda chance: SlidingCounter(100, 10))
    yield Row("window, no Retry-After", "counter 100 per 10 s", other, 150, 0.88, 0.05, 60, 22)
    long = serving(fixed(100, 300), retry_after="rounded")
    yield Row("window, right Retry-After", "fixed 100 per 300 s", long, 4500, 0.92, 0.05, 60, 22)
    short = serving(fixed(50, 1), retry_after="rounded")
    yield Row("window, right Retry-After", "fixed 50 per 1 s", short, 75, 0.88, 0.05, 60, 110)
    both = serving(lambda chance: Together(TokenBucket(10, 10), FixedWindow(300, 60)))
    yield Row("two at once", "10/s and 300 per 60 s", both, 300, 0.80, 0.30, 60, 22)
    used = serving(bucket(40, 20), others=20.0)
    yield Row("others use the key", "20/s of 40/s", used, 120, 0.0, 0.15, 25)


def _under_way() -> Iterator[Row]:
    for calls, seconds in ((10, 0.1), (10, 1.0), (100, 1.0), (20, 5.0), (20, 30.0)):
        server = serving(at_once(calls, seconds), latency=around(seconds))
        share, length = 0.85 if seconds < 0.15 else 0.90, min(600.0, max(60.0, 20 * seconds))
        yield Row("under way", f"{calls} of {seconds:g} s", server, length, share, 0.12)
    for calls in (2, 4):  # to find so few takes as many refusals as to find a hundred
        few = serving(at_once(calls, 1.0), latency=around(1.0))
        yield Row("under way", f"{calls} of 1 s", few, 120, 0.90, 0.12, 25)


def _near() -> Iterator[Row]:
    """As on real sockets of one machine: a short way, few callers of whom each waits for its answer, and a busy CPU."""
    limits: list[tuple[str, Build, float, float, int, float]] = [
        ("bucket 20/s", bucket(20, 20), 0.05, 0.05, 25, 0.0),
        ("fixed 100 per 5 s", fixed(100, 5), 0.05, 0.0, 58, 18.0),
        ("sliding 100 per 5 s", log(100, 5), 0.05, 0.0, 58, 18.0),
        ("10 of 0.5 s", lambda chance: UnderWay(10, 0.5, apart=0.002), 0.5, 0.12, 0, 0.0),
    ]
    for group, stalls in (("near", 0.0), ("near and busy", 0.2)):
        for name, build, latency, refused, learning, window in limits:
            server = serving(build, latency=exactly(latency), network=NEAR, refusal=0.001, permits=100, stalls=stalls)
            share = 0.95 if name.startswith("bucket") else 0.90 if name.startswith("10") and not stalls else 0.88
            yield Row(
                group, name, server, 60, share, refused, learning, window, load=lambda: Backlog(40)
            )  # fmt: skip


def _noise() -> Iterator[Row]:
    for text, share, goal in (("3 %", 0.03, 0.95), ("10 %", 0.10, 0.85)):
        yield Row("bucket and noise", f"20/s, {text}", serving(bucket(20, 20), noise=always(share)), 120, goal)
    busy = serving(at_once(20, 1), latency=around(1), noise=always(0.03))
    yield Row("under way and noise", "20 of 1 s, 3 %", busy, 120, 0.85)
    slow = serving(fixed(100, 5), refusal=0.4, permits=100)
    yield Row("slow refusals", "100 per 5 s, 0.4 s", slow, 300, 0.80, 0.20)
    for text, share in (("0.2 %", 0.002), ("1 %", 0.01), ("3 %", 0.03), ("20 %", 0.2)):
        server = serving(free, noise=always(share))
        yield Row(
            "chance, 800/s", text, server, 90, 0.99, load=lambda: Steady(800), offered=800, check="offered"
        )  # fmt: skip
    for text, share in (("10 %", 0.1), ("30 %", 0.3)):
        server = serving(free, noise=always(share), retry_after="rounded")
        yield Row("chance, 5/s", text, server, 300, load=lambda: Steady(5), check="waits")


def _changes() -> Iterator[Row]:
    changes: list[tuple[str, Build, float]] = [
        ("bucket 20 to 10", changing((0, bucket(20, 20)), (60, bucket(10, 10))), 5),
        ("bucket 20 to 40", changing((0, bucket(20, 20)), (60, bucket(40, 40))), 5),
        ("bucket 2 to 4", changing((0, bucket(2, 2)), (60, bucket(4, 4))), 40),
        ("window 100 to 200 per 5 s", changing((0, fixed(100, 5)), (60, fixed(200, 5))), 10),
        ("window 200 to 100 per 5 s", changing((0, fixed(200, 5)), (60, fixed(100, 5))), 10),
    ]
    for name, build, within in changes:
        yield Row("changes", name, serving(build), 80 + within, 0.80, after=60 + within, check="after")
    for before, then in ((40, 20), (20, 40)):
        server = serving(at_once(before, 1, (60, then)), latency=around(1))
        yield Row("changes", f"under way {before} to {then}", server, 90, 0.80, after=70, check="after")
    gone = serving(changing((0, bucket(20, 20)), (60, free)))
    yield Row(
        "changes", "bucket 20 gone, 100/s offered", gone, 85, 0.80,
        load=lambda: Steady(100), offered=100, after=65, check="after",
    )  # fmt: skip


def _processes() -> Iterator[Row]:
    sides: list[tuple[str, Build, float]] = [
        ("bucket 100/s", bucket(100, 20), 0.05),
        ("fixed 100 per 5 s", fixed(100, 5), 0.05),
        ("sliding 100 per 5 s", log(100, 5), 0.05),
        ("40 under way", at_once(40, 1), 1.0),
    ]
    for count in (2, 4, 8):
        for name, build, latency in sides:
            server = serving(build, latency=around(latency))
            fair = {2: 2.0, 4: 2.0, 8: 3.0}[count] if name.startswith("bucket") else float("inf")
            yield Row("processes", f"{count} on {name}", server, 120, 0.85, 0.30, processes=count, fair=fair)
            yield Row(
                "processes, told", f"{count} on {name}", server, 120, 0.85, 0.30, processes=count, told=count, fair=1.5
            )  # fmt: skip


def _rest() -> Iterator[Row]:
    out = serving(changing((0, refusing), (15, free)), retry_after="rounded")
    yield Row(
        "outage", "15 s of 429, then none", out, 40, 0.95, load=lambda: Steady(5), offered=5, after=19, check="after"
    )  # fmt: skip
    well = serving(changing((0, free), (20, refusing), (35, free)))
    yield Row(
        "outage", "the same, well before", well, 60, 0.95, load=lambda: Steady(50), offered=50, after=39, check="after"
    )  # fmt: skip
    overrun = serving(free, latency=around(1), permits=100, overload=(10, 10.35))
    yield Row("overload", "0.35 s amid 100 under way", overrun, 20, check="under way")
    yield Row("no limit", "2,000 at once", serving(free), 5, check="leave")
