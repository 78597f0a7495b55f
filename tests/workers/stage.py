"""A gateway, workers that are killed, and what has to be true in the end."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.request import urlopen

import anyio

from relaydance_async.journal import Journal
from relaydance_async.sandbox import Fault, FaultyProxy, RateLimit, Sandbox, TaskPlan, TaskScript
from tests.kit.guard import guarded
from tests.kit.routes import SUBMIT
from tests.processes.support import ROOT

CLIP_BYTES = 40_000
_SECONDS = 120.0
"""For all clips to be saved, after the last kill."""
_LATE = 0.5
"""Seconds after a kill in which the gateway may still take what was on the wire."""


class Load(NamedTuple):
    """How much is asked of a recipe.

    Attributes:
        clips: to be made.
        kills: how often a worker is killed.
        longest: seconds between two kills, at most.
    """

    clips: int
    kills: int
    longest: float


class Worker:
    """A program in a process group of its own, which can be killed and started again."""

    def __init__(self, command: list[str], folder: Path, environ: dict[str, str], listener: int | None) -> None:
        self._command = command
        self._folder = folder
        self._environ = environ
        self._files = [] if listener is None else [listener]
        self._life = ExitStack()
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start it, as if for the first time."""
        self.kill()
        log = self._life.enter_context((self._folder / "log.txt").open("ab"))
        self.process = process = subprocess.Popen(
            self._command,
            cwd=self._folder,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=self._files,
            start_new_session=True,
        )
        self._life.enter_context(guarded(process))

    @property
    def has_ended(self) -> bool:
        """Whether it is not running."""
        return self.process is None or self.process.poll() is not None

    def kill(self) -> None:
        """With all processes that it has started."""
        if self.process is not None and not self.has_ended:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(20)
        self._life.close()


class Stage:
    """A gateway that limits its callers, and the folder in which the workers live.

    Args:
        sandbox: is behind the proxy.
        prompts: of the accepted submits, by their number.
        folder: of the workers.
    """

    def __init__(self, sandbox: Sandbox, proxy: FaultyProxy, prompts: dict[int, str], folder: Path) -> None:
        self.sandbox: Sandbox = sandbox
        self.proxy: FaultyProxy = proxy
        self.folder: Path = folder
        self.on_the_wire: int = 0
        """Connections that were open at the kills."""
        self._prompts = prompts
        self._doubts: set[str] = set()
        self._dice = random.Random(1)
        self._workers = ExitStack()

    def start(self, *command: str, **environ: str) -> Worker:
        """A worker: `python` with these arguments."""
        return self._start(command, environ, None)

    def serve(self, app: str, listener: int, **environ: str) -> Worker:
        """A worker: uvicorn at this socket, which outlives it."""
        return self._start(("-m", "uvicorn", app, "--fd", str(listener)), environ, listener)

    def _start(self, command: tuple[str, ...], environ: dict[str, str], listener: int | None) -> Worker:
        given = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(self.folder), str(ROOT)]),
            "RELAYDANCE_BASE_URL": self.proxy.base_url,
            "RELAYDANCE_API_KEY": self.sandbox.api_key,
            **environ,
        }
        worker = Worker([sys.executable, *command], self.folder, given, listener)
        self._workers.callback(worker.kill)
        return worker

    def close(self) -> None:
        """End the workers."""
        self._workers.close()

    def saved(self) -> int:
        """How many clips there are."""
        return len(list(self.folder.glob("order-*.mp4")))

    def disturb(self, workers: list[Worker], load: Load) -> None:
        """Kill one after the other, at any moment of its work, and start it again."""
        self.wait_until(lambda: self.sandbox.ledger.count(SUBMIT) > 0)
        for _ in range(load.kills):
            time.sleep(self._dice.uniform(0.05, load.longest))
            worker = self._dice.choice(workers)
            self.on_the_wire += self.proxy.open_connections
            worker.start()

    def wait_until(self, is_true: Callable[[], bool]) -> None:
        ends = time.monotonic() + _SECONDS
        while not is_true():
            assert time.monotonic() < ends, (self.folder / "log.txt").read_text(errors="replace")[-4000:]
            time.sleep(0.05)

    async def finish(
        self, journal: Journal, clips: int, *, restarted: Iterable[Worker] = (), by_webhook: bool = False
    ) -> None:
        """Let the workers end their work, and decide meanwhile what is in doubt.

        Args:
            restarted: those that end when they have told of doubts.
            by_webhook: whether what was accepted is decided by its delivery, and only the rest by hand.
        """
        ends = time.monotonic() + _SECONDS
        while self.saved() < clips:
            assert time.monotonic() < ends, (self.folder / "log.txt").read_text(errors="replace")[-4000:]
            ended = [worker for worker in restarted if worker.has_ended]
            await self._decide(journal, by_webhook=by_webhook)
            for worker in ended:
                worker.start()
        self.close()
        await self._check(journal, clips)

    async def _decide(self, journal: Journal, *, by_webhook: bool) -> None:
        """What a person does with the console before him: say of each doubt whether it is a clip."""
        doubts = [entry.key async for entry in journal.entries(state="in doubt")]
        await anyio.sleep(_LATE)
        ids = self._accepted()
        for key in doubts:
            self._doubts.add(key)
            if (task_id := ids.get(prompt_of(key))) is None:
                await journal.release(key)
            elif not by_webhook:
                await journal.settle(key, task_id=task_id)

    def _accepted(self) -> dict[str, str]:
        """The ids of the tasks by their prompts."""
        with urlopen(f"{self.sandbox.root_url}/_sandbox/tasks") as answer:
            tasks: list[dict[str, Any]] = json.load(answer)["tasks"]
        return {self._prompts[task["n"]]: task["task_id"] for task in tasks}

    async def _check(self, journal: Journal, clips: int) -> None:
        """Each clip was paid for once, and is there and whole."""
        counted = Counter(self._prompts.values())
        assert {prompt: number for prompt, number in counted.items() if number > 1} == {}, "paid for twice"
        assert set(counted) == {prompt_of(order) for order in orders_of(clips)}
        assert self.sandbox.ledger.accepted(SUBMIT) == clips
        assert {path.stem for path in self.folder.glob("*.mp4")} == set(orders_of(clips))
        assert {path.stat().st_size for path in self.folder.glob("*.mp4")} == {CLIP_BYTES}
        assert {entry.state async for entry in journal.entries()} == {"accepted"}
        assert len(self._doubts) <= self.on_the_wire, "in doubt for nothing"


def orders_of(clips: int) -> list[str]:
    return [f"order-{number}" for number in range(clips)]


def prompt_of(order: str) -> str:
    return f"Clip for {order}"


@contextmanager
def staged(folder: Path) -> Generator[Stage]:
    prompts: dict[int, str] = {}

    def choose(number: int, body: dict[str, Any]) -> TaskScript:
        prompts[number] = body["prompt"]
        return TaskScript(queue=0.2, run=1)

    with (
        Sandbox(
            faults=[Fault(SUBMIT, delay=0.05), Fault(SUBMIT, status=503, probability=0.03)],
            tasks=TaskPlan(choose=choose),
            rate_limit=RateLimit(100),
            time_scale=2.0,
            clip_bytes=CLIP_BYTES,
        ) as sandbox,
        FaultyProxy(sandbox.root_url) as proxy,
    ):
        stage = Stage(sandbox, proxy, prompts, folder)
        try:
            yield stage
        finally:
            stage.close()
