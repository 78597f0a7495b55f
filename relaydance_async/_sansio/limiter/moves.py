"""Which state follows which: the one file that knows them all."""

from __future__ import annotations

from .begin import Begin
from .facts import Facts, Sent
from .hold import Hold
from .openings import Openings
from .pace import Pace
from .rounds import Rounds
from .state import Cycle, State
from .under_way import UnderWay
from .window import Window


class _Moves:
    def begin(self, facts: Facts, now: float, rate: float) -> State:
        return Begin(facts, now, rate, is_tried=True)

    def rounds(self, facts: Facts, now: float, probe: Sent | None, closed: tuple[float, float]) -> State:
        return Rounds(facts, now, probe, closed)

    def hold(
        self, facts: Facts, now: float, began_at: float, cycle: Cycle | None, back: State | None, was_well: bool
    ) -> State:
        return Hold(facts, now, began_at, cycle, back, was_well)

    def pace(self, facts: Facts, now: float, rate: float) -> State:
        return Pace(facts, now, rate)

    def window(self, facts: Facts, now: float, calls: int, openings: Openings, probe: Sent) -> State:
        return Window(facts, now, calls, openings, probe)

    def under_way(self, facts: Facts, now: float, calls: int) -> State:
        return UnderWay(facts, now, calls)


MOVES = _Moves()
