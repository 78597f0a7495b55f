"""Runs rows and prints the table."""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable
from dataclasses import dataclass

from .clients import Ours
from .rows import Row, rows
from .world import Client, World


@dataclass
class Result:
    """What one run of a row gave."""

    share: float
    refused: float
    late: float
    most: int
    fair: float
    p50: float
    p99: float
    is_met: bool
    over: float
    states: str = ""


def run(row: Row, seed: int, make: Callable[[], Client] | None = None) -> tuple[Result, World]:
    chance = random.Random(seed * 7919)
    server = row.server(chance)
    world = World(
        seed, server, [make() if make else Ours(processes=row.told) for _ in range(row.processes)], row.load()
    ).run(row.seconds)
    begin = row.after
    accepted: float = sum(at >= begin for p in world.processes for at in p.count.accepted)
    refused = sum(len(p.count.refused) for p in world.processes)
    all_accepted = sum(len(p.count.accepted) for p in world.processes)
    ideal = server.meter.ideal(begin, row.seconds)
    if row.offered is not None:
        offered = row.offered * (row.seconds - begin)
        if row.check == "offered":
            offered *= 1 - server.noise(0)
        ideal = min(ideal, offered)
    if row.check == "offered":
        # 99 % of (1 - noise) x offered means: of first attempts and repeats what is not refused
        accepted = min(accepted, ideal)
    share = accepted / ideal if ideal else 1.0
    total = refused + all_accepted
    over = max(0.0, refused - row.learning - row.window) / max(1, total)
    late_refused = sum(at >= row.seconds / 2 for p in world.processes for at in p.count.refused)
    late_accepted = sum(at >= row.seconds / 2 for p in world.processes for at in p.count.accepted)
    late = late_refused / max(1, late_refused + late_accepted)
    each = sorted(len(p.count.accepted) for p in world.processes)
    waits = sorted(wait for p in world.processes for _, wait in p.count.waits)
    p50, p99 = (waits[len(waits) // 2], waits[int(len(waits) * 0.99)]) if waits else (0.0, 0.0)
    if row.check == "leave":
        p50, p99 = waits[99], waits[1999]
        met = p50 <= 0.2 and p99 <= 0.55
    elif row.check == "under way":
        levels = [(at, n) for at, n in world.processes[0].count.under_way if at > 10]
        least, back = min(n for _, n in levels), max((n for at, n in levels if at <= 15.35), default=0)
        share, p50 = back / 100, least
        met = back >= 80 and least >= 25
    elif row.check == "waits":
        met = p50 < 1e-3 and p99 <= 1.2
    else:
        met = share >= row.share and over <= row.refused and each[-1] <= row.fair * max(1, each[0])
    states = " ".join(getattr(getattr(p.client, "state", None), "name", "") for p in world.processes[:2])
    most = max(p.count.most_refused for p in world.processes)
    return Result(
        share, refused / max(1, total), late, most, each[-1] / max(1, each[0]), p50, p99, met, over, states
    ), world


def main(seeds: int, only: str) -> None:
    met = 0
    chosen = [row for row in rows() if only in f"{row.group}: {row.name}"]
    for row in chosen:
        results = [run(row, seed)[0] for seed in range(1, seeds + 1)]
        shares = [r.share for r in results]
        good = all(r.is_met for r in results)
        met += good
        share = f"{min(shares):5.0%} {statistics.median(shares):5.0%} of {row.share:4.0%}"
        over = f"{max(r.over for r in results):4.0%} of {row.refused:4.0%}"
        refused = f"{statistics.median(r.refused for r in results):4.0%} max {max(r.refused for r in results):4.0%}"
        waits = f"p50 {max(r.p50 for r in results):.2f} p99 {max(r.p99 for r in results):.2f}"
        rest = f"late {max(r.late for r in results):4.0%} most {max(r.most for r in results)}"
        fair = f"fastest/slowest {max(r.fair for r in results):4.1f}"
        states = "|".join(r.states[:14] for r in results)
        name = f"{row.group}: {row.name}"
        mark = "ok" if good else "--"
        print(f"{mark} {name:48} {share}  over {over} refused {refused} {rest} {fair} {waits} {states}", flush=True)
    print(met, "of", len(chosen))
