"""Models of one client: A is limited or always refused, and B is free and should not notice; or the key is limited."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from relaydance_async._limits._gate import Gate
from relaydance_async._sansio.key_wide import KeyWide
from relaydance_async._sansio.limiter import NUMBERS, Limiter

from .clients import Gated
from .servers import Free, Meter, Refusing, Server, SlidingLog, TokenBucket
from .shared import Sharer, Sharing, by_rule
from .world import Backlog, Call, Client, Process, World

ROWS = ("A limited to 2/s, B free", "A always refused, B free", "2 % of the calls for A, always refused")
OF_KEY: dict[str, tuple[int, Callable[[], Meter]]] = {
    "2 models, bucket of 20/s": (2, lambda: TokenBucket(20, 20)),
    "3 models, bucket of 20/s": (3, lambda: TokenBucket(20, 20)),
    "2 models, bucket of 100/s": (2, lambda: TokenBucket(100, 20)),
    "3 models, bucket of 100/s": (3, lambda: TokenBucket(100, 20)),
    "2 models, sliding 100 per 5 s": (2, lambda: SlidingLog(100, 5)),
}
"""Models that want as much as they get, and what the key is limited to."""

_B = 100.0
"""Calls a second for B."""


@dataclass
class ModelsResult:
    """Shares of what each model would get alone; and of A's attempts, what was refused."""

    share_of_b: float
    share_of_a: float
    refused_of_a: float


class _TwoModels:
    """So many calls a second for A and for B."""

    def __init__(self, rate_of_a: float) -> None:
        self._rates = (("A", rate_of_a), ("B", _B))

    def begin(self, world: World) -> None:
        processes = len(world.processes) // 2
        for process, (model, rate) in zip(world.processes, self._rates * processes, strict=True):
            self._next(world, process, model, processes / rate)

    def _next(self, world: World, process: Process, model: str, gap: float) -> None:
        later = gap * world.chance.uniform(0.5, 1.5)
        world.after(later, lambda: self._next(world, process, model, gap))
        process.offer(Call(model))

    def done(self, process: Process, call: Call) -> None:
        pass


def run(name: str, seed: int, seconds: float = 60.0, processes: int = 0) -> ModelsResult:
    """One run, of one process, or of some that share their limits."""
    meter: Meter = TokenBucket(2, 2) if "limited" in name else Refusing()
    wide = KeyWide(NUMBERS)
    sharers = [Sharer(number, (0, 1)) for number in range(processes)]
    clients: list[Client] = [gated for sharer in sharers for gated in sharer.gates]
    clients = clients or [Gated(Gate(("calls", model, False), Limiter(NUMBERS), wide, ())) for model in "AB"]
    load = _TwoModels(0.02 * _B if "2 %" in name else 5.0)
    world = World(random.Random(seed).randrange(10**6), Server(Free(), {"A": meter}), clients, load)
    Sharing(world, {one: world.processes[2 * i : 2 * i + 2] for i, one in enumerate(sharers)}, by_rule())
    world.run(seconds)
    a, b = ([process.count for process in world.processes[first::2]] for first in (0, 1))
    ideal = meter.ideal(0.0, seconds)
    accepted, refused = (sum(map(len, times)) for times in ([x.accepted for x in a], [x.refused for x in a]))
    return ModelsResult(
        sum(len(count.accepted) for count in b) / (_B * seconds),
        accepted / ideal if ideal else 1.0,
        refused / max(1, refused + accepted),
    )


@dataclass
class KeyResult:
    """What all models got together.

    Attributes:
        share: of the ideal.
        refused: of all attempts, but for the 25 that each model needs to find a limit.
        late: of the attempts in the second half.
        took_over: whether the key's limiter governs.
    """

    share: float
    refused: float
    late: float
    took_over: bool


def run_key(name: str, seed: int, seconds: float = 60.0) -> KeyResult:
    """One run of models that share one limit of the key."""
    models, build = OF_KEY[name]
    meter, wide = build(), KeyWide(NUMBERS)
    clients: list[Client] = [Gated(Gate(("calls", str(n), False), Limiter(NUMBERS), wide, ())) for n in range(models)]
    world = World(seed, Server(meter, permits=100), clients, Backlog(40)).run(seconds)
    accepted = [at for process in world.processes for at in process.count.accepted]
    refused = [at for process in world.processes for at in process.count.refused]
    late = [sum(at >= seconds / 2 for at in times) for times in (accepted, refused)]
    return KeyResult(
        len(accepted) / meter.ideal(0.0, seconds),
        max(0, len(refused) - 25 * models) / (len(accepted) + len(refused)),
        late[1] / max(1, sum(late)),
        wide.limiter is not None,
    )
