"""The limiter itself, an event at a time: what it must not take for something else."""

from __future__ import annotations

import pytest

from relaydance_async._sansio.limiter import Limiter, Sent, Verdict
from relaydance_async._sansio.limiter.moves import MOVES
from relaydance_async._sansio.limiter.openings import Openings

ACCEPTED, REFUSED = Verdict.ACCEPTED, Verdict.REFUSED
TRIP = 0.02


def known_trip() -> Limiter:
    """One that has met a refusal."""
    limiter = Limiter()
    limiter.facts.trip = TRIP
    return limiter


def held(now: float, *, was: str) -> Limiter:
    """One that was in that state, and waits since then."""
    limiter = known_trip()
    if was == "rate":
        limiter.state = MOVES.pace(limiter.facts, now - 1, 20.0)
    elif was == "under way":
        limiter.state = MOVES.under_way(limiter.facts, now - 1, 10)
    limiter.hold(now)
    return limiter


def passes(limiter: Limiter, now: float) -> tuple[Sent, float]:
    """A call, as soon as it may."""
    for _ in range(1000):
        wait = limiter.delay(now)
        if wait <= 0:
            return limiter.passed(now), now
        now += wait + 1e-6
    raise AssertionError(limiter.state.name)


def let_in(limiter: Limiter, calls: int) -> tuple[list[Sent], float]:
    """So many pass without an answer, and a second later count as let in; when the last did."""
    crowd: list[Sent] = []
    now = 0.0
    while len(crowd) < calls:
        sent, now = passes(limiter, now)
        crowd.append(sent)
    limiter.delay(now + 1)
    return crowd, now


@pytest.mark.parametrize("was", ["open", "rate", "under way"])
def test_a_probe_that_is_refused_late_holds_on(was: str) -> None:
    limiter = held(10.0, was=was)
    probe, now = passes(limiter, 10.0)
    now += 5 * TRIP
    limiter.delay(now)
    assert limiter.state.name != "held"  # after so long it is taken for accepted

    limiter.ended(probe, now, REFUSED)

    assert limiter.state.name == "held"
    assert limiter.delay(now) > 0


def test_a_window_that_a_late_refusal_shows_shut_is_shut_as_before() -> None:
    limiter = known_trip()
    limiter.state = MOVES.window(limiter.facts, 0.0, 1, Openings(0.0, 4.8, 5.0), Sent(0.0, 1, None, 0))
    probe, now = passes(limiter, 5.1)
    now += 5 * TRIP
    limiter.delay(now)
    assert limiter.learned(now).opened_ago < 1

    limiter.ended(probe, now, REFUSED)

    learned = limiter.learned(now)
    assert learned.opened_ago == pytest.approx(now)
    assert (learned.calls, learned.period) == (1, 5.0)


def test_what_ends_late_leaves_nothing_behind() -> None:
    limiter = held(10.0, was="open")
    probe, now = passes(limiter, 10.0)
    limiter.delay(now + 5 * TRIP)
    assert limiter.facts.let_in == {probe}

    limiter.ended(probe, now + 1, ACCEPTED)

    assert not limiter.facts.let_in
    assert not limiter.facts.flying


def test_a_crowd_that_waits_for_its_answers_is_not_taken_for_one_without_a_limit() -> None:
    """Its rounds stay empty while all of it is under way; the limit is only not reached again yet."""
    limiter = held(0.0, was="open")
    probe, now = passes(limiter, 5.0)
    limiter.ended(probe, now + TRIP, ACCEPTED)
    for _ in range(3):  # three callers, and answers that take long
        passes(limiter, now)
    for step in range(40):
        limiter.delay(now + step * TRIP)

    assert limiter.state.name == "searching"


def test_an_end_of_the_search_comes_when_the_limit_is_not_met_for_long() -> None:
    limiter = held(0.0, was="open")
    probe, opened = passes(limiter, 1.0)
    limiter.ended(probe, opened + TRIP, ACCEPTED)
    now = opened
    while now < opened + 4 * opened:
        limiter.delay(now)
        now += TRIP

    assert limiter.state.name == "open"


def test_a_pause_leaves_the_pace_that_was_good_before_it() -> None:
    """Each refusal of a pause cuts the pace; the pause itself says nothing of it."""
    limiter = known_trip()
    limiter.state = MOVES.pace(limiter.facts, 0.0, 20.0)
    now = 0.0
    for _ in range(30):
        sent, now = passes(limiter, now)
        limiter.ended(sent, now + TRIP, ACCEPTED)
    while limiter.state.name == "rate":
        sent, now = passes(limiter, now)
        limiter.ended(sent, now + TRIP, REFUSED)
        now += TRIP
    probe, now = passes(limiter, now)
    limiter.ended(probe, now + TRIP, ACCEPTED)

    assert limiter.rate is not None
    assert limiter.rate > 10


def test_what_is_refused_with_nothing_under_way_is_no_limit_of_calls_under_way() -> None:
    """Twenty were let in at once. So one beside one other is not refused for being the second."""
    limiter = known_trip()
    crowd, now = let_in(limiter, 20)
    limiter.hold(now + 1)
    for sent in crowd[1:]:
        limiter.ended(sent, now + 1, ACCEPTED)
    limiter.facts.peak = 2  # since it opened again
    probe, now = passes(limiter, now + 1)
    limiter.ended(probe, now + TRIP, REFUSED)
    limiter.ended(crowd[0], now + TRIP, ACCEPTED)
    probe, now = passes(limiter, now + TRIP)
    limiter.ended(probe, now + TRIP, ACCEPTED)

    assert limiter.state.name != "under way"


def test_after_a_refusal_the_next_call_waits_for_one_that_ends() -> None:
    limiter = known_trip()
    limiter.state = MOVES.under_way(limiter.facts, 0.0, 11)
    limiter.facts.latency = 1.0
    crowd = [limiter.passed(0.0) for _ in range(10)]
    eleventh, now = passes(limiter, 0.0)
    limiter.ended(eleventh, now + TRIP, REFUSED)

    assert limiter.delay(now + TRIP) > 0.05

    limiter.ended(crowd[0], now + TRIP, ACCEPTED)

    assert limiter.delay(now + TRIP) == 0


def test_a_refusal_with_nothing_under_way_is_not_waited_for_without_end() -> None:
    limiter = known_trip()
    limiter.state = MOVES.under_way(limiter.facts, 0.0, 3)
    only, now = passes(limiter, 0.0)
    limiter.ended(only, now + TRIP, REFUSED)

    assert limiter.delay(now + TRIP) == 0


@pytest.mark.parametrize(("calls", "allowed"), [(2, 2), (4, 4), (10, 10), (100, 95)])
def test_few_calls_under_way_are_not_made_fewer_by_a_search_for_more(calls: int, allowed: int) -> None:
    limiter = known_trip()
    limiter.state = MOVES.under_way(limiter.facts, 0.0, calls + 1)
    limiter.facts.latency = 1.0
    under_way = [limiter.passed(0.0) for _ in range(calls)]
    now = 0.1
    for _ in range(2):
        one_more, now = passes(limiter, now)
        limiter.ended(one_more, now + TRIP, REFUSED)
        limiter.delay(now + 3 * TRIP)
    for sent in under_way:
        limiter.ended(sent, now + 1, ACCEPTED)

    now += 2
    passed = 0
    while limiter.delay(now) == 0:
        limiter.passed(now)
        passed += 1
    assert passed == allowed


def test_refusals_with_fewer_under_way_than_were_let_in_are_of_another_limit() -> None:
    limiter = known_trip()
    limiter.facts.latency, limiter.facts.peak = 1.0, 20
    crowd, now = let_in(limiter, 20)
    assert limiter.facts.counts_under_way
    for sent in crowd:
        limiter.ended(sent, now + 1, ACCEPTED)
    for _ in range(8):
        sent, now = passes(limiter, now + 1)
        limiter.ended(sent, now + TRIP, REFUSED)

    assert not limiter.facts.counts_under_way
