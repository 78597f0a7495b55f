"""The pace of a key: six states, and what moves between them."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaydance_async._sansio.pace import Closed, Open, PaceLimits, Ramping, Starting, State, Steady, Trying

LIMITS = PaceLimits()

MOVES: set[tuple[type, type]] = {
    (Starting, Open),
    (Starting, Closed),
    (Open, Closed),
    (Closed, Ramping),
    (Closed, Open),  # the pause is over, and so much was accepted before it that the ramp begins above all limits
    (Closed, Trying),
    (Trying, Closed),
    (Ramping, Steady),
    (Ramping, Open),
    (Steady, Closed),
    (Steady, Open),
}


class Key:
    """A key's pace on a clock of its own: whoever is held back waits for exactly as long as it says."""

    def __init__(self, state: State | None = None) -> None:
        self.now = 50.0
        self.state: State = state if state is not None else Starting(LIMITS.start)

    def delay(self) -> float:
        self.state = self.state.tick(self.now, LIMITS)
        return self.state.delay(self.now)

    def call(self) -> float:
        """One call waits and passes: when it did."""
        while delay := self.delay():
            self.now += delay
        self.state = self.state.admitted(self.now, LIMITS)
        return self.now

    def refuse(self, retry_after: float = 1.0, admitted_at: float | None = None) -> None:
        at = self.now if admitted_at is None else admitted_at
        self.state = self.state.refused(self.now, retry_after, at, LIMITS)

    def learn(self, limit: float) -> None:
        """Ten seconds of calls, refused where they are more than that limit allows."""
        begun, accepted = self.now, 0
        while self.now < begun + 10:
            self.call()
            if accepted < 5 + limit * (self.now - begun):
                accepted += 1
            else:
                self.refuse()


def opened() -> Key:
    """A key whose first calls have passed."""
    key = Key()
    while not isinstance(key.state, Open):
        key.call()
    return key


def ramping() -> Key:
    """A key whose pause has just ended."""
    key = Key()
    key.refuse(5.0)
    key.call()
    assert isinstance(key.state, Ramping)
    return key


def steady(limit: float = 100.0) -> Key:
    key = Key()
    key.learn(limit)
    assert isinstance(key.state, Steady)
    return key


def type_of(key: Key) -> type:
    return type(key.state)


# Starting


def test_the_first_calls_pass_ever_faster_until_no_limit_is_known() -> None:
    key = Key()
    passed: list[float] = []
    while not isinstance(key.state, Open):
        passed.append(key.call() - 50)
    assert passed[9] == passed[0] == 0
    assert passed[99] == pytest.approx(0.13, abs=0.02)
    gaps = [after - before for before, after in pairwise(passed[12:])]
    assert gaps == sorted(gaps, reverse=True)
    assert passed[-1] < 0.2


def test_a_trickle_of_first_calls_waits_for_nothing() -> None:
    key = Key()
    for _ in range(300):
        assert key.delay() == 0.0
        key.call()
        key.now += 0.01


def test_the_first_refusal_closes_it_for_as_long_as_was_asked() -> None:
    key = Key()
    key.refuse(5.0)
    assert key.state == Closed(until=55.0, refused_at=50.0, calls=0, refusals=1)
    assert key.state.rate == 0.0
    assert key.delay() == 5.0


# Open


def test_an_open_key_holds_nobody_back() -> None:
    key = opened()
    for _ in range(1_000):
        assert key.delay() == 0.0
        key.call()
    assert key.state.rate is None


def test_an_open_key_makes_no_object_for_a_call_but_one_for_a_new_count() -> None:
    key = opened()
    key.now += 2
    key.call()
    counting = key.state
    for _ in range(100):
        key.call()
    assert key.state is counting
    assert counting == Open(since=key.now, calls=101, refusals=0)
    key.now += LIMITS.trial + 0.1
    key.call()
    assert key.state == Open(since=key.now, calls=1, refusals=0)


def test_a_refusal_closes_an_open_key() -> None:
    key = opened()
    key.refuse(5.0)
    assert isinstance(key.state, Closed)
    assert key.delay() == 5.0


# Closed


def test_the_other_refusals_of_a_volley_may_lengthen_the_pause() -> None:
    key = Key()
    for asked in (5.0, 2.0, 7.0, 3.0):
        key.refuse(asked)
    assert key.delay() == 7.0


def test_a_call_that_another_thread_let_in_is_counted_and_opens_nothing() -> None:
    key = Key()
    key.refuse(5.0)
    closed = key.state
    assert isinstance(closed, Closed)
    assert closed.admitted(key.now, LIMITS) == Closed(closed.until, closed.refused_at, closed.calls + 1, 1)


def test_the_pace_after_a_pause_begins_with_what_was_accepted_before_it() -> None:
    key = opened()
    key.now += 2
    for _ in range(50):
        key.call()
    for _ in range(20):
        key.refuse()
    key.now += 1
    key.delay()
    assert key.state.rate == 30.0


def test_a_key_that_accepted_nothing_begins_with_one_call_a_second() -> None:
    key = ramping()
    assert key.state.rate == LIMITS.ramp_floor == 1.0


# Ramping


def test_after_the_pause_calls_pass_ever_faster_until_no_limit_is_known() -> None:
    key = ramping()
    passed = [key.call() for _ in range(20)]
    gaps = [after - before for before, after in pairwise(passed)]
    assert gaps == sorted(gaps, reverse=True)
    for _ in range(60):
        key.now += 1.0
        key.call()
    assert isinstance(key.state, Open)


def test_a_long_silence_grows_the_ramp_by_one_second_only() -> None:
    key = ramping()
    before = key.state.rate
    assert before is not None
    key.now += 1_000
    key.delay()
    assert key.state.rate == pytest.approx(before * LIMITS.ramp)


def test_a_lone_refusal_does_not_end_the_ramp_but_two_close_together_do() -> None:
    key = ramping()
    for _ in range(20):
        key.call()
    key.refuse()
    assert type_of(key) is Ramping
    key.now += LIMITS.near * 2
    key.refuse()
    assert type_of(key) is Ramping
    key.now += LIMITS.near / 2
    key.refuse()
    assert type_of(key) is Steady


def test_two_refusals_at_the_very_begin_of_a_ramp_are_no_division_by_zero() -> None:
    key = Key()
    key.refuse(0.0)
    key.call()
    key.refuse()
    assert isinstance(key.state, Steady)
    assert key.state.rate == pytest.approx(LIMITS.guess / LIMITS.shortest_ramp)


@pytest.mark.parametrize("make", [ramping, steady])
def test_a_refusal_of_a_call_from_before_says_nothing_of_the_pace_now(make: Callable[[], Key]) -> None:
    key = make()
    before = key.state
    for _ in range(50):
        key.refuse(100.0, admitted_at=10.0)
    assert key.state is before


# Steady


def test_one_refusal_in_a_quiet_second_halves_the_pace_and_no_more() -> None:
    key = steady(100.0)
    key.now += 1.0
    key.call()
    key.refuse()
    for _ in range(5):
        key.now += 1.0
        assert key.delay() == 0.0
        key.call()
    assert key.state.rate is not None
    assert key.state.rate > 40


def test_good_trials_raise_the_pace_a_little_and_then_ever_more() -> None:
    key = Key(Steady(rate=100.0, next_at=50.0, since=50.0, calls=0, refusals=0, good_trials=0))
    rates = [100.0]
    for _ in range(8):
        key.now += LIMITS.trial
        key.delay()
        rates.append(key.state.rate or 0.0)
    growth = [after / before - 1 for before, after in pairwise(rates)]
    assert growth == pytest.approx([0.02, 0.02, 0.02, 0.02, 0.04, 0.08, 0.16, 0.32])


def test_many_good_trials_open_it() -> None:
    key = steady(100.0)
    for _ in range(30):
        key.now += LIMITS.trial
        key.delay()
    assert isinstance(key.state, Open)


def test_a_trial_with_a_few_refusals_goes_on_a_little_below_what_was_accepted() -> None:
    key = Key(Steady(rate=100.0, next_at=50.0, since=50.0, calls=100, refusals=4, good_trials=3))
    key.refuse()
    assert key.state == Steady(100.0 * LIMITS.below * 0.95, 50.0, since=50.0, calls=0, refusals=0, good_trials=0)


def test_a_trial_whose_calls_were_mostly_refused_closes_it() -> None:
    key = Key(Steady(rate=100.0, next_at=50.0, since=50.0, calls=8, refusals=4, good_trials=3))
    key.refuse(5.0)
    assert key.state == Closed(until=55.0, refused_at=50.0, calls=8, refusals=5)


def test_the_pace_never_falls_below_the_slowest() -> None:
    key = Key(Steady(rate=LIMITS.floor, next_at=50.0, since=50.0, calls=1, refusals=1, good_trials=0))
    key.now += LIMITS.trial
    key.delay()
    assert key.state.rate == LIMITS.floor


def test_a_late_event_loop_catches_up_for_a_moment_only() -> None:
    key = Key(Steady(rate=100.0, next_at=50.0, since=50.0, calls=0, refusals=0, good_trials=0))
    key.now += 0.9
    at_once = 0
    while key.delay() == 0.0:
        key.call()
        at_once += 1
    assert at_once == pytest.approx(100 * LIMITS.catch_up, abs=1)


# All of them

EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["call", "call", "call", "refuse", "refuse", "late refusal"]),
        st.sampled_from([0.0, 1e-4, 0.01, 0.1, 0.9, 1.0, 5.0]),
        st.sampled_from([0.0, 0.05, 1.0, 30.0]),
    ),
    max_size=200,
)


@given(EVENTS)
def test_any_life_moves_only_as_the_table_says(events: list[tuple[str, float, float]]) -> None:
    key, begun = Key(), 50.0
    for event, passed, retry_after in events:
        key.now += passed
        before = key.state
        key.delay()
        check_step(before, key.state)
        before = key.state
        if event == "call":
            key.call()
            continue
        key.refuse(retry_after, admitted_at=begun if event == "late refusal" else None)
        check_step(before, key.state)


def check_step(before: State, after: State) -> None:
    assert type(before) is type(after) or (type(before), type(after)) in MOVES
    assert after.rate is None or after.rate == 0 or after.rate >= LIMITS.floor


@given(EVENTS)
def test_asking_changes_nothing_and_telling_the_time_twice_neither(events: list[tuple[str, float, float]]) -> None:
    key = Key()
    for event, passed, retry_after in events:
        key.now += passed
        delay, told = key.delay(), copy(key.state)
        assert key.state.delay(key.now) == delay >= 0
        assert key.state == told
        assert key.state.tick(key.now, LIMITS) == told
        if event == "call" and not delay:
            key.state = key.state.admitted(key.now, LIMITS)
        elif event != "call":
            key.refuse(retry_after)


def test_numbers_of_ones_own_are_followed() -> None:
    limits = PaceLimits(start=1.0, start_burst=1)
    state: State = Starting(limits.start)
    state = state.tick(50.0, limits).admitted(50.0, limits)
    assert state.tick(50.0, limits).delay(50.0) == 0.0
    state = state.admitted(50.0, limits)
    assert state.tick(50.0, limits).delay(50.0) == pytest.approx(0.97, abs=0.01)


def test_a_pause_is_a_minute_at_most_then_one_call_tries() -> None:
    key = Key()
    key.refuse(86_400.0)
    refused_at = key.now
    assert key.call() == refused_at + LIMITS.longest_pause
    assert isinstance(key.state, Trying)
    assert key.delay() == LIMITS.try_gap


def test_while_the_one_that_tries_has_no_answer_others_try_one_by_one() -> None:
    key = Key()
    key.refuse(3_600.0)
    tries = [key.call() for _ in range(5)]
    assert [after - before for before, after in pairwise(tries)] == [LIMITS.try_gap] * 4


def test_when_the_one_that_tries_is_refused_the_pause_begins_again() -> None:
    key = Key()
    key.refuse(3_600.0)
    key.call()
    key.refuse(3_600.0)
    assert key.delay() == LIMITS.longest_pause
    key.call()
    assert isinstance(key.state, Trying)


def test_when_the_one_that_tries_is_accepted_the_others_follow_slowly_at_first() -> None:
    key = Key()
    key.refuse(3_600.0)
    key.call()
    assert isinstance(key.state, Trying)
    key.state = key.state.accepted(key.now, LIMITS)
    assert isinstance(key.state, Ramping)
    assert key.state.rate == LIMITS.ramp_floor


def test_a_shorter_refusal_does_not_undo_that_a_pause_was_cut() -> None:
    key = Key()
    key.refuse(3_600.0)
    key.refuse(1.0)
    key.call()
    assert isinstance(key.state, Trying)
