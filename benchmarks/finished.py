"""A job that is done, run again: it should end at once."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

from .report import Report
from .settings import Settings

ROWS = 400
MOST_SECONDS = 1.0
"""By the goal."""


class Took(NamedTuple):
    """Seconds of a process, from its start to its end."""

    wall: float
    cpu: float


def run(settings: Settings) -> list[Report]:
    """The report."""
    from relaydance_async.sandbox import Sandbox, TaskPlan, TaskScript

    report = Report(f"A finished run of {ROWS} clips, run again: the whole process", ["", "seconds", "CPU, s"])
    plan = TaskPlan(default=TaskScript(queue=0.2, run=1))
    with Sandbox(time_scale=50, tasks=plan) as sandbox, tempfile.TemporaryDirectory() as folder:
        first = _time(folder, sandbox.base_url, sandbox.api_key)
        asked = sandbox.ledger.count()
        again = [_time(folder, sandbox.base_url, sandbox.api_key) for _ in range(settings.repeats)]
        if sandbox.ledger.count() != asked:
            raise RuntimeError("a finished run has asked for something")
    wall, cpu = median(took.wall for took in again), median(took.cpu for took in again)
    report.row("the first run", first.wall, first.cpu)
    report.row("the same again", wall, cpu)
    report.check("a finished run, CPU", cpu, "≤", MOST_SECONDS, "s")
    report.data["seconds"] = {"wall": wall, "cpu": cpu}
    return [report]


def _time(folder: str, url: str, key: str) -> Took:
    environ = {**os.environ, "RELAYDANCE_BASE_URL": url, "RELAYDANCE_API_KEY": key}
    before, began = os.times(), time.perf_counter()
    subprocess.run([sys.executable, "-m", __name__, folder], env=environ, check=True)
    took, after = time.perf_counter() - began, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Took(took, cpu)


async def _job(folder: Path) -> None:
    from relaydance_async import AsyncRelayDance, SqliteJournal, fan_out

    async with SqliteJournal(folder / "run.db") as journal:
        client = AsyncRelayDance(journal=journal)

        async def make_clip(row: int) -> Path:
            task = await client.video.generate(
                model="grok-imagine-video", prompt=f"Row {row}", idempotency_key=f"row-{row}"
            )
            return await client.video.download(task, folder / f"{row}.mp4")

        async with client, fan_out(make_clip, range(ROWS), in_flight=200) as outcomes:
            async for outcome in outcomes:
                assert outcome.value.exists()


if __name__ == "__main__":
    asyncio.run(_job(Path(sys.argv[1])))
