"""Many waits that end or begin while others go on: played in virtual time."""

from __future__ import annotations

import heapq
import random
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from math import sqrt
from statistics import mean

import pytest

from relaydance_async._sansio.polling import (
    AT_ONCE,
    LONGEST,
    MOST_PER_SECOND,
    Place,
    every_nth,
    next_poll,
    polls_per_second,
)

Ends = Callable[[int], float]
"""When the task of that number ends, in seconds."""


class Crowd:
    """Waits, each of which ends at its first poll after the end of its task."""

    def __init__(self, begins: list[float], ends: Ends) -> None:
        self.per_second: Counter[int] = Counter()
        self.polls: list[list[float]] = [[] for _ in begins]
        self.most = 0
        self._begins = begins
        self._ends = ends
        self._draw = random.Random(1).random

    def play(self, until: float) -> None:
        places = [Place.draw(self._draw) for _ in self._begins]
        together = self._begins.count(self._begins[0])
        due = [
            (begin + (0.0 if together <= AT_ONCE else next_poll(0.0, place, together)), number)
            for number, (begin, place) in enumerate(zip(self._begins, places, strict=True))
        ]
        heapq.heapify(due)
        ended = 0
        while due and due[0][0] < until:
            at, number = heapq.heappop(due)
            under_way = bisect_right(self._begins, at) - ended
            self.most = max(self.most, under_way)
            self.polls[number].append(at)
            self.per_second[int(at)] += 1
            if at >= self._ends(number):
                ended += 1
            else:
                pause = next_poll(at - self._begins[number], places[number], under_way)
                heapq.heappush(due, (at + pause, number))

    def busiest(self, begin: int, end: int) -> int:
        return max(self.per_second[second] for second in range(begin, end))


def late_ends(stay: int, at: float) -> Ends:
    """All but that many tasks end at that moment; the others go on."""
    return lambda number: float("inf") if number < stay else at


@pytest.mark.parametrize("waits", [10_000, 100_000])
def test_the_first_polls_of_many_waits_are_spread_too(waits: int) -> None:
    crowd = Crowd([0.0] * waits, late_ends(waits, 0.0))
    crowd.play(60.0)
    assert crowd.busiest(0, 60) <= polls_per_second(waits) + 5 * sqrt(polls_per_second(waits))


@pytest.mark.parametrize(("waits", "seconds"), [(10_000, 250), (40_000, 500)])
def test_when_most_waits_end_the_others_soon_ask_every_15_seconds_again(waits: int, seconds: float) -> None:
    crowd = Crowd([0.0] * waits, late_ends(100, 300.0))
    crowd.play(900.0)
    assert crowd.busiest(1, 900) <= 1.1 * MOST_PER_SECOND
    pauses = [
        (after, after - before)
        for polls in crowd.polls[:100]
        for before, after in pairwise(polls)
        if before >= 30.0  # the windows have grown to 15 s by then
    ]
    expected = LONGEST * every_nth(LONGEST, waits)
    assert {round(pause) for at, pause in pauses if at < 300} == {expected}
    assert {round(pause) for at, pause in pauses if at >= 300 + seconds} == {15}


@pytest.mark.parametrize("ended", [2.0, 6.0, 20.0, 100.0])
def test_waits_stay_spread_when_others_end_at_any_time(ended: float) -> None:
    crowd = Crowd([0.0] * 16_000, late_ends(8_000, ended))
    crowd.play(500.0)
    assert crowd.busiest(1, 500) <= 1.1 * MOST_PER_SECOND
    settled = [crowd.per_second[second] for second in range(350, 500)]
    expected = 8_000 / (LONGEST * every_nth(LONGEST, 8_000))
    assert max(settled) <= expected + 4.5 * sqrt(expected)
    assert min(settled) >= expected - 4.5 * sqrt(expected)


def test_waits_stay_spread_while_their_number_falls_little_by_little() -> None:
    def ends(number: int) -> float:
        return 60.0 + number * 1_200.0 / 40_000

    crowd = Crowd([0.0] * 40_000, ends)
    crowd.play(2_000.0)
    assert crowd.busiest(1, 2_000) <= 1.1 * MOST_PER_SECOND
    late = [polls[-1] - ends(number) for number, polls in enumerate(crowd.polls)]
    assert mean(late[:2_000]) == pytest.approx(120.0, rel=0.1)  # each asks every 240 s
    assert mean(late[-2_000:]) < 60.0


def test_waits_stay_spread_while_their_number_rises() -> None:
    crowd = Crowd([number * 60.0 / 30_000 for number in range(30_000)], late_ends(30_000, 0.0))
    crowd.play(200.0)
    assert crowd.most == 30_000
    # Each begins with a poll of its own, 500 a second.
    assert crowd.busiest(1, 60) <= 1.1 * MOST_PER_SECOND + 550
    assert crowd.busiest(90, 200) <= 1.1 * MOST_PER_SECOND
