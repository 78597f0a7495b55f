"""The sandbox that the demo plays on, and everything in it that goes wrong on purpose."""

from __future__ import annotations

import json
import os
import random
import time
from collections import Counter
from collections.abc import AsyncGenerator, Generator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import Any
from urllib.request import ProxyHandler, build_opener, getproxies

import anyio
import anyio.to_thread

from .._config import Clock
from ._exits import CannotBeginError

SUBMIT = "POST /v1/video/generations"
POLL = "GET /v1/video/generations/{task_id}"
FAIL_REASON = "the upstream ran out of GPUs"
OUTAGE_SECONDS = 0.25
LATE_SECONDS = 0.2
_LEDGER_SECONDS = 10.0
# Below every system's range for outgoing connections: while nothing listens on the port, a connection attempt from the
# same port would connect to itself.
_PORTS = range(20_000, 30_000)


class Stage:
    """A sandbox behind a TCP proxy, `speed` times faster than real time. The seed chooses what goes wrong.

    Billed requests meet only what a client may safely repeat: refused connections, 429 and 5xx. What leaves open
    whether a request was accepted (resets, cut answers) is for polls and downloads.
    """

    def __init__(self, prompts: list[str], seed: int, *, speed: float = 1.0) -> None:
        self._prompts = prompts
        self._seed = seed
        self.speed: float = speed
        self.accepted: Counter[str] = Counter()
        """How often the gateway has accepted each prompt."""
        dice = random.Random(seed)
        chosen = dice.sample(prompts, min(2, len(prompts)))
        self.slow_prompt = chosen[0]
        self.failing_prompt = chosen[1] if len(chosen) > 1 else None
        self._broken: Counter[str] = Counter()
        """How often each fault of the proxy had fired when they were cleared."""
        self._life = ExitStack()

    def __enter__(self) -> Stage:
        try:
            from ..sandbox import ConnectionFault, RateLimit, Sandbox
        except ImportError as error:
            raise CannotBeginError(str(error)) from None
        self.sandbox = Sandbox(
            rate_limit=RateLimit(rate=150, burst=60, retry_after="1", real_time=True),
            faults=build_faults(),
            tasks=self._build_tasks(),
            time_scale=self.speed,
            seed=self._seed,
        )
        with ExitStack() as life:
            life.enter_context(_without_proxy())
            life.enter_context(self.sandbox)
            self._start_proxy()
            life.callback(self.proxy.stop)
            self._life = life.pop_all()
        # The first request of all: a GET.
        self.proxy.add(ConnectionFault("reset_before_request", at=(1,), per="request"))
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._life.close()

    def _build_tasks(self) -> Any:
        from ..sandbox import TaskPlan, TaskScript

        usual, slow = TaskScript(queue=0.5, run=2.5), TaskScript(queue=2.0, run=6.0)
        failing = TaskScript(queue=0.5, run=2.0, outcome="failed", reason=FAIL_REASON)

        def choose(number: int, body: dict[str, Any]) -> TaskScript:
            prompt: str = body["prompt"]
            self.accepted[prompt] += 1
            return slow if prompt == self.slow_prompt else failing if prompt == self.failing_prompt else usual

        return TaskPlan(choose=choose, jitter=0.3)

    def _start_proxy(self) -> None:
        from ..sandbox import FaultyProxy

        for port in random.sample(_PORTS, 50):
            proxy = FaultyProxy(self.sandbox.root_url, seed=self._seed, port=port)
            try:
                proxy.start()
            except OSError:
                continue
            self.proxy = proxy
            return
        raise CannotBeginError("no free port to listen on")

    @asynccontextmanager
    async def outage(self) -> AsyncGenerator[None]:
        """Begins with nobody listening: connections are refused for a moment, while the work inside goes on."""
        await anyio.to_thread.run_sync(self.proxy.stop)
        async with anyio.create_task_group() as group:
            group.start_soon(self._come_back)
            yield

    async def _come_back(self) -> None:
        await anyio.sleep(OUTAGE_SECONDS / self.speed)
        await anyio.to_thread.run_sync(self.proxy.start)

    def disturb_polls(self) -> None:
        """From now on connections break; to be called when only polls and downloads are left."""
        from ..sandbox import ConnectionFault

        for kind in ("reset_before_request", "reset_after_request", "reset_mid_headers"):
            self.proxy.add(ConnectionFault(kind, probability=0.01, per="request"))

    def answer_late(self) -> None:
        """From now on connections hold, and a submit is answered a moment after it was accepted.

        Who is killed in that moment knows nothing of it.
        """
        from ..sandbox import Fault

        self._broken.update(self.proxy.fired)
        self.proxy.clear()
        self.sandbox.faults.add(Fault(SUBMIT, delay=LATE_SECONDS))

    @property
    def clock(self) -> Clock:
        """For the client."""
        return clock_of(self.speed)

    def staged(self) -> dict[str, int]:
        """How often each thing has gone wrong on purpose."""
        return {"outage": 1, **self.sandbox.faults.fired, **(self._broken + Counter(self.proxy.fired))}

    async def read_ledger(self) -> dict[str, Any]:
        """The server's own account of what it was asked, over HTTP."""
        return await anyio.to_thread.run_sync(_get_json, f"{self.sandbox.root_url}/_sandbox/ledger")


def clock_of(speed: float) -> Clock:
    """Time that passes as fast as the sandbox's."""
    if speed == 1.0:
        return Clock()
    return Clock(monotonic=lambda: time.monotonic() * speed, sleep=lambda seconds: anyio.sleep(seconds / speed))


def build_faults() -> list[Any]:
    """What goes wrong in HTTP, beside the rate limit."""
    from ..sandbox import Fault

    return [
        Fault("POST /v1/files", status=500, body="empty", at=(1,)),
        Fault("POST /v1/chat/completions", status=502, body="html", at=(1,)),
        Fault("POST /v1/images/generations", status=500, code="do_request_failed", at=(1,)),
        Fault(SUBMIT, status=503, code="system_cpu_overloaded", at=(90,)),
        Fault(SUBMIT, status=502, body="empty", probability=0.03),
        Fault(SUBMIT, status=500, code="get_channel_failed", probability=0.03),
        Fault(POLL, status=500, code="fail_to_fetch_task", probability=0.02),
        Fault(POLL, status=504, body="html", probability=0.01),
        Fault("CDN /clips/{name}", status=503, body="html", probability=0.03),
        Fault("CDN /clips/{name}", cut_body_after=9_000, probability=0.05),
    ]


@contextmanager
def _without_proxy() -> Generator[None]:
    """Keep the sandbox out of the environment's proxies."""
    before = os.environ.get("no_proxy")
    os.environ["no_proxy"] = ",".join(filter(None, [getproxies().get("no"), "127.0.0.1"]))
    try:
        yield
    finally:
        if before is None:
            del os.environ["no_proxy"]
        else:
            os.environ["no_proxy"] = before


def _get_json(url: str) -> dict[str, Any]:
    with build_opener(ProxyHandler({})).open(url, timeout=_LEDGER_SECONDS) as answer:
        result: dict[str, Any] = json.load(answer)
    return result
