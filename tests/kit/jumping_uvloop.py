"""A loop of uvloop whose time can be put forward. Of its own module, for there is no uvloop on Windows."""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVarTuple

from tests.kit.clocks import Jumping

if TYPE_CHECKING:  # the stubs of uvloop differ from those of its own base class
    from asyncio import SelectorEventLoop as Loop
else:
    from uvloop import Loop

Ts = TypeVarTuple("Ts")


class _Timer:
    """What `call_at` gives: a timer that can be armed anew."""

    def __init__(self, when: float, run: Callable[[], object], loop: JumpingUvloop) -> None:
        self._when = when
        self._run = run
        self._loop = loop
        self._cancelled = False
        self.real: Any = None
        """uvloop's own, as armed last."""

    def when(self) -> float:
        return self._when

    def cancelled(self) -> bool:
        return self._cancelled

    def cancel(self) -> None:
        self._cancelled = True
        self._loop.forget(self)

    def fire(self) -> None:
        self._loop.forget(self)
        self._run()


class JumpingUvloop(Jumping, Loop):
    """libuv reads the clock itself, so this keeps a list of all timers, and arms them anew when time is skipped."""

    def __init__(self) -> None:
        self._skipped = 0.0
        self._timers: set[_Timer] = set()
        Loop.__init__(self)
        Jumping.__init__(self)

    def time(self) -> float:
        return Loop.time(self) + self._skipped

    def skip(self, seconds: float) -> None:
        self._skipped += seconds
        for timer in sorted(self._timers, key=_Timer.when):
            timer.real.cancel()
            self._arm(timer)

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> Any:
        runs_in = context if context is not None else contextvars.copy_context()
        timer = _Timer(when, lambda: runs_in.run(callback, *args), self)
        self._timers.add(timer)
        self._arm(timer)
        return timer

    def call_later(
        self,
        delay: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> Any:
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def forget(self, timer: _Timer) -> None:
        """It is over."""
        self._timers.discard(timer)
        timer.real.cancel()

    def _arm(self, timer: _Timer) -> None:
        left = timer.when() - self.time()
        # What is due runs in the order of its times, as in asyncio.
        timer.real = self.call_soon(timer.fire) if left <= 0 else Loop.call_later(self, left, timer.fire)
