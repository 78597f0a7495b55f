"""Adjust: less at a refusal, more while it is used up and nobody is refused."""

from __future__ import annotations

import math

from .find import begin, scout
from .kept import Kept
from .messages import Grant, Report
from .numbers import (
    ALL,
    CALLS,
    CUT,
    FADES,
    FAST,
    FASTEST,
    GONE,
    GROWTH,
    IN_A_ROW,
    KNOWN_AFTER,
    LEAST_NOISE,
    LONG,
    LOW,
    MEASURED,
    MEMORY,
    MOST,
    NOISE_MOST,
    NOISY,
    QUIET,
    SLOW,
    SLOWEST,
    STILL,
    TEST,
    WINDOWS,
)


def given(kept: Kept) -> float:
    """What is given out of the limit: less of a rate while much is refused."""
    if kept.kind != "rate":
        return max(1, math.floor(kept.limit + 1e-9))
    total = kept.now_refused + kept.now_accepted
    share = max(0.0, (kept.now_refused - 1.5) / total - kept.noise) if total > 0 else 0.0
    return kept.limit * max(0.1, 1 - share)


def adjust(kept: Kept, report: Report, now: float) -> Grant | None:
    """A grant, when the limit is no more."""
    passed = min(max(now - kept.seen, 0.0), 1.0)
    kept.seen = now
    kept.phase = (kept.phase + given(kept) * passed) % 1e6
    _count(kept, report, passed, now)
    level = report.held + kept.held_by_others(report.who)
    if _is_lost(kept, level, now):
        return _lose(kept, report, now)
    judged = report.accepted + report.refused
    is_known = now - kept.changed > KNOWN_AFTER  # those before left before the last change was known
    if is_known and kept.limit < LOW * kept.peak and judged > 0 and kept.row < ALL:
        _learn_noise(kept, report.refused / judged, judged, now)
    if is_known:
        kept.excess = max(0.0, kept.excess + report.refused - max(LEAST_NOISE, 2 * kept.noise) * judged)
    if _is_judged(kept, report) and kept.excess >= _believed(kept):
        if now - kept.changed > max(1.0, 0.9 * kept.period):
            _cut(kept, level, now)
    elif kept.excess < 1 and sum(member.want for member in kept.members.values()) > kept.limit:
        kept.limit = min(kept.limit * (1 + _growth(kept, now) * passed), MOST)
    return None


def _count(kept: Kept, report: Report, passed: float, now: float) -> None:
    refused, accepted = report.refused, report.accepted
    fades, long = math.exp(-passed), math.exp(-passed / max(2.0, kept.period))
    kept.now_refused = kept.now_refused * fades + refused
    kept.now_accepted = kept.now_accepted * fades + accepted
    kept.long_refused = kept.long_refused * long + refused
    kept.long_accepted = kept.long_accepted * long + accepted
    memory = max(MEMORY, kept.period)
    kept.average = kept.average * math.exp(-passed / memory) + accepted / memory
    kept.got += accepted
    if accepted > 0:
        kept.passed, kept.row = now, 0
    kept.row += refused


def _is_lost(kept: Kept, level: int, now: float) -> bool:
    """Whether it has gone to nothing, or is none of its kind."""
    nothing = kept.row >= IN_A_ROW and now - kept.passed > max(SLOWEST, 1.5 * kept.period)
    return nothing and (kept.kind == "rate" or level < 0.5 * kept.limit)


def _learn_noise(kept: Kept, share: float, judged: int, now: float) -> None:
    """So little passes that what is refused is chance."""
    weight = min(1.0, judged / max(80.0, 4 * kept.average))
    kept.noise = min(NOISE_MOST, kept.noise + (share - kept.noise) * weight)
    if kept.noise > NOISY and now - kept.tested > LONG:
        kept.limit, kept.tested = TEST * kept.limit, now
    elif kept.noise < QUIET and now - kept.tested < 0.3 * LONG:
        kept.peak = kept.limit


def _lose(kept: Kept, report: Report, now: float) -> Grant:
    """The first time in a minute it is taken for an outage, after which it is as it was."""
    kind = "again" if now - kept.lost > LONG else "anew"
    kept.lost = now
    scout(kept, report, now)
    return Grant(kind, kept.limit)


def _is_judged(kept: Kept, report: Report) -> bool:
    """A window that has shut tells its rate when it opens again."""
    return kept.row == 0 if kept.kind == "rate" else report.refused > 0


def _believed(kept: Kept) -> float:
    """Refusals that are no chance, with twice the noise taken off: chance gets to four once in 150 refusals."""
    return 4.0 if kept.noise > QUIET or kept.average > FAST else 2.0


def _growth(kept: Kept, now: float) -> float:
    """Of the limit, in a second."""
    if kept.cuts == 0 and not kept.is_exact:  # it was found beside others' calls: slow start
        return min(2 * FASTEST, FASTEST * 2 ** ((now - kept.changed) / SLOWEST))
    most = WINDOWS / kept.period if kept.period > 0 else FASTEST
    if kept.cuts == 0 and kept.period > 0:
        return most
    calls = CALLS / max(kept.average, 0.01)
    pace = max(SLOWEST, kept.period, min(SLOW if kept.kind == "rate" else 3 * LONG, calls))
    if kept.kind == "rate" and (kept.peak == 0 or kept.limit < LOW * kept.peak):
        pace = max(SLOWEST, kept.period)  # it was found, or cut, before it was measured
    quiet = (now - kept.changed) / pace - 0.5
    if quiet <= 0:
        return 0.0
    first = GROWTH if kept.kind == "rate" else max(GROWTH, 0.5 / kept.limit)
    return min(most, first / pace * 2 ** min(quiet, 32))


def _cut(kept: Kept, level: int, now: float) -> None:
    if kept.kind == "under way":
        if level + 1 < 0.8 * kept.limit and kept.row < 3:
            return  # so few were under way: this is something else
        kept.peak = max(level, FADES * kept.peak) if kept.cuts else level  # more than that was only found
        kept.limit = max(1, _lower_places(kept, level, now))
    else:
        _cut_rate(kept, now)
    kept.changed, kept.excess, kept.got = now, 0.0, 0
    kept.cuts += 1
    if kept.kind == "under way" and kept.limit < GONE * kept.peak:
        begin(kept, "rate", 0.0, kept.average, now)


def _lower_places(kept: Kept, level: int, now: float) -> int:
    """One less, for it had grown by one; when that was not enough, what is under way."""
    less = math.floor(kept.limit) - 1
    is_again = now - kept.changed < 2 * SLOWEST
    return min(less, max(level, math.floor(0.7 * kept.limit))) if is_again else less


def _cut_rate(kept: Kept, now: float) -> None:
    total, took = kept.long_accepted + kept.long_refused, now - kept.changed
    share = (kept.long_refused - 2) / total - kept.noise
    lower = kept.limit * (1 - min(0.5, max(CUT, share)))
    is_long = took > 1.5 * max(SLOWEST, kept.period)
    if kept.got >= MEASURED:
        # It was reached at the last cut and is now: what passed between is its rate.
        measured = kept.got / took
        lower = min(lower, max(1.02 * measured, 0.7 * kept.limit))
        if is_long or kept.cuts > 0 or kept.got >= CALLS:
            kept.peak = max(measured, FADES * kept.peak)
    else:
        lower = min(lower, max(1.1 * kept.average, 0.7 * kept.limit))
    if kept.got < MEASURED or not is_long:
        # When a window has shut, nothing passes for a while: that says nothing of how much does.
        lower = max(lower, min(kept.limit, STILL * kept.average))
    if kept.cuts == 0 and kept.now_accepted >= MEASURED:  # of the last second
        lower = max(lower, min(kept.now_accepted, (1 - CUT) * kept.limit))
    kept.limit = max(lower, 0.02)
