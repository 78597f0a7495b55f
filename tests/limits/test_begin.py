"""The begin of a limiter, which ends when a crowd has shown that nothing holds it."""

from __future__ import annotations

from relaydance_async._sansio.limiter import Limiter, Verdict


def _pass_one(limiter: Limiter, now: float) -> float:
    """One call passes as soon as it may and is accepted at once; when that was."""
    while (delay := limiter.delay(now)) > 0:
        now += delay
    limiter.ended(limiter.passed(now), now, Verdict.ACCEPTED)
    return now


def test_a_pace_that_nobody_reaches_ends_the_begin_also_when_nobody_waits_any_more() -> None:
    limiter, now = Limiter(), 0.0
    while limiter.delay(now) == 0:
        limiter.ended(limiter.passed(now), now, Verdict.ACCEPTED)
    now += 1.0  # an event loop that was late: the pace has doubled a dozen times
    assert _pass_one(limiter, now) == now
    assert limiter.is_free


def test_a_crowd_that_was_held_to_the_end_of_the_begin_makes_it_free() -> None:
    limiter, now = Limiter(), 0.0
    for _ in range(20_000):
        now = _pass_one(limiter, now)
    assert limiter.is_free
    assert now < 1.0


def test_a_quiet_program_goes_on_to_begin_slowly() -> None:
    limiter, now = Limiter(), 0.0
    for _ in range(1_000):
        now = _pass_one(limiter, now + 0.01)
    assert not limiter.is_free
    assert [limiter.passed(now) for _ in range(11)]
    assert limiter.delay(now) > 0
