"""When a task is asked for again."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from itertools import islice, pairwise
from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaydance_async._sansio.polling import (
    LONGEST,
    Place,
    every_nth,
    last_look,
    next_poll,
    polls_per_second,
    windows,
)

N = 10_000
PHASES = st.floats(0, 1, exclude_max=True)


def times(place: Place, until: float, *, latency: float = 0.0, waits: int = 1) -> list[float]:
    """When one wait asks, in seconds from its begin."""
    asked = [0.0]
    while True:
        elapsed = asked[-1] + latency
        at = elapsed + next_poll(elapsed, place, waits)
        if at >= until:
            return asked
        asked.append(at)


def per_second(polls: Iterable[float]) -> Counter[int]:
    return Counter(int(at) for at in polls)


def burst(seconds: Counter[int], begin: int, end: int) -> float:
    """The busiest second over the mean."""
    window = [seconds[second] for second in range(begin, end)]
    return max(window) * len(window) / sum(window)


def test_the_windows_follow_without_gaps_and_grow_from_2_to_15_seconds() -> None:
    first = list(islice(windows(), 9))
    assert [width for _, width in first] == pytest.approx([2, 3, 4.5, 6.75, 10.125, 15, 15, 15, 15])
    assert first[0][0] == 1.0
    for (begin, width), (following, _) in pairwise(first):
        assert following == pytest.approx(begin + width)


def test_the_pauses_of_one_wait_grow_from_about_2_to_15_seconds() -> None:
    asked = times(Place(0.5, 0), 100)
    assert [after - before for before, after in pairwise(asked)] == pytest.approx(
        [2.0, 2.5, 3.75, 5.625, 8.4375, 12.5625, 15.0, 15.0, 15.0, 15.0]
    )


@given(st.floats(0, 1, exclude_max=True), st.floats(0, 1e6))
def test_every_pause_lies_between_two_thirds_of_a_second_and_20_seconds(phase: float, elapsed: float) -> None:
    pause = next_poll(elapsed, Place(phase, 0))
    assert 2 / 3 - 1e-6 <= pause <= LONGEST * 4 / 3 + 1e-6
    if elapsed > 30:
        assert pause >= LONGEST / 3 - 1e-6


@given(st.floats(0, 1, exclude_max=True), st.floats(0, 0.3))
def test_a_wait_asks_once_in_each_window_at_its_phase(phase: float, latency: float) -> None:
    asked = times(Place(phase, 0), 400, latency=latency)[1:]
    for at, (begin, width) in zip(asked, windows(), strict=False):
        assert at == pytest.approx(begin + phase * width)


def test_10_000_waits_begun_together_are_spread_evenly_over_each_window() -> None:
    draw = random.Random(1).random
    seconds = per_second(at for _ in range(N) for at in times(Place.draw(draw), 600, latency=0.2 * draw()))
    assert seconds[0] == N  # each begins at once
    for begin, width in islice(windows(), 5):
        for second in range(int(begin + 0.99), int(begin + width)):
            assert seconds[second] == pytest.approx(N / width, rel=0.1)
    assert burst(seconds, 28, 600) < 1.1
    assert burst(seconds, 17, 60) < 1.6


def test_the_more_waits_the_slower_each_asks_and_never_more_than_1000_a_second() -> None:
    draw = random.Random(4).random
    for waits in (300, 2_000, 5_000, 10_000, 40_000):
        seconds = per_second(at for _ in range(waits) for at in times(Place.draw(draw), 120, waits=waits)[1:])
        for begin, width in islice(windows(), 9):
            expected = waits / every_nth(width, waits) / width
            assert expected <= polls_per_second(waits) <= 1_000
            for second in range(int(begin + 0.99), int(begin + width)):
                assert seconds[second] == pytest.approx(expected, abs=4.5 * sqrt(expected))


def test_four_times_as_many_waits_make_twice_as_many_polls() -> None:
    assert [polls_per_second(waits) for waits in (1, 300, 1_200, 4_800)] == [20, 20, 40, 80]
    assert polls_per_second(10**7) == 1_000
    assert [LONGEST * every_nth(LONGEST, waits) for waits in (1, 300, 1_000, 10_000)] == [15, 15, 30, 120]


@given(st.integers(1, 1_000), st.floats(0.1, 1_000))
def test_waits_take_half_of_the_keys_limit_as_far_as_they_may_wait(waits: int, limit: float) -> None:
    nth = every_nth(LONGEST, waits, limit)
    assert nth >= every_nth(LONGEST, waits)
    assert waits / (LONGEST * nth) <= limit / 2 or nth >= 16
    assert nth <= max(16, every_nth(LONGEST, waits))


@given(st.floats(1e-9, 1e6), PHASES, st.floats(0, 1e4), st.integers(1, 100_000), st.none() | st.floats(0.1, 1_000))
def test_the_last_look_is_before_the_deadline_and_in_its_second_half(
    deadline: float, phase: float, took: float, waits: int, limit: float | None
) -> None:
    look = last_look(deadline, Place(phase, 0), took, waits, limit)
    assert deadline / 2 * 0.999 <= look < deadline
    if waits == 1:
        assert look >= deadline - 10 - 2 / min(1_000, (limit or 2_000) / 2)


def test_the_last_look_leaves_time_for_an_answer_as_the_last_one_took() -> None:
    assert [30 - last_look(30, Place(0, 0), took, 1) for took in (0, 0.1, 1.5, 3.0, 100)] == [1, 1, 3, 6, 7.5]
    assert 900 - last_look(900, Place(0, 0), 100, 1) == 10


def test_the_last_looks_of_many_waits_are_spread() -> None:
    draw = random.Random(5).random
    seconds = per_second(last_look(100, Place.draw(draw), 0.0, N) for _ in range(N))
    assert max(seconds.values()) < 1_150
    limited = per_second(last_look(400, Place.draw(draw), 0.0, N, 200.0) for _ in range(N))
    assert max(limited.values()) < 140


PLACES = st.builds(Place, PHASES, st.integers(0, 1_000_000))


@given(PLACES, st.floats(0, 1e5), st.integers(1, 100_000), st.integers(1, 100_000))
def test_when_the_number_of_waits_changes_none_sleeps_for_long(
    place: Place, elapsed: float, before: int, after: int
) -> None:
    elapsed += next_poll(elapsed, place, before)
    pause = next_poll(elapsed, place, after)
    growing = max(0.0, 27.5 - elapsed)  # there each window has a turn of its own
    assert 2 / 3 - 1e-6 <= pause <= growing + LONGEST * (every_nth(LONGEST, after) + 1 / 3) + 1e-6


@given(PLACES, st.integers(1, 100_000), st.integers(1, 100_000))
def test_with_fewer_waits_one_asks_at_all_the_times_that_it_asked_at_with_more(
    place: Place, one: int, other: int
) -> None:
    few, many = sorted((one, other))
    often, seldom = ({round(at, 6) for at in times(place, 400, waits=waits)} for waits in (few, many))
    assert seldom <= often


def test_waits_begun_one_after_another_are_spread_evenly() -> None:
    draw = random.Random(2).random

    def polls() -> Iterable[float]:
        for _ in range(N):
            begun = 60 * draw()
            yield from (begun + at for at in times(Place.draw(draw), 300 - begun))

    assert burst(per_second(polls()), 90, 300) < 1.1


@pytest.mark.parametrize("resumed", [5.0, 130.0])
def test_waits_that_a_stall_has_bunched_are_spread_within_two_windows(resumed: float) -> None:
    draw = random.Random(3).random

    def after_stall(place: Place) -> Iterable[float]:
        at = resumed
        while at < 300:
            at += next_poll(at, place)
            yield at

    seconds = per_second(at for _ in range(N) for at in after_stall(Place.draw(draw)))
    begin, width = next(window for window in windows() if sum(window) > resumed)
    assert max(seconds[second] for second in range(int(begin), 300)) < 1.5 * N / width
    assert burst(seconds, int(max(resumed + 20, 28)), 300) < 1.1


def test_a_poll_that_takes_longer_than_a_window_is_followed_by_a_pause() -> None:
    for phase in (0.0, 0.3, 0.99):
        pauses = [after - before - 40.0 for before, after in pairwise(times(Place(phase, 0), 300, latency=40.0))]
        assert min(pauses) >= LONGEST / 3 - 1e-6
