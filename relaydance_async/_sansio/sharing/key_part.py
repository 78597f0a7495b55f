"""The part of the whole key's limit that this process holds as a lease."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import islice

from ..key_wide import KeyWide
from .messages import Grant, Report
from .part import Part

_MOST = 50
"""Gates that a report tells of."""


class KeyPart(Part):
    """Of the limit of the whole key. While there is one, the key-wide limiter of the process is in charge, too.

    Args:
        name: of the limit, a hash.
        who: has it.
        wide: of the process.
        used: called when somebody asks to pass.
    """

    __slots__ = ("_gates", "_wide")

    def __init__(self, name: str, who: str, wide: KeyWide, used: Callable[[Part], None]) -> None:
        super().__init__(name, who, wide.own, used)
        self._wide = wide
        self._gates: dict[str, tuple[int, int]] = {}

    def delay(self, now: float) -> float:
        """Seconds until the next call may pass, if it is in charge."""
        delay, limiter = super().delay(now), self._wide.limiter
        if self._grant.kind == "scout" and limiter is not None:
            return limiter.delay(now)
        return delay

    def counts(self, gate: str, passed: int, refused: int) -> None:
        """Calls of a gate."""
        before = self._gates.get(gate, (0, 0))
        self._gates[gate] = before[0] + passed, before[1] + refused

    def report(self, now: float) -> Report:
        """What to ask for a lease with."""
        gates, self._gates = self._gates, {}
        return replace(super().report(now), gates=dict(islice(gates.items(), _MOST)))

    def _known(self, now: float) -> tuple[str, float, float]:
        return ("open", 0.0, 0.0) if self._wide.limiter is None else super()._known(now)

    def granted(self, grant: Grant, asked_at: float) -> None:
        """The lease is renewed. It tells whether the key has a limit."""
        was_in_charge, was_scout = self.is_in_charge, self._grant.kind == "scout"
        if grant.kind == "open":
            if was_in_charge:
                self._wide.forget()
        elif self._wide.limiter is None:
            self._wide.begin()
        super().granted(grant, asked_at)
        if grant.kind == "scout" and not was_scout and self._limiter.state.name == "open":
            self._limiter.hold(asked_at)
