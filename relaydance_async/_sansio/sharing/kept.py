"""What is kept of a shared limit."""

from __future__ import annotations

from dataclasses import dataclass, field

LONG_AGO = -1e9


@dataclass(slots=True)
class Member:
    """A process. `amount` is what its own limiter knows, if that is of `kind`; `got` its part."""

    want: float
    got: float
    held: int
    until: float
    kind: str
    amount: float


@dataclass(slots=True)
class Kept:
    """A shared limit. Times are seconds of the store's clock.

    Attributes:
        kind: "" while none is known.
        period: of its window, or 0.
        changed: when it was cut last; while none is known, since when calls are counted.
        seen: the last report.
        phase: calls that a rate has let pass: whose turn it is.
        passed: when calls were accepted last.
        average: accepted calls a second, of the last seconds.
        now_refused, now_accepted: calls of the last second.
        long_refused, long_accepted: calls of the last seconds, or of the last window.
        got: calls that were accepted since it was cut; while none is known, of the scout.
        row: refusals since a call was accepted.
        peak: what surely passes: calls a second between two cuts, or the most at once; 0 if that isn't known yet.
        noise: share of refusals by chance.
        tested: when it was tried whether that is noise.
        excess: refusals above that, since the last cut.
        cuts: how often it was cut.
        is_exact: whether it was found alone, or is of a window.
        lost: when nothing passed any more.
        scout: who finds the limit.
        scouts: since when.
        busy: when it had calls last.
        apart: when a scout was of no use.
        is_clear: whether no calls of others have been under way since then.
        beside: the most calls of others that were under way beside its own.
        gathers: since when there is no scout, but some know a limit.
        is_taken: of the key's limit, whether it is one.
        height: refusals of all gates, net of accepted calls.
        gates: (passed, refused) calls of each gate, since it was nobody's or not only one's.
        own: when it turned out to be one gate's own affair.
    """

    kind: str = ""
    limit: float = 0.0
    period: float = 0.0
    changed: float = 0.0
    seen: float = 0.0
    phase: float = 0.0
    passed: float = 0.0
    average: float = 0.0
    now_refused: float = 0.0
    now_accepted: float = 0.0
    long_refused: float = 0.0
    long_accepted: float = 0.0
    got: int = 0
    row: int = 0
    peak: float = 0.0
    noise: float = 0.0
    tested: float = LONG_AGO
    excess: float = 0.0
    cuts: int = 0
    lost: float = LONG_AGO
    scout: str = ""
    scouts: float = 0.0
    busy: float = 0.0
    apart: float = LONG_AGO
    is_exact: bool = False
    is_clear: bool = False
    beside: int = 0
    gathers: float = 0.0
    is_taken: bool = False
    height: float = 0.0
    gates: dict[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
    own: float = LONG_AGO
    members: dict[str, Member] = field(default_factory=dict[str, Member])

    @property
    def latest(self) -> float:
        """The latest of its times."""
        past = max(self.tested, self.lost, self.apart, self.own)
        return max(past, self.changed, self.seen, self.passed, self.scouts, self.gathers, self.busy)

    def held_by_others(self, who: str) -> int:
        """Calls of the others under way."""
        return sum(member.held for name, member in self.members.items() if name != who)
