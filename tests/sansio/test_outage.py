"""Outages of a gateway: three states, and what moves between them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from relaydance_async._sansio.outage import Down, Failure, Healthy, OutageLimits, Probing, State

LIMITS = OutageLimits()
BUSY = Failure("HTTP 503")
DOUBT = Failure("HTTP 524", in_doubt=True)


def healthy() -> State:
    return Healthy(LIMITS.budget)


def failed(state: State, failure: Failure = BUSY, now: float = 10.0, passed_at: float = 10.0) -> State:
    assert isinstance(state, Healthy)
    return state.failed(failure, now, passed_at, 1.0, LIMITS)


def down() -> Down:
    state = healthy()
    for _ in range(10):
        state = failed(state)
    assert isinstance(state, Down)
    return state


def test_ten_failures_without_a_success_empty_the_budget() -> None:
    state = healthy()
    for _ in range(9):
        state = failed(state)
        assert isinstance(state, Healthy)
    assert isinstance(failed(state), Down)


def test_ten_successes_make_up_for_a_failure() -> None:
    state = failed(healthy())
    for _ in range(11):
        assert isinstance(state, Healthy)
        state = state.succeeded(LIMITS)
    assert state == healthy()


def test_three_answers_in_a_row_that_leave_a_doubt_are_enough_and_the_probe_is_due_at_once() -> None:
    state = failed(failed(healthy(), DOUBT), DOUBT)
    assert isinstance(state, Healthy)
    assert failed(state, DOUBT) == Down(10.0, 10.0, 0, "HTTP 524")


def test_a_success_between_them_ends_the_row() -> None:
    state = failed(failed(healthy(), DOUBT), DOUBT)
    assert isinstance(state, Healthy)
    assert isinstance(failed(state.succeeded(LIMITS), DOUBT), Healthy)


def test_the_waits_between_probes_double_up_to_five_seconds() -> None:
    state, waits = down(), list[float]()
    for _ in range(7):
        waits.append(state.probe_at - 10.0)
        probing = state.passed(10.0, LIMITS)
        state = probing.probe_failed("HTTP 503", 10.0, 1.0, LIMITS)
    assert waits == [0.25, 0.5, 1.0, 2.0, 4.0, 5.0, 5.0]


def test_a_probe_without_an_answer_is_followed_by_another() -> None:
    probing = down().passed(11.0, LIMITS)
    assert probing.delay(11.0) == LIMITS.patience
    assert probing.delay(11.0 + LIMITS.patience) == 0.0


def test_a_probe_that_is_given_up_lets_the_next_one_go_at_once() -> None:
    assert down().passed(11.0, LIMITS).probe_given_up(11.5).delay(11.5) == 0.0


def test_after_an_outage_half_of_the_budget_is_there_and_what_passed_before_does_not_count() -> None:
    state = down().passed(11.0, LIMITS).probe_succeeded(12.0, LIMITS)
    assert state.budget == LIMITS.budget / 2
    assert failed(state, passed_at=11.9) == state
    assert failed(state, passed_at=12.0) != state


def test_when_outages_follow_one_another_the_waits_go_on_growing() -> None:
    state: State = down().passed(11.0, LIMITS).probe_succeeded(12.0, LIMITS)
    for _ in range(5):
        state = failed(state, now=20.0, passed_at=20.0)
    assert isinstance(state, Down)
    assert state.probe_at == 20.5


@given(st.lists(st.sampled_from(["success", "failure", "doubt", "pass", "cancel", "wait"]), max_size=200))
def test_whatever_happens_a_call_may_pass_within_five_seconds(events: list[str]) -> None:
    state, now = healthy(), 0.0
    for event in events:
        if isinstance(state, Healthy):
            if event == "success":
                state = state.succeeded(LIMITS)
            elif event in ("failure", "doubt"):
                state = state.failed(DOUBT if event == "doubt" else BUSY, now, now, 1.0, LIMITS)
        elif isinstance(state, Probing) and event in ("success", "failure", "cancel"):
            match event:
                case "success":
                    state = state.probe_succeeded(now, LIMITS)
                case "failure":
                    state = state.probe_failed("down", now, 1.0, LIMITS)
                case _:
                    state = state.probe_given_up(now)
        elif event == "pass" and state.delay(now) == 0.0:
            state = state.passed(now, LIMITS)
        now += 1.0 if event == "wait" else 0.0
        assert state.delay(now) <= 5.0
