"""Find: until a limit is known, each process goes by its own limiter, and one of them finds it for all."""

from __future__ import annotations

import math

from .kept import Kept
from .messages import Grant, Report
from .numbers import BURST, EVERY, GATHER, LEAST, LONG, MEMORY, MOST, PATIENCE, SOON

_KNOWN = ("rate", "under way")


def find(kept: Kept, report: Report, now: float) -> Grant | None:
    """While none is known; None: now it is."""
    if kept.seen == 0:
        kept.changed = now
    passed = min(max(now - kept.seen, 0.0), MEMORY)
    kept.average = kept.average * math.exp(-passed / MEMORY) + report.accepted / MEMORY
    kept.seen = now
    if kept.scout and kept.scout not in kept.members:
        kept.scout = ""
    if now - kept.gathers > 2 * PATIENCE:
        kept.gathers = 0.0
    if kept.scout == report.who:
        return _scouted(kept, report, now)
    if kept.scout:
        kept.beside = max(kept.beside, kept.held_by_others(kept.scout))
        return Grant("wait")
    if report.kind in _KNOWN:
        return _gather(kept, report, now)
    if report.kind == "searching" and kept.gathers == 0:
        if now - kept.apart > LONG:
            return scout(kept, report, now)
        if now - kept.apart > PATIENCE:
            _guess(kept, now)
            return None
    return Grant("open")


def scout(kept: Kept, report: Report, now: float) -> Grant:
    """It finds the limit."""
    kept.kind, kept.scout, kept.scouts, kept.is_clear = "", report.who, now, False
    kept.busy, kept.beside, kept.got = now, kept.held_by_others(report.who), 0
    return Grant("scout")


def _scouted(kept: Kept, report: Report, now: float) -> Grant | None:
    """How far the scout is."""
    took, others = now - kept.scouts, kept.held_by_others(report.who)
    kept.got += report.accepted
    if not kept.is_clear and others == 0:
        kept.is_clear = True
        if took > SOON:
            kept.beside = 0
            return Grant("anew")  # what it saw may have come of the ends of others' calls
    amount = report.amount + (kept.beside if report.kind == "under way" else 0)
    if report.kind == "under way" or (report.kind == "rate" and (kept.is_clear or took > LONG)):
        if report.kind == "rate" and kept.average > 0:
            amount = min(amount, BURST * _passes(kept, now))
        begin(kept, report.kind, report.period * report.amount / amount, amount, now)
        return None
    if report.kind == "open":
        _begin_with(kept, report, took, now)
        return None
    if report.want > 0 or report.held > 0:
        kept.busy = now
    if now - kept.busy > SOON and (heir := _heir(kept, report.who)):
        kept.scout, kept.scouts, kept.busy, kept.got, kept.is_clear = heir, now, now, 0, False
        return Grant("wait")
    if now - kept.busy > SOON:
        # It has too few calls to reach the limit alone: for a time each learns for itself.
        kept.scout, kept.apart, kept.is_clear = "", now, False
        return Grant("open")
    return Grant("scout")


def _begin_with(kept: Kept, report: Report, took: float, now: float) -> None:
    """The scout's calls are too few to reach the limit alone: the others take part, faster and faster."""
    rate = max(1.0, kept.got / max(took, EVERY))
    if report.amount > EVERY or (report.amount == 0 and report.held > 0):
        begin(kept, "under way", 0.0, report.held + kept.held_by_others(report.who), now)
    else:
        begin(kept, "rate", 0.0, rate, now)
    kept.is_exact = False


def _passes(kept: Kept, now: float) -> float:
    """Calls a second, of the last seconds, as far as there were any."""
    return kept.average / (1 - math.exp(-max(now - kept.changed, EVERY) / MEMORY))


def _heir(kept: Kept, who: str) -> str:
    """Who has calls, when all of the scout's wait after refusals; "" if nobody has."""
    return min((name for name, member in kept.members.items() if name != who and member.want > 0), default="")


def _gather(kept: Kept, report: Report, now: float) -> Grant | None:
    """What each knows is its part."""
    kept.gathers = kept.gathers or now
    alike = [member.amount for member in kept.members.values() if member.kind == report.kind]
    searching = any(member.kind == "searching" for member in kept.members.values())
    if now - kept.gathers < (PATIENCE if searching else GATHER):
        return Grant("open")
    passes = kept.average if report.kind == "rate" else 0.0
    begin(kept, report.kind, report.period, max(sum(alike), passes), now)
    kept.is_exact = kept.is_exact and not searching
    return None


def _guess(kept: Kept, now: float) -> None:
    """Some find nothing, for others leave them nothing. Of calls that take seconds, places are shared, else a rate."""
    held = kept.held_by_others("")
    kind = "under way" if held > kept.average else "rate"
    begin(kept, kind, 0.0, max(float(held) if kind == "under way" else kept.average, 0.1), now)


def begin(kept: Kept, kind: str, period: float, amount: float, now: float) -> None:
    """A limit was found."""
    kept.average = min(amount, _passes(kept, now))
    kept.kind, kept.limit, kept.period = kind, min(max(amount, LEAST), MOST), period
    kept.scout, kept.gathers = "", 0.0
    kept.changed = kept.seen = kept.passed = now
    kept.got, kept.peak = 0, amount if kind == "under way" else 0.0
    kept.now_refused = kept.now_accepted = kept.long_refused = kept.long_accepted = 0.0
    kept.noise = kept.excess = 0.0
    kept.row = kept.cuts = 0
    kept.is_exact = kept.period > 0 or (kind == "under way" and kept.is_clear and kept.beside == 0)
