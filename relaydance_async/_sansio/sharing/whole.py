"""Whether a limit is the key's, as all processes see it together: `key_wide` says the same of one."""

from __future__ import annotations

import math
from collections.abc import Mapping

from .kept import LONG_AGO, Kept
from .messages import Report
from .numbers import ANSWERS, BELIEVED, CERTAINTY, EACH, LONG


def is_whole(kept: Kept, report: Report, gates: Mapping[str, tuple[int, int]], now: float) -> bool:
    """Whether the key has a limit, after this report of its gates."""
    _count(kept, gates)
    if kept.is_taken:
        if _is_ones_own(kept):
            let_go(kept)
            kept.own = now
    else:
        kept.height = max(0.0, kept.height - report.accepted) + report.refused
        if kept.height == 0:
            kept.gates = {}
        kept.is_taken = now - kept.own > LONG and (report.kind != "open" or _is_together(kept))
        if kept.is_taken:
            let_go(kept)
            kept.is_taken = True
    return kept.is_taken


def let_go(kept: Kept) -> None:
    """It has none."""
    kept.kind = kept.scout = ""
    kept.is_taken, kept.height, kept.gates, kept.gathers = False, 0.0, {}, 0.0
    kept.apart = LONG_AGO


def _count(kept: Kept, gates: Mapping[str, tuple[int, int]]) -> None:
    for gate, (passed, refused) in gates.items():
        before = kept.gates.get(gate, (0, 0))
        kept.gates[gate] = before[0] + passed, before[1] + refused
    is_together = sum(refused > 0 for _, refused in kept.gates.values()) > 1
    is_looked_for = kept.is_taken and not kept.kind  # one process, maybe of one gate, is refused then
    if is_looked_for or (kept.is_taken and is_together) or sum(passed for passed, _ in kept.gates.values()) > ANSWERS:
        kept.gates = {}


def _is_together(kept: Kept) -> bool:
    """Whether different gates are refused together."""
    return kept.height >= BELIEVED and sum(refused >= EACH for _, refused in kept.gates.values()) > 1


def _is_ones_own(kept: Kept) -> bool:
    """Whether one gate alone was refused, and that so often that it is no chance."""
    everybody = max(1, sum(passed for passed, _ in kept.gates.values()))
    return any(
        refused * math.log(everybody / max(passed, 1)) >= CERTAINTY
        for passed, refused in kept.gates.values()
        if refused
    )
