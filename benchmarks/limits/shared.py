"""Processes that share their limits over a store: in virtual time, with round trips, deaths and outages of the store.

The processes are the client's own gates, and the store does what the client's own rule says.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from relaydance_async._limits._gate import Gate
from relaydance_async._sansio.key_wide import KeyWide
from relaydance_async._sansio.limiter import NUMBERS, Limiter, Sent, Verdict
from relaydance_async._sansio.sharing import EVERY, Grant, Kept, KeyPart, Part, Report, exchange

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
        models: of each process, that share the limit of the key.
        is_split: whether each process calls only one of them.
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
    models: int = 1
    is_split: bool = False


@dataclass
class SharedResult:
    """What one run gave: together, and the most of one process by the least."""

    share: float
    refused: float
    learning: float
    fair: float


class Sharer:
    """A process: its gates take turns, each with its part of a shared limit."""

    def __init__(self, number: int, models: Sequence[int] = (0,)) -> None:
        who, self._wide = f"p{number}", KeyWide(NUMBERS)
        self._wide.part = KeyPart("key", who, self._wide, lambda part: None)
        self.gates = [self._gate(f"a{model}", who) for model in models]
        self.is_dead = False

    def _gate(self, name: str, who: str) -> Gated:
        limiter = Limiter(NUMBERS)
        return Gated(Gate(("calls", name, False), limiter, self._wide, (), Part(name, who, limiter, lambda part: None)))

    @property
    def parts(self) -> list[Part]:
        own = [gated.gate.shared for gated in self.gates]
        return [part for part in (*own, self._wide.part) if part is not None]

    @property
    def rate(self) -> float | None:
        return self.gates[0].rate

    def delay(self, now: float) -> float:
        if self.is_dead:
            return 1e9
        delays = [gated.delay(now) for gated in self.gates]
        first = min(range(len(delays)), key=lambda i: max(0.0, delays[i]))
        self.gates = self.gates[first:] + self.gates[:first]
        return delays[first]

    def passed(self, now: float) -> tuple[Gated, Sent]:
        gated = self.gates.pop(0)
        self.gates.append(gated)
        return gated, gated.passed(now)

    def ended(self, sent: tuple[Gated, Sent], now: float, verdict: Verdict, retry_after: float | None = None) -> None:
        sent[0].ended(sent[1], now, verdict, retry_after)

    def backoff(self, refusals: int, retry_after: float | None, chance: random.Random) -> float | None:
        return self.gates[0].backoff(refusals, retry_after, chance)


class Sharing:
    """Renews the leases of all processes of a world: of each sharer, those whose calls it lets pass."""

    def __init__(
        self,
        world: World,
        sharers: Mapping[Sharer, Sequence[Process]],
        store: Exchange,
        gone: tuple[float, float] = _NEVER,
    ) -> None:
        self._world, self._sharers, self._store, self._gone = world, sharers, store, gone
        for sharer in sharers:
            self._later(world.chance.uniform(0, EVERY), sharer)

    def _later(self, seconds: float, sharer: Sharer) -> None:
        self._world.after(seconds, lambda: self._renew(sharer))

    def _wakes_at(self, sharer: Sharer) -> float:
        return max(process.stalled_until for process in self._sharers[sharer])

    def _renew(self, sharer: Sharer) -> None:
        world = self._world
        if sharer.is_dead:
            return
        if (wakes_at := self._wakes_at(sharer)) > world.now:
            self._later(wakes_at - world.now, sharer)
            return
        self._later(EVERY, sharer)
        if self._gone[0] <= world.now < self._gone[1]:
            return
        asked_at, parts = world.now, sharer.parts
        reports = [part.report(world.now) for part in parts]

        def arrive() -> None:
            grants = [self._store(report, world.now) for report in reports]
            world.after(world.chance.uniform(*_ROUND_TRIP), lambda: back(grants))

        def back(grants: list[Grant]) -> None:
            if (wakes_at := self._wakes_at(sharer)) > world.now:
                world.after(wakes_at - world.now, lambda: back(grants))
                return
            for part, grant in zip(parts, grants, strict=True):
                part.granted(grant, asked_at)
            for process in self._sharers[sharer]:
                process.pump()

        world.after(world.chance.uniform(*_ROUND_TRIP), arrive)


def by_rule() -> Exchange:
    """What the store does by the client's own rule."""
    kept: dict[str, Kept] = {}
    return lambda report, now: exchange(kept.setdefault(report.name, Kept()), report, now)


def run(row: SharedRow, seed: int, store: Exchange | None = None) -> SharedResult:
    """One run; the store is that of the rule, or another."""
    server = row.server(random.Random(seed * 7919))
    models = range(row.models)
    each = [[models[number % row.models]] if row.is_split else models for number in range(row.processes)]
    sharers = [Sharer(number, of) for number, of in enumerate(each)]
    world = World(seed, server, [*sharers], Backlog(row.crowd, begins=row.begins))
    Sharing(world, {one: [of] for one, of in zip(sharers, world.processes, strict=True)}, store or by_rule(), row.gone)
    world.after(row.dies_at, lambda: _kill(sharers[0], world.processes[0]))
    world.run(row.seconds)
    accepted = [[at for at in process.count.accepted if at >= row.after] for process in world.processes]
    refused = sum(at >= row.after for process in world.processes for at in process.count.refused)
    total = sum(map(len, accepted))
    learned = sum(at < row.after for process in world.processes for at in process.count.accepted)
    of_each = sorted(map(len, accepted))
    return SharedResult(
        total / server.meter.ideal(row.after, row.seconds),
        refused / max(1, total + refused),
        learned / server.meter.ideal(0, row.after),
        of_each[-1] / max(1, of_each[0]),
    )


def _kill(sharer: Sharer, process: Process) -> None:
    sharer.is_dead = True
    process.queue.clear()


def rows() -> list[SharedRow]:
    """All of them."""
    return [*_steady(), *_busy(), *_of_key(), *_troubled()]


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


def _of_key() -> Iterator[SharedRow]:
    """Models on one limit of the key."""
    limits = (
        ("bucket 100/s", bucket(100, 20)),
        ("fixed 100 per 5 s", fixed(100, 5)),
        ("sliding 100 per 5 s", log(100, 5)),
    )
    for name, build in limits:
        server = serving(build)
        for count in (4, 8):
            for models in (2, 3):
                yield SharedRow(f"{count} with {models} models on {name}", server, count, 200, 120, 30, models=models)
        yield SharedRow(f"4 on {name}, 2 models, one each", server, 4, 200, 120, 30, models=2, is_split=True)


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
