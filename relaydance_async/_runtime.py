"""What belongs to one event loop in one process: the connections and the permits.

A client outlives a loop: it can be made at import time, used in one `asyncio.run` after another, in a loop per thread,
and after a fork. So nothing that is bound to a loop lies in the client itself; it lies here, found by the running loop.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

from ._limits import Permits
from ._transports import Transport

_abandoned: list[Runtime] = []
"""Runtimes of the parent process: their sockets are the parent's to close, so a child must never finalize them."""


class Runtime:
    """The transport and the permits of one loop."""

    def __init__(self, transport: Transport, permits: Permits) -> None:
        self.transport = transport
        self.permits = permits
        self._closer = _close_with_loop(transport)

    async def watch_loop(self) -> None:
        """Have the connections closed when the loop ends without `aclose()`."""
        await self._closer.__anext__()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._closer.aclose()
        await self.transport.aclose()


async def _close_with_loop(transport: Transport) -> AsyncGenerator[None, None]:
    # `asyncio.run` (and trio) closes the asynchronous generators that are still open while its loop still runs.
    try:
        yield
    finally:
        await transport.aclose()


class Runtimes:
    """Finds, or makes, the runtime of the running loop."""

    def __init__(self, build: Callable[[], Awaitable[Runtime]]) -> None:
        self._build = build
        self._lock = threading.Lock()
        self._by_loop: dict[Any, Runtime] = {}
        self._pid = os.getpid()

    def find(self) -> Runtime | None:
        """The running loop's, if it has been made."""
        return self._by_loop.get(_running_loop()) if self._pid == os.getpid() else None

    async def current(self) -> Runtime:
        """The running loop's, made if need be."""
        return self.find() or await self._make(_running_loop())

    async def _make(self, loop: Any) -> Runtime:
        built = (
            await self._build()
        )  # another task may be faster meanwhile; then this one, which opened nothing, is dropped
        with self._lock:
            if self._pid != os.getpid():
                _abandoned.extend(self._by_loop.values())
                self._by_loop = {}
                self._pid = os.getpid()
            self._by_loop = {loop: runtime for loop, runtime in self._by_loop.items() if not _is_closed(loop)}
            runtime = self._by_loop.get(loop)
            if runtime is not None:
                return runtime
            runtime = self._by_loop[loop] = built
        await runtime.watch_loop()
        return runtime

    async def aclose(self) -> None:
        """Close the running loop's connections; those of other loops close with their loops."""
        loop = _running_loop()
        with self._lock:
            runtime = self._by_loop.pop(loop, None)
        if runtime is not None:
            await runtime.aclose()


def _running_loop() -> Any:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        if "trio" not in sys.modules:  # whoever runs trio has imported it
            raise
    import trio.lowlevel

    return trio.lowlevel.current_trio_token()


def _is_closed(loop: Any) -> bool:
    return isinstance(loop, asyncio.AbstractEventLoop) and loop.is_closed()
