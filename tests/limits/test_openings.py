"""When windows open, as learned from calls that were refused and accepted: by a clock, or by their own first call."""

from __future__ import annotations

import pytest

from relaydance_async._sansio.limiter.openings import Openings

PERIOD = 5.0


def of_a_clock(late: list[float]) -> Openings:
    """Each window was asked just before it opened, and so many seconds after."""
    openings = Openings(late[0], 4.0, 7.0, known=((0, -0.1, late[0]),))
    for number, seconds in enumerate(late[1:], start=1):
        begin = number * PERIOD
        openings = openings.shut(begin - 0.1, 0.01).opened(begin + seconds, 0.01, is_proven=True)
    return openings


def test_a_clock_is_known_within_what_each_opening_leaves() -> None:
    for count in range(2, 7):
        first, last = of_a_clock([0.5] * count).following()
        assert first <= count * PERIOD <= last
        assert last - first < 0.61


def test_a_late_call_of_a_fixed_window_does_not_shift_the_next_one() -> None:
    openings = of_a_clock([0.0, 0.1, 2.0, 0.1])
    begin = 4 * PERIOD
    openings = openings.shut(begin - 0.1, 0.01)

    assert not openings.is_sliding  # that one came 3.1 s after the last
    first, last = openings.following()
    assert first <= begin <= last <= begin + 0.3


def test_a_window_that_slides_opens_a_period_after_its_first_call() -> None:
    openings = Openings(0.0, 4.9, 5.05, known=((0, -0.1, 0.0),))
    at = 0.0
    for _ in range(4):  # each is later by 0.04 s, which a clock would not be
        openings = openings.shut(at + PERIOD - 0.005, 0.01)
        at += PERIOD + 0.04
        openings = openings.opened(at, 0.01, is_proven=True)

    first, last = openings.following()
    assert first == pytest.approx(at + 4.995)
    assert last == pytest.approx(at + 5.04)


def test_a_window_that_opens_at_another_time_keeps_its_period() -> None:
    openings = of_a_clock([0.0] * 4)
    for late in (2.0, 3.0, 4.0):
        openings = openings.shut(4 * PERIOD + late, 0.01)
    assert openings.is_lost

    openings = openings.opened(4 * PERIOD + 4.1, 0.01, is_proven=True)

    assert not openings.is_lost
    first, last = openings.following()
    assert first - openings.at <= PERIOD <= last - openings.at < 1.1 * PERIOD


def test_after_a_time_without_calls_the_period_is_still_known() -> None:
    openings = of_a_clock([0.0] * 4).begun_anew(100.0)

    first, last = openings.following()
    assert 100.0 + 0.9 * PERIOD <= first <= 100.0 + PERIOD <= last


def test_openings_before_which_nobody_was_refused_do_not_say_that_it_may_open_at_once() -> None:
    openings = Openings(0.0, 4.9, 5.05)
    for number in range(1, 4):
        openings = openings.opened(number * PERIOD, 0.01, is_proven=True)

    assert openings.is_clock
    assert openings.shut_until == pytest.approx(3 * PERIOD + 4.9)
    first, last = openings.following()
    assert 3 * PERIOD < first <= 4 * PERIOD <= last
