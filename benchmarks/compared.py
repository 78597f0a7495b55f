"""The simulator against real sockets: `python -m benchmarks.compared`.

Each policy that the sandbox and the simulator both have, with 40 calls at once of one process: what it gets of the
limit over sockets, and in virtual time with as short a way and a CPU that stands still as often.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
from dataclasses import dataclass

from relaydance_async.sandbox import RateLimit

from .limited import CROWD, OURS, Measured, Way, measure
from .limits.clients import Ours
from .limits.rows import NEAR, Build, bucket, exactly, fixed, log
from .limits.servers import Server, SlidingCounter, UnderWay
from .limits.world import Backlog, World

ALONE = Way("ours, 1 process", 1, OURS)
STALLS = 0.1
"""Share of the time that the machine of a benchmark has no core for a process, about."""


@dataclass(frozen=True)
class Policy:
    """One that both have.

    Attributes:
        limit: of the sandbox.
        build: the same in the simulator.
        says: what its 429s say there.
        rate: calls a second that it lets pass.
        latency: seconds that an answer takes.
    """

    limit: RateLimit
    build: Build
    says: str
    rate: float = 20.0
    latency: float = 0.05


def _of_bucket(retry_after: str | None, says: str) -> Policy:
    return Policy(RateLimit(20.0, 20, retry_after=retry_after), bucket(20, 20), says)


def _of_window(policy: str, build: Build, retry_after: str | None, says: str, window: float = 5) -> Policy:
    calls = round(20 * window)
    return Policy(RateLimit(policy=policy, limit=calls, window=window, retry_after=retry_after), build, says)  # type: ignore[arg-type]


POLICIES: dict[str, Policy] = {
    "bucket of 20/s, nothing said": _of_bucket(None, "absent"),
    "bucket of 20/s, whole seconds": _of_bucket("exact", "rounded"),
    "bucket of 20/s, milliseconds": _of_bucket("ms", "exact"),
    "bucket of 20/s, a date": _of_bucket("date", "date"),
    "bucket of 20/s, always 0": _of_bucket("0", "zero"),
    "bucket of 20/s, always 15 s": _of_bucket("15", "15 s"),
    "fixed, 100 per 5 s, nothing said": _of_window("fixed_window", fixed(100, 5), None, "absent"),
    "fixed, 100 per 5 s, whole seconds": _of_window("fixed_window", fixed(100, 5), "exact", "rounded"),
    "sliding, 100 per 5 s, nothing said": _of_window("sliding_log", log(100, 5), None, "absent"),
    "sliding, 100 per 5 s, whole seconds": _of_window("sliding_log", log(100, 5), "exact", "rounded"),
    "counter, 100 per 5 s, nothing said": _of_window(
        "sliding_counter", lambda chance: SlidingCounter(100, 5), None, "absent"
    ),
    "sliding, 100 per 5 s, refused count": Policy(
        RateLimit(policy="sliding_log", limit=100, window=5, retry_after=None, counts="all"),
        log(100, 5, counts_refused=True), "absent",
    ),
    "10 under way, 0.5 s each": Policy(
        RateLimit(policy="under_way", limit=10, retry_after=None), lambda chance: UnderWay(10, 0.5), "absent", 20.0, 0.5
    ),
}  # fmt: skip


def simulate(policy: Policy, seed: int, learn: float, seconds: float) -> Measured:
    """The same in virtual time."""
    world = World(seed, _served(policy, seed), [Ours()], Backlog(CROWD))
    count = world.run(learn + seconds).processes[0].count
    accepted, refused = (sum(at >= learn for at in times) for times in (count.accepted, count.refused))
    return Measured(accepted / (seconds * policy.rate), refused / max(1, accepted + refused), 0.0)


def _served(policy: Policy, seed: int) -> Server:
    return Server(
        policy.build(random.Random(seed)), retry_after=policy.says, latency=exactly(policy.latency),
        refusal=0.001, permits=100, network=NEAR, stalls=STALLS,
    )  # fmt: skip


async def main(chosen: list[str], learn: float, seconds: float, seeds: int) -> None:
    """The table."""
    print("| limit | on sockets (refused) | simulated, median (refused) | worst … best |")
    print("|---|---|---|---|")
    found = await asyncio.gather(
        *(measure(ALONE, p.limit, p.rate, p.latency, learn, seconds) for name, p in POLICIES.items() if name in chosen)
    )
    for name, real in zip(chosen, found, strict=True):
        runs = [simulate(POLICIES[name], seed, learn, seconds) for seed in range(1, seeds + 1)]
        shares, refused = [run.share for run in runs], [run.refused for run in runs]
        print(
            f"| {name} | {real.share:.0%} ({real.refused:.0%}) "
            f"| {statistics.median(shares):.0%} ({statistics.median(refused):.0%}) "
            f"| {min(shares):.0%} … {max(shares):.0%} |",
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="policies whose names hold this text")
    parser.add_argument("--learn", type=float, default=30.0, help="seconds")
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--seeds", type=int, default=10)
    given = parser.parse_args()
    asyncio.run(main([name for name in POLICIES if given.only in name], given.learn, given.seconds, given.seeds))
