"""Divide: who wants least is served first, and none gets more than an equal part of what is left."""

from __future__ import annotations

import math

from .adjust import given
from .kept import Kept


def divide(kept: Kept, who: str, now: float) -> float:
    """The part of one."""
    members = sorted((member.want, name) for name, member in kept.members.items())
    count, whole = len(members), kept.kind != "rate"
    amount = given(kept)
    turn = math.floor(now) % count if whole and amount < count else 0
    left, part = amount, 0.0
    for i in range(count):
        want, name = members[(i + turn) % count]
        take = min(want, left / (count - i))
        take = math.floor(take) if whole else take
        left -= take
        if name == who:
            part = take
    part += math.floor(left / count) if whole else left / count
    if whole:
        taken = sum(max(member.got, member.held) for name, member in kept.members.items() if name != who)
        part = max(0.0, min(part, amount - taken))
    return part
