"""Processes that share their limits over a store: in virtual time, with round trips, deaths and outages of the store.

The processes are the client's own gates, and the store does what the client's own rule says.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from relaydance_async._limits._gate import Gate
from relaydance_async._sansio.key_wide import KeyWide
from relaydance_async._sansio.limiter import NUMBERS, Limiter
from relaydance_async._sansio.sharing import EVERY, Grant, Kept, Part, Report, exchange

from .clients import Gated
from .rows import NEAR, Build, always, around, at_once, bucket, changing, exactly, fixed, log, refusing, serving
from .servers import Server, UnderWay
from .world import Backlog, Process, World

_ROUND_TRIP = (0.0005, 0.003)
"""Seconds that the store takes each way."""
_NEVER = (1e9, 1e9)
_STALLS = 0.1
"""Share of the time that a busy machine has no core for a process, about."""
_APART = sum(NEAR)
"""Seconds from the end of a call to the next one there."""

Exchange = Callable[[Report, float], Grant]
"""What the store does with a report, at a time."""


@dataclass
class SharedRow:
    """One row.

    Attributes:
        name: of it.
        server: builds it, of the chance.
        processes: that share.
        crowd: calls at once, of each.
        seconds: of the world.
        after: seconds of learning, and of a change; from then on it counts.
        share: of the ideal, at least.
        refused: of the attempts, at most.
        dies_at: when the first process is killed.
        gone: from and to when the store doesn't answer.
        begins: seconds in which the processes begin, one after another.
    """

    name: str
    server: Callable[[random.Random], Server]
    processes: int
    crowd: int
    seconds: float
    after: float
    share: float = 0.93
    refused: float = 0.03
    dies_at: float = _NEVER[0]
    gone: tuple[float, float] = _NEVER
    begins: float = 0.0


@dataclass
class SharedResult:
    """What one run gave: together, and the most of one process by the least."""

    share: float
    refused: float
    learning: float
    fair: float


class Sharer(Gated):
    """A process: its gate, with its part of the shared limit."""

    def __init__(self, number: int) -> None:
        limiter = Limiter(NUMBERS)
        self.part = Part("limit", f"p{number}", limiter, lambda part: None)
        self.is_dead = False
        super().__init__(Gate("calls", limiter, KeyWide(NUMBERS), (), self.part))

    def delay(self, now: float) -> float:
        return 1e9 if self.is_dead else super().delay(now)


class Sharing:
    """Renews the leases of all processes of a world."""

    def __init__(self, world: World, row: SharedRow, store: Exchange) -> None:
        self._world, self._gone, self._store = world, row.gone, store
        for process in world.processes:
            self._later(world.chance.uniform(0, EVERY), process)
        world.after(row.dies_at, lambda: self._kill(world.processes[0]))

    def _kill(self, process: Process) -> None:
        _sharer(process).is_dead = True
        process.queue.clear()

    def _later(self, seconds: float, process: Process) -> None:
        self._world.after(seconds, lambda: self._renew(process))

    def _renew(self, process: Process) -> None:
        world, sharer = self._world, _sharer(process)
        if sharer.is_dead:
            return
        if world.now < process.stalled_until:
            self._later(process.stalled_until - world.now, process)
            return
        self._later(EVERY, process)
        if self._gone[0] <= world.now < self._gone[1]:
            return
        asked_at, report = world.now, sharer.part.report(world.now)

        def arrive() -> None:
            grant = self._store(report, world.now)
            world.after(world.chance.uniform(*_ROUND_TRIP), lambda: back(grant))

        def back(grant: Grant) -> None:
            if world.now < process.stalled_until:
                world.after(process.stalled_until - world.now, lambda: back(grant))
                return
            sharer.part.granted(grant, asked_at)
            process.pump()

        world.after(world.chance.uniform(*_ROUND_TRIP), arrive)


def _sharer(process: Process) -> Sharer:
    assert isinstance(process.client, Sharer)
    return process.client


def run(row: SharedRow, seed: int, store: Exchange | None = None) -> SharedResult:
    """One run; the store is that of the rule, or another."""
    server = row.server(random.Random(seed * 7919))
    world = World(
        seed, server, [Sharer(number) for number in range(row.processes)], Backlog(row.crowd, begins=row.begins)
    )
    kept = Kept()
    Sharing(world, row, store or (lambda report, now: exchange(kept, report, now)))
    world.run(row.seconds)
    accepted = [[at for at in process.count.accepted if at >= row.after] for process in world.processes]
    refused = sum(at >= row.after for process in world.processes for at in process.count.refused)
    total = sum(map(len, accepted))
    learned = sum(at < row.after for process in world.processes for at in process.count.accepted)
    each = sorted(map(len, accepted))
    return SharedResult(
        total / server.meter.ideal(row.after, row.seconds),
        refused / max(1, total + refused),
        learned / server.meter.ideal(0, row.after),
        each[-1] / max(1, each[0]),
    )


def rows() -> list[SharedRow]:
    """All of them."""
    return [*_steady(), *_busy(), *_troubled()]


def _steady() -> Iterator[SharedRow]:
    limits: list[tuple[str, Build, Build, float, float]] = [
        ("bucket 100/s", bucket(100, 20), bucket(100, 20), 0.05, 120),
        ("bucket 2/s", bucket(2, 2), bucket(2, 2), 0.05, 200),
        ("fixed 100 per 5 s", fixed(100, 5), fixed(100, 5), 0.05, 120),
        ("sliding 100 per 5 s", log(100, 5), log(100, 5), 0.05, 120),
        ("20 of 0.5 s", at_once(20, 0.5), lambda chance: UnderWay(20, 0.5, apart=_APART), 0.5, 120),
        ("10 of 5 s", at_once(10, 5), lambda chance: UnderWay(10, 5, apart=_APART), 5.0, 200),
    ]
    for name, build, build_near, latency, seconds in limits:
        for count in (4, 8):
            server = serving(build, latency=around(latency))
            yield SharedRow(f"{count} on {name}", server, count, 200, seconds, seconds / 4)
            few = f"{count} on {name}, {40 // count} calls at once each"
            yield SharedRow(few, server, count, 40 // count, seconds, seconds / 4)
            near = serving(build_near, latency=around(latency), network=NEAR, refusal=0.001)
            yield SharedRow(f"{few}, near", near, count, 40 // count, seconds, seconds / 4)


def _busy() -> Iterator[SharedRow]:
    """As in `benchmarks.limited`: the clients and the gateway stand still for a tenth of the time."""
    limits: list[tuple[str, Build, float]] = [
        ("bucket 20/s", bucket(20, 20), 0.05),
        ("fixed 100 per 5 s", fixed(100, 5), 0.05),
        ("sliding 100 per 5 s", log(100, 5), 0.05),
        ("10 of 0.5 s", lambda chance: UnderWay(10, 0.5, apart=_APART), 0.5),
    ]
    for name, build, latency in limits:
        for count in (4, 8):
            options = {"network": NEAR, "refusal": 0.001, "stalls": _STALLS, "slow": _STALLS}
            server = serving(build, latency=exactly(latency), **options)
            crowd = 40 // count
            yield SharedRow(
                f"{count} on {name}, {crowd} calls at once each, near and busy",
                server,
                count,
                crowd,
                80,
                20,
                begins=1.0,
            )


def _troubled() -> Iterator[SharedRow]:
    whole = serving(bucket(100, 20))
    yield SharedRow("4 on bucket 100/s, one dies", whole, 4, 200, 90, 65, dies_at=60)
    yield SharedRow("4 on bucket 100/s, no store for 15 s", whole, 4, 200, 120, 60, 0.85, 0.12, gone=(60, 75))
    noisy = serving(bucket(100, 20), noise=always(0.03))
    yield SharedRow("4 on bucket 100/s, 3 % at random", noisy, 4, 200, 120, 30, 0.85, 0.12)
    halved = serving(changing((0, bucket(100, 20)), (60, bucket(50, 10))))
    yield SharedRow("4 on bucket 100/s, halved", halved, 4, 200, 120, 65, 0.93, 0.14)
    doubled = serving(changing((0, bucket(50, 10)), (60, bucket(100, 20))))
    yield SharedRow("4 on bucket 50/s, doubled", doubled, 4, 200, 120, 90)
    out = serving(changing((0, bucket(50, 10)), (40, refusing), (55, bucket(50, 10))))
    yield SharedRow("4 on bucket 50/s, an outage", out, 4, 200, 120, 60, 0.90, 0.05)
