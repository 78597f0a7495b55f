"""A job that is killed amid its work, again and again: no clip is lost, none is paid for twice."""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from relaydance_async import AsyncRelayDance, PostgresJournal, SqliteJournal
from relaydance_async._config import Clock
from relaydance_async.journal._committed import CommittedJournal
from relaydance_async.sandbox import (
    ConnectionFault,
    Fault,
    FaultyProxy,
    RateLimit,
    Sandbox,
    TaskPlan,
    TaskScript,
)
from relaydance_async.webhooks import WebhookApp, WebhookReceiver
from tests.journal.job import SECRET
from tests.journal.support import keyed
from tests.kit.clocks import QuickClock
from tests.kit.postgres import postgres_server
from tests.kit.routes import CLIPS, FETCH, SUBMIT
from tests.processes.support import ROOT, environment
from tests.webhooks.support import serving

pytestmark = pytest.mark.anyio

FAULTS = (
    Fault(SUBMIT, status=503, probability=0.03),
    Fault(SUBMIT, status=502, stranger="nginx", after_accept=True, probability=0.01),
    Fault(SUBMIT, status=502, stranger="nginx", probability=0.01),
    Fault(SUBMIT, delay=0.02),
    Fault(FETCH, status=504, stranger="nginx", probability=0.02),
    Fault(CLIPS, cut_body_after=100, probability=0.05),
)
CLIP_BYTES = 40_000
BROKEN = (
    ConnectionFault("reset_after_request", per="request", probability=0.005),
    ConnectionFault("reset_mid_request", per="request", probability=0.005),
)


class Stage:
    """A gateway that limits its callers, and breaks; and a receiver of webhooks beside the job, with its journal."""

    def __init__(
        self, sandbox: Sandbox, proxy: FaultyProxy, prompts: list[str], hooks: str, folder: Path, dsn: str | None
    ) -> None:
        self.sandbox = sandbox
        self.proxy = proxy
        self.prompts = prompts
        """Of the accepted requests, once for each."""
        self.hooks = hooks
        self.folder = folder
        self.dsn = dsn
        self.dice = random.Random(1)
        self.on_the_wire = 0
        """Connections that were open at the kills."""

    async def run(self, first: int, last: int, seconds: float | None, processes: int = 1) -> list[list[str]]:
        """Run the job, and kill it so many seconds after it has begun; what each process has printed."""
        command = [sys.executable, "-m", "tests.journal.job", str(self.folder), self.proxy.base_url]
        command += [self.sandbox.api_key, self.hooks, str(first), str(last)]
        command += [self.dsn] if self.dsn is not None else []
        environ = environment(self.proxy.base_url, self.sandbox.api_key, "httpx")
        jobs = [
            await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, cwd=ROOT, env=environ)
            for _ in range(processes)
        ]
        for job in jobs:
            assert job.stdout is not None
            assert await job.stdout.readline() == b"begun\n"
        printed = [asyncio.ensure_future(self._read(job)) for job in jobs]
        if seconds is not None:
            await asyncio.wait(printed, timeout=seconds)
            self.on_the_wire += self.proxy.open_connections
            for job in jobs:
                if job.returncode is None:
                    job.kill()
        lines = [await one for one in printed]
        for job in jobs:
            await job.wait()
        return lines

    @property
    def broken(self) -> int:
        """How often a connection broke, or a stranger answered."""
        return sum(self.proxy.fired.values()) + self.sandbox.ledger.count(SUBMIT, status=502)

    async def _read(self, job: Any) -> list[str]:
        text: str = (await job.stdout.read()).decode()
        return text.splitlines()


@asynccontextmanager
async def staged(folder: Path, journal: CommittedJournal, dsn: str | None) -> AsyncGenerator[Stage]:
    prompts: list[str] = []

    def choose(number: int, body: dict[str, Any]) -> TaskScript:
        prompts.append(body["prompt"])
        return TaskScript(queue=0.2, run=1)

    with (
        Sandbox(
            faults=FAULTS,
            tasks=TaskPlan(choose=choose),
            rate_limit=RateLimit(150),
            time_scale=2.0,
            clip_bytes=CLIP_BYTES,
        ) as sandbox,
        FaultyProxy(sandbox.root_url, BROKEN) as proxy,
    ):
        client = AsyncRelayDance(sandbox.api_key, base_url=proxy.base_url, signed_answers=True)
        async with client, serving(WebhookApp(WebhookReceiver(client, secret=SECRET, journal=journal))) as hooks:
            yield Stage(sandbox, proxy, prompts, hooks, folder, dsn)


async def play(
    folder: Path, *, rows: int, kills: int, processes: int = 1, longest: float = 4.0, dsn: str | None = None
) -> None:
    made = SqliteJournal(folder / "run.db") if dsn is None else PostgresJournal(dsn)
    async with made as journal, staged(folder, journal, dsn) as stage:
        doubts: set[str] = set()
        for _ in range(kills):
            await stage.run(0, rows, stage.dice.uniform(0.2, longest), processes)
            doubts |= {entry.key async for entry in journal.entries(state="in doubt")}
        # Only what was on the wire, at a kill or when something broke.
        assert len(doubts) <= stage.on_the_wire + stage.broken, "in doubt for nothing"
        last = (await stage.run(0, rows, None))[0]
        assert last[-1] == "end"
        # What strangers and broken connections have left open may be decided now: by the deliveries, which are late.
        errors = [line for line in last if line.startswith("error")]
        for _ in range(3):
            last = (await stage.run(0, rows, None))[0]
            errors = [line for line in last if line.startswith("error")]
            if not errors:
                break
        assert errors == []
        await check(stage, journal, rows)


async def check(stage: Stage, journal: CommittedJournal, rows: int) -> None:
    counted = Counter(stage.prompts)
    assert {prompt: number for prompt, number in counted.items() if number > 1} == {}, "paid for twice"
    doubts = {entry.key async for entry in journal.entries(state="in doubt")}
    states = Counter([entry.state async for entry in journal.entries()])
    # Each clip is saved and whole, or in doubt.
    saved = {path.stem for path in stage.folder.glob("*.mp4")}
    assert saved == {str(row) for row in range(rows) if f"row-{row}" not in doubts}
    for path in stage.folder.glob("*.mp4"):
        assert path.stat().st_size == CLIP_BYTES
    # None that was accepted is in doubt for good: its delivery has decided it.
    assert {prompt for prompt in counted if f"row-{prompt.split()[1]}" in doubts} == set()
    assert set(states) <= {"accepted", "in doubt"}
    # The rest was never accepted, which the books can prove.
    await resolve(stage, journal, doubts)
    began = time.monotonic()
    (last,) = await stage.run(0, rows, None)
    took = time.monotonic() - began
    assert Counter(line.split()[0] for line in last) == {"saved": rows, "end": 1}
    assert set(Counter(stage.prompts).values()) == {1}
    assert len(stage.prompts) == rows
    count = stage.sandbox.ledger.count()
    (last,) = await stage.run(0, rows, None)
    assert Counter(line.split()[0] for line in last) == {"saved": rows, "end": 1}
    assert stage.sandbox.ledger.count() == count, f"a finished run asks for nothing (the one before took {took:.1f} s)"


async def resolve(stage: Stage, journal: CommittedJournal, doubts: set[str]) -> None:
    stage.sandbox.faults.clear()
    stage.proxy.clear()
    stage.sandbox.clock.advance(2000)
    clock = QuickClock()
    later = Clock(clock.monotonic, clock.sleep, clock.random, lambda: clock.now() + timedelta(seconds=2000))
    async with keyed(stage.sandbox, journal, base_url=stage.proxy.base_url, clock=later) as client:
        await client.images.generate(model="grok-imagine-image", prompt="later", idempotency_key="later")
        stage.sandbox.clock.advance(10)
        found = await client.resolve_doubts()
    assert {one.entry.key for one in found} == doubts
    assert {(one.entry.state, one.candidates) for one in found} <= {("refused", ())}, [one.why for one in found]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no such kills")
async def test_a_job_that_is_killed_three_times(tmp_path: Path) -> None:
    await play(tmp_path, rows=120, kills=3, longest=2.0)


@pytest.mark.torture
async def test_a_job_of_400_rows_that_is_killed_30_times(tmp_path: Path) -> None:
    await play(tmp_path, rows=400, kills=30)


@pytest.mark.torture
async def test_four_processes_on_the_same_rows_that_are_killed_10_times(tmp_path: Path) -> None:
    await play(tmp_path, rows=400, kills=10, processes=4)


async def test_two_processes_with_postgresql_that_are_killed_twice(tmp_path: Path) -> None:
    with postgres_server() as server:
        await play(tmp_path, rows=30, kills=2, processes=2, longest=1.0, dsn=server.dsn())


@pytest.mark.torture
async def test_four_processes_with_postgresql_on_the_same_rows_that_are_killed_30_times(tmp_path: Path) -> None:
    with postgres_server() as server:
        await play(tmp_path, rows=400, kills=30, processes=4, dsn=server.dsn())
