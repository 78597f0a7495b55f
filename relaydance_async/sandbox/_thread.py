"""A background thread with an event loop of its own, so that a caller's loop may block, close or be cancelled."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager


class LoopThread:
    """Enters the context that `life` makes, on a loop of its own, and leaves it at `stop`."""

    def __init__(self, name: str, life: Callable[[], AbstractAsyncContextManager[None]]) -> None:
        self._life = life
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Returns once the context is entered; raises what kept it from that."""
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure

    def stop(self) -> None:
        """Returns once the thread has ended."""
        if self._stopping is not None:
            self.call(self._stopping.set)
        self._thread.join()

    def call(self, function: Callable[[], object]) -> None:
        """Run `function` on the loop and wait until it has run."""
        done = threading.Event()

        def run() -> None:
            try:
                function()
            finally:
                done.set()

        loop = self._loop
        if loop is None or threading.current_thread() is self._thread:
            function()
            return
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(run)
            while not done.wait(0.1) and self._thread.is_alive():
                pass

    def wait_for(self, work: Coroutine[None, None, object]) -> None:
        """Run `work` on the loop and wait until it is done; raises what it raises."""
        if self._loop is None:
            raise RuntimeError("the thread has not started")
        asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException as error:
            self._failure = error
        finally:
            self._ready.set()

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        async with self._life():
            self._ready.set()
            await self._stopping.wait()
