"""The rows of the table: a server, a load, how long, and what is to be reached."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .servers import (
    Changing,
    FixedWindow,
    Free,
    Refusing,
    Server,
    SlidingCounter,
    SlidingLog,
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
    latency: float = 0.05
    after: float = 0.0
    check: str = "share"
    told: int = 1
    fair: float = float("inf")


def fixed(n: int, window: float) -> Callable[[random.Random], Any]:
    return lambda chance: FixedWindow(n, window, chance.uniform(0, window))


def log(n: int, window: float) -> Callable[[random.Random], Any]:
    return lambda chance: SlidingLog(n, window)


def around(seconds: float) -> Callable[[random.Random], float]:
    return lambda chance: chance.uniform(0.9 * seconds, 1.1 * seconds)


def rows() -> list[Row]:
    """All of them."""
    out: list[Row] = []
    for rate, burst in ((2, 2), (10, 10), (20, 20), (100, 20), (1000, 100)):
        seconds = 300 if rate <= 10 else 60
        for ra in ("absent", "exact", "rounded", "date", "zero", "long") if rate == 20 else ("absent", "rounded"):
            out.append(
                Row(
                    "bucket",
                    f"{rate}/s, {ra}",
                    lambda c, r=rate, b=burst, ra=ra: Server(TokenBucket(r, b), retry_after=ra),
                    seconds,
                    0.95,
                    0.07 if rate == 2 else 0.05,
                    25,
                )
            )
    out.append(
        Row(
            "bucket",
            "20/s, 30 s answers",
            lambda c: Server(TokenBucket(20, 20), latency=around(30)),
            120,
            0.70,
            0.05,
            25,
        )
    )
    out.append(
        Row(
            "bucket, Retry-After 15 s",
            "20/s",
            lambda c: Server(TokenBucket(20, 20), retry_after="15 s"),
            120,
            0.88,
            0.05,
            25,
        )
    )
    for kind, build in (("fixed", fixed), ("sliding", log)):
        for n, window in ((20, 4), (100, 5), (60, 60), (500, 60)):
            seconds = max(75, 15 * window)
            for ra in ("rounded", "absent"):
                group = "window, right Retry-After" if ra == "rounded" else "window, no Retry-After"
                out.append(
                    Row(
                        group,
                        f"{kind} {n} per {window} s",
                        lambda c, b=build(n, window), ra=ra: Server(b(c), retry_after=ra),
                        seconds,
                        0.92 if ra == "rounded" else 0.88,
                        0.0,
                        25 + n // 3,
                        1.5 * seconds / window,
                    )
                )
    out.append(
        Row(
            "window, no Retry-After",
            "counter 100 per 10 s",
            lambda c: Server(SlidingCounter(100, 10)),
            150,
            0.88,
            0.05,
            60,
            22,
        )
    )
    for n, seconds in ((10, 0.1), (10, 1.0), (100, 1.0), (20, 5.0), (20, 30.0)):
        out.append(
            Row(
                "under way",
                f"{n} of {seconds:g} s",
                lambda c, n=n, s=seconds: Server(UnderWay(n, s), latency=around(s)),
                min(600, max(60, 20 * seconds)),
                0.85 if seconds < 0.15 else 0.90,
                0.12,
                latency=seconds,
            )
        )
    out.append(
        Row("bucket and noise", "20/s, 3 %", lambda c: Server(TokenBucket(20, 20), noise=lambda now: 0.03), 120, 0.95)
    )
    out.append(
        Row("bucket and noise", "20/s, 10 %", lambda c: Server(TokenBucket(20, 20), noise=lambda now: 0.10), 120, 0.85)
    )
    out.append(
        Row(
            "under way and noise",
            "20 of 1 s, 3 %",
            lambda c: Server(UnderWay(20, 1), latency=around(1), noise=lambda now: 0.03),
            120,
            0.85,
        )
    )
    out.append(
        Row(
            "slow refusals",
            "100 per 5 s, 0.4 s",
            lambda c: Server(fixed(100, 5)(c), refusal=0.4, permits=100),
            300,
            0.80,
            0.20,
        )
    )
    for name, share in (("0.2", 0.002), ("1", 0.01), ("3", 0.03), ("20", 0.2)):
        out.append(
            Row(
                "chance, 800/s",
                f"{name} %",
                lambda c, p=share: Server(Free(), noise=lambda now: p),
                90,
                0.99,
                load=lambda: Steady(800),
                offered=800,
                check="offered",
            )
        )
    for name, share in (("10", 0.1), ("30", 0.3)):
        out.append(
            Row(
                "chance, 5/s",
                f"{name} %",
                lambda c, p=share: Server(Free(), noise=lambda now: p, retry_after="rounded"),
                300,
                0.0,
                load=lambda: Steady(5),
                check="waits",
            )
        )
    changes: list[tuple[str, Callable[[random.Random], Any], float]] = [
        ("bucket 20 to 10", lambda c: Changing((0, TokenBucket(20, 20)), (60, TokenBucket(10, 10))), 5),
        ("bucket 20 to 40", lambda c: Changing((0, TokenBucket(20, 20)), (60, TokenBucket(40, 40))), 5),
        ("bucket 2 to 4", lambda c: Changing((0, TokenBucket(2, 2)), (60, TokenBucket(4, 4))), 40),
        ("window 100 to 200 per 5 s", lambda c: Changing((0, FixedWindow(100, 5)), (60, FixedWindow(200, 5))), 10),
        ("window 200 to 100 per 5 s", lambda c: Changing((0, FixedWindow(200, 5)), (60, FixedWindow(100, 5))), 10),
    ]
    for name, meter, within in changes:
        out.append(
            Row(
                "changes",
                name,
                lambda c, m=meter: Server(m(c)),
                60 + within + 20,
                0.80,
                after=60 + within,
                check="after",
            )
        )
    for name, n1, n2 in (("under way 40 to 20", 40, 20), ("under way 20 to 40", 20, 40)):
        out.append(
            Row(
                "changes",
                name,
                lambda c, a=n1, b=n2: Server(UnderWay(a, 1, (60, b)), latency=around(1)),
                90,
                0.80,
                after=70,
                check="after",
            )
        )
    out.append(
        Row(
            "changes",
            "bucket 20 gone, 100/s offered",
            lambda c: Server(Changing((0, TokenBucket(20, 20)), (60, Free()))),
            85,
            0.80,
            load=lambda: Steady(100),
            offered=100,
            after=65,
            check="after",
        )
    )
    out.append(
        Row(
            "outage",
            "15 s of 429, then none",
            lambda c: Server(Changing((0, Refusing()), (15, Free())), retry_after="rounded"),
            40,
            0.95,
            load=lambda: Steady(5),
            offered=5,
            after=19,
            check="after",
        )
    )
    out.append(
        Row(
            "outage",
            "the same, well before",
            lambda c: Server(Changing((0, Free()), (20, Refusing()), (35, Free()))),
            60,
            0.95,
            load=lambda: Steady(50),
            offered=50,
            after=39,
            check="after",
        )
    )
    out.append(
        Row(
            "overload",
            "0.35 s amid 100 under way",
            lambda c: Server(Free(), latency=around(1), permits=100, overload=(10, 10.35)),
            20,
            check="under way",
        )
    )
    for k in (2, 4, 8):
        sides: list[tuple[str, Callable[[random.Random], Any], float]] = [
            ("bucket 100/s", lambda c: TokenBucket(100, 20), 0.05),
            ("fixed 100 per 5 s", fixed(100, 5), 0.05),
            ("sliding 100 per 5 s", log(100, 5), 0.05),
            ("40 under way", lambda c: UnderWay(40, 1), 1.0),
        ]
        for name, meter, latency in sides:
            out.append(
                Row(
                    "processes",
                    f"{k} on {name}",
                    lambda c, m=meter, s=latency: Server(m(c), latency=around(s)),
                    120,
                    0.85,
                    0.30,
                    processes=k,
                    latency=latency,
                )
            )
            out.append(
                Row(
                    "processes, told",
                    f"{k} on {name}",
                    lambda c, m=meter, s=latency: Server(m(c), latency=around(s)),
                    120,
                    0.85,
                    0.30,
                    processes=k,
                    latency=latency,
                    told=k,
                    fair=1.5,
                )
            )
    out.append(Row("no limit", "2,000 at once", lambda c: Server(Free()), 5, check="leave"))
    return out
