"""What a process says when it asks for a lease, and what it gets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, isfinite


@dataclass(frozen=True, slots=True)
class Report:
    """What a process says.

    Attributes:
        name: of the limit; a hash.
        who: the member; it is random.
        kind: what its own limiter knows: "rate", "under way", "searching" (a limit was met), or "open" (none).
        amount: of it: calls a second, or calls at once; of "open", the seconds that a call takes, or 0.
        period: seconds of a window whose calls that rate is; 0 if it is none.
        want: what it could use: calls a second, or at once.
        held: calls under way.
        accepted, refused: calls, since the last report.
        gates: of the key's limit, how many calls of each gate have passed and were refused since then; None: it is a
            gate's own limit.
    """

    name: str
    who: str
    kind: str
    amount: float
    period: float
    want: float
    held: int
    accepted: int
    refused: int
    gates: Mapping[str, tuple[int, int]] | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    """What it gets, for `LEASE` seconds from when it was asked for.

    Attributes:
        kind: "rate" or "under way": a part of the limit. "open": no limit is known. "scout": this one finds the limit,
            alone. "anew": the same, and forgets what it thought. "again": the same, when a limit that was known has
            gone to nothing: it may come back as it was. "wait": another one does.
        amount: calls a second, or calls at once.
        turn: of a rate, how near this one is to its next turn, from 0 to 1: so that they don't send at the same moment.

    Raises:
        ValueError: a number that can be none: an amount below 0, or one that is not finite.
    """

    kind: str
    amount: float = 0.0
    turn: float = 0.0

    def __post_init__(self) -> None:
        if not (0.0 <= self.amount < inf and isfinite(self.turn)):  # whoever can write to the store can write this
            raise ValueError("a lease of an amount that can be none")
