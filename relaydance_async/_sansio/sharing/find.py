"""Find: until a limit is known, each process goes by its own limiter, and one of them finds it for all."""

from __future__ import annotations

import math

from .kept import Kept
from .messages import Grant, Report
from .numbers import GATHER, LEAST, LONG, MEMORY, MOST, PATIENCE, SOON

_KNOWN = ("rate", "under way")


def find(kept: Kept, report: Report, now: float) -> Grant | None:
    """While none is known; None: now it is."""
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
    kept.busy, kept.beside = now, kept.held_by_others(report.who)
    return Grant("scout")


def _scouted(kept: Kept, report: Report, now: float) -> Grant | None:
    """How far the scout is."""
    took, others = now - kept.scouts, kept.held_by_others(report.who)
    if not kept.is_clear and others == 0:
        kept.is_clear = True
        if took > SOON:
            kept.beside = 0
            return Grant("anew")  # what it saw may have come of the ends of others' calls
    amount = report.amount + (kept.beside if report.kind == "under way" else 0)
    if report.kind == "under way" or (report.kind == "rate" and (kept.is_clear or took > LONG)):
        _begin(kept, report.kind, report.period, amount, now)
        return None
    if report.want > 0 or report.held > 0:
        kept.busy = now
    if report.kind != "open" and now - kept.busy > SOON and (heir := _heir(kept, report.who)):
        kept.scout, kept.scouts, kept.busy, kept.is_clear = heir, now, now, False
        return Grant("wait")
    if report.kind == "open" or now - kept.busy > SOON:
        # It has too few calls to reach the limit alone: for a time each learns for itself.
        kept.scout, kept.apart, kept.is_clear = "", now, False
        return Grant("open")
    return Grant("scout")


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
    _begin(kept, report.kind, report.period, max(sum(alike), passes), now)
    kept.is_exact = kept.is_exact and not searching
    return None


def _guess(kept: Kept, now: float) -> None:
    """Some find nothing, for others leave them nothing. Of calls that take seconds, places are shared, else a rate."""
    held = kept.held_by_others("")
    kind = "under way" if held > kept.average else "rate"
    _begin(kept, kind, 0.0, max(float(held) if kind == "under way" else kept.average, 0.1), now)


def _begin(kept: Kept, kind: str, period: float, amount: float, now: float) -> None:
    """A limit was found."""
    kept.kind, kept.limit, kept.period = kind, min(max(amount, LEAST), MOST), period
    kept.scout, kept.gathers = "", 0.0
    kept.changed = kept.seen = kept.passed = now
    kept.average = amount if kind == "rate" else 0.0
    kept.got, kept.peak = 0, 0.0
    kept.now_refused = kept.now_accepted = kept.long_refused = kept.long_accepted = 0.0
    kept.noise = kept.excess = 0.0
    kept.row = kept.cuts = 0
    kept.is_exact = kept.period > 0 or (kind == "under way" and kept.is_clear and kept.beside == 0)
