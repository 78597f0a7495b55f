"""A client before a sandbox, with time that passes as fast as it is asked for."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

from relaydance_async import AsyncRelayDance
from relaydance_async.sandbox import Sandbox
from tests.kit.clocks import QuickClock
from tests.kit.inside import make_client

CLIP: dict[str, Any] = {"model": "doubao-seedance-2-0-720p", "prompt": "a cat turns"}


class Bench:
    """Makes sandboxes and clients that end with the test."""

    def __init__(self, stack: AsyncExitStack, dialect: str, transport: str) -> None:
        self._stack = stack
        self.dialect = dialect
        self.transport = transport

    def sandbox(self, **options: Any) -> Sandbox:
        options.setdefault("dialect", self.dialect)
        return self._stack.enter_context(Sandbox(**options))

    def client(self, sandbox: Sandbox, *, pace: QuickClock | None = None, **options: Any) -> AsyncRelayDance:
        """A client of the sandbox; its waits are no real ones."""
        options.setdefault("base_url", sandbox.base_url)
        options.setdefault("transport", self.transport)
        options.setdefault("clock", (pace or QuickClock(jitter=None)).clock)
        client = make_client(sandbox.api_key, **options)
        self._stack.push_async_callback(client.aclose)
        return client

    def start(self, *, pace: QuickClock | None = None, **options: Any) -> tuple[Sandbox, AsyncRelayDance]:
        """A sandbox with these options, and a client of it."""
        sandbox = self.sandbox(**options)
        return sandbox, self.client(sandbox, pace=pace)

    def filming(self, **options: Any) -> tuple[Sandbox, AsyncRelayDance, QuickClock]:
        """A sandbox whose clock moves only when the client sleeps, and by as much."""
        sandbox = self.sandbox(time_scale=0, **options)
        pace = QuickClock(sandbox.clock.advance, jitter=None)
        return sandbox, self.client(sandbox, pace=pace), pace
