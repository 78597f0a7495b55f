"""Each call is cancelled at each of its steps, in every way; nothing is left behind, and nothing is paid twice.

A short slice runs with the ordinary tests; `nox -s torture` runs all of it.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from relaydance_async import AsyncRelayDance
from relaydance_async._call import receive
from relaydance_async._sansio.decode import decode_result
from relaydance_async.resources import _upload
from relaydance_async.resources.download import part
from relaydance_async.sandbox import Sandbox, TaskPlan, TaskScript
from tests.kit.clocks import QuickClock
from tests.kit.inside import make_client
from tests.kit.probe import held
from tests.kit.routes import EDITS
from tests.kit.waiting import open_files
from tests.torture.cancel_scenarios import CLIP_BYTES, SCENARIOS, Scenario, Stage
from tests.torture.stepping import (
    MANNERS,
    Manner,
    Outcome,
    Selects,
)

pytestmark = pytest.mark.anyio


async def eventually(look: Callable[[], object], wanted: object, label: str) -> None:
    """What another thread or the loop still has to do."""
    ends = time.monotonic() + 5
    while (found := look()) != wanted:
        assert time.monotonic() < ends, f"{label}: {found} instead of {wanted}"
        await anyio.sleep(0.001)


async def check_at_rest(client: AsyncRelayDance, label: str) -> None:
    now = await held(client)
    assert (now.permits, now.queued, now.tasks) == (0, 0, 0), label


COLD = ("task", "late", "twice", "again and again", "move_on_after", "asyncio.timeout")
WARM = ("late", "again and again", "scope")
ALL = [(manner, False) for manner in COLD] + [(manner, True) for manner in WARM]


class Sweep:
    """Cancels one call at its first step, then at its second, until it has no more steps; each time with a new client.

    Args:
        warm: whether the client has a connection already.
    """

    def __init__(self, sandbox: Sandbox, transport: str, folder: Path, scenario: Scenario) -> None:
        self._sandbox = sandbox
        self._transport = transport
        self._folder = folder
        self._scenario = scenario
        self.decoded: list[Any] = []
        self.problems: list[object] = []
        self.steps = 0
        self._tasks: set[asyncio.Task[Any]] = set()
        self._files = 0

    async def run(self, name: str, *, warm: bool) -> int:
        """All steps in one manner.

        Returns:
            How many there were.
        """
        manner, choose = MANNERS[name]
        for at in count(1):
            label = f"{name} {at} {'warm' if warm else 'cold'}"
            if not (await self._step(manner, choose(at), label, warm=warm)).interrupted:
                return at - 1
            assert self.problems == [], label
        raise AssertionError("unreachable")

    async def _step(self, manner: Manner, selects: Selects, label: str, *, warm: bool) -> Outcome:
        self.steps += 1
        self._sandbox.faults.clear()
        folder = self._folder / label
        folder.mkdir()
        async with self._client() as client:
            stage = Stage(self._sandbox, client, folder, label, self.decoded)
            if warm:
                await client.models.list()
            await self._scenario.prepare(stage)
            self.decoded.clear()
            outcome = await manner(self._called(stage), selects)
            stage.finished = True
            await asyncio.gather(*stage.background)
            await check_at_rest(client, label)
            await eventually(asyncio.all_tasks, self._tasks, label)
            await self._scenario.check(stage, outcome)
            await client.models.list()
            await check_at_rest(client, label)
            assert (await held(client)).connections <= self._scenario.origins + len(stage.background), label
        await eventually(open_files, self._files, label)
        return outcome

    async def _called(self, stage: Stage) -> Any:
        return await self._scenario.call(stage)

    def _client(self) -> AsyncRelayDance:
        async def advance(seconds: float) -> None:
            for _ in range(2):  # so that others come in between
                await anyio.lowlevel.checkpoint()
            self._sandbox.clock.advance(seconds)

        return make_client(
            self._sandbox.api_key,
            base_url=self._sandbox.base_url,
            transport=self._transport,
            clock=QuickClock(advance, jitter=0.5).clock,
            **self._scenario.options,
        )

    def _decode(self, *arguments: Any) -> Any:
        self.decoded.append(decode_result(*arguments))
        return self.decoded[-1]

    @asynccontextmanager
    async def watched(self, patch: pytest.MonkeyPatch) -> AsyncGenerator[None, None]:
        """Collect what the loop, the interpreter and the client say meanwhile."""
        self._tasks, self._files = asyncio.all_tasks(), open_files()
        loop = asyncio.get_running_loop()
        handler = loop.get_exception_handler()
        loop.set_exception_handler(lambda loop, context: self.problems.append(context))
        patch.setattr(receive, "decode_result", self._decode)
        patch.setattr(_upload, "PIECE", 8 * 1024)
        patch.setattr(part, "WRITE_BYTES", CLIP_BYTES * 2 // 3)  # once in a thread, and once at the end
        # Warnings are errors, and those of a finalizer come here: "unclosed socket", "never awaited".
        patch.setattr(sys, "unraisablehook", self.problems.append)
        try:
            yield
            gc.collect()
            await eventually(open_files, self._files, "at the end")
            assert self.problems == []
        finally:
            loop.set_exception_handler(handler)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    tasks = TaskPlan(default=TaskScript(queue=0, run=1))  # so that a wait asks twice
    with Sandbox(time_scale=0, clip_bytes=CLIP_BYTES, tasks=tasks) as running:
        yield running


async def check_sweep(sandbox: Sandbox, sweep: Sweep, manners: list[tuple[str, bool]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        async with sweep.watched(patch):
            for manner, warm in manners:
                assert await sweep.run(manner, warm=warm) >= 1
    # What each step sends is its own: accepted twice, it would be a duplicate.
    assert sandbox.ledger.duplicates() == 0
    assert sandbox.ledger.accepted(EDITS) <= sweep.steps  # their bodies all differ


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("transport", ["httpx", "direct"])
async def test_cancelled_at_any_of_its_steps_a_call_leaves_nothing(
    sandbox: Sandbox, transport: str, name: str, tmp_path: Path
) -> None:
    await check_sweep(sandbox, Sweep(sandbox, transport, tmp_path, SCENARIOS[name]), [("task", False)])


@pytest.mark.torture
@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("transport", ["httpx", "direct"])
async def test_cancelled_in_any_manner_at_any_of_its_steps_a_call_leaves_nothing(
    sandbox: Sandbox, transport: str, name: str, tmp_path: Path
) -> None:
    await check_sweep(sandbox, Sweep(sandbox, transport, tmp_path, SCENARIOS[name]), ALL)
