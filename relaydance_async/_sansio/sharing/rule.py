"""What is done with a shared limit at each report. `_limits/exchange.lua` is the same rule, line by line.

Whole    A limit of the whole key is one when different gates are refused together. All below is done with it then.

Find     Until a limit is known, each process goes by its own limiter. The first that meets one becomes the scout: it
         alone goes on, and its limiter finds the limit as in a single process. So no two mistake each other's calls
         for the limit. Without a scout (Redis was emptied), the parts that processes know are added up.
Adjust   At a refusal it falls by 3 %, or by the share that is refused; then it grows, faster and faster. A window is
         shared as a rate, its calls spread evenly: so nobody needs to know when it opens. While much is refused,
         less is given out. When nothing passes, it is found anew.
Divide   Who wants least is served first, and none gets more than an equal part of what is left.
"""

from __future__ import annotations

from dataclasses import replace

from .adjust import adjust
from .divide import divide
from .find import find
from .kept import LONG_AGO, Kept, Member
from .messages import Grant, Report
from .numbers import LEASE
from .whole import is_whole, let_go


def exchange(kept: Kept, report: Report, now: float) -> Grant:
    """A grant for a report."""
    if kept.latest > now + LEASE:
        _set_clock(kept, now)
    kept.members = {who: member for who, member in kept.members.items() if now <= member.until <= now + LEASE}
    mine = kept.members.get(report.who)
    got = mine.got if mine is not None else 0.0
    kept.members[report.who] = Member(report.want, got, report.held, now + LEASE, report.kind, report.amount)
    if report.gates is not None:
        if not is_whole(kept, report, report.gates, now):
            return Grant("open")
        if report.kind == "open" and kept.scout != report.who:
            report = replace(report, kind="searching")  # of many gates' limits, which find none for themselves
    if not kept.kind:
        was_scout = kept.scout == report.who
        grant = find(kept, report, now)
        if grant is not None:
            if was_scout and grant.kind == "open" and report.gates is not None:
                let_go(kept)
            return grant
    lost = adjust(kept, report, now)
    if lost is not None:
        return lost
    part = divide(kept, report.who, now)
    kept.members[report.who].got = part
    count = len(kept.members)
    turn = (kept.phase - sorted(kept.members).index(report.who)) % count / count
    return Grant(kept.kind, part, turn)


def _set_clock(kept: Kept, now: float) -> None:
    """The store's clock was set back: what was to be at a time begins now."""
    kept.changed = kept.seen = kept.passed = kept.scouts = kept.busy = now
    kept.lost = kept.tested = kept.apart = kept.own = LONG_AGO
    kept.gathers = 0.0
    kept.members.clear()
