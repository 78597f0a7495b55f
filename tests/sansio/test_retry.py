"""The decision to repeat an attempt, and the wait before it."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaydance_async import (
    APIConnectionError,
    APITimeoutError,
    BadRequestError,
    ConfigurationError,
    IncompleteStreamError,
    RateLimitError,
    RelayDanceError,
    ResponseDecodeError,
    RetryPolicy,
    ServerError,
    StreamError,
)
from relaydance_async._sansio.request import RetrySafety
from relaydance_async._sansio.retry import Decision, GiveUp, Retry, Unsent, backoff, decide, is_ambiguous
from relaydance_async.models.meta import ResponseMeta

SAFE, BILLED, SMALL = RetrySafety.SAFE, RetrySafety.BILLED, RetrySafety.BILLED_SMALL
NO_ROUTE = APIConnectionError("no route", retryable=True)
LOST = APIConnectionError("reset", retryable=True, maybe_accepted=True)
LATE = APITimeoutError("no answer", retryable=True, maybe_accepted=True)
BUSY = RateLimitError("slow down", retryable=True)
DOWN = ServerError("down", retryable=True)

BROKEN = StreamError("broke", retryable=True, maybe_accepted=True)

BEGUN = GiveUp("its answer had begun")


def stranger(status: int) -> ServerError:
    """What somebody in between says of a request that it passed on."""
    return ServerError("gone", meta=ResponseMeta(status_code=status), retryable=True, maybe_accepted=True)


STRANGER = stranger(502)

FINAL = GiveUp("the same request would fail again")
ONCE = GiveUp("its body can be read only once")
AMBIGUOUS = GiveUp("it may have been accepted, and would then be paid for twice")


def spent(attempts: int) -> GiveUp:
    return GiveUp(f"this was attempt {attempts} of {attempts}")


def too_late(wait: str, deadline: str) -> GiveUp:
    return GiveUp(f"the next attempt would begin after {wait} s, when the deadline of {deadline} s is over")


def decided(error: RelayDanceError, **changes: Any) -> Decision:
    arguments: dict[str, Any] = {
        "attempt": 1,
        "now": 1000.0 + changes.pop("elapsed", 0.0),
        "began_at": 1000.0,
        "deadline": None,
        "safety": SAFE,
        "repeatable": True,
        "policy": RetryPolicy(),
        "jitter": 1.0,
        **changes,
    }
    return decide(error, **arguments)


TABLE: dict[str, tuple[object, object]] = {
    "a server error is repeated": (decided(DOWN), Retry(0.5)),
    "a server error of a billed request is repeated, for it was not accepted": (
        decided(DOWN, safety=BILLED),
        Retry(0.5),
    ),
    "a 429 of a billed request is repeated": (decided(BUSY, safety=BILLED), Retry(0.5)),
    "a connection that never opened is repeated": (decided(NO_ROUTE), Retry(0.5)),
    "a connection that never opened is repeated, billed or not": (decided(NO_ROUTE, safety=BILLED), Retry(0.5)),
    "a lost answer of a GET is repeated": (decided(LOST), Retry(0.5)),
    "a late answer of a GET is repeated": (decided(LATE), Retry(0.5)),
    "a lost answer of a billed request is not": (decided(LOST, safety=BILLED), AMBIGUOUS),
    "a late answer of a billed request is not": (decided(LATE, safety=BILLED), AMBIGUOUS),
    "unless the policy allows it": (
        decided(LOST, safety=BILLED, policy=RetryPolicy(retry_ambiguous=True)),
        Retry(0.5),
    ),
    "a stream that broke in place of a billed answer is not": (decided(BROKEN, safety=BILLED), AMBIGUOUS),
    "nor is one that was cut off": (decided(IncompleteStreamError("cut", maybe_accepted=True), safety=BILLED), BEGUN),
    **{
        f"a {status} of a stranger is repeated for chat alone": (
            (decided(stranger(status), safety=BILLED), decided(stranger(status), safety=SMALL)),
            (AMBIGUOUS, Retry(0.5)),
        )
        for status in (500, 502, 503)
    },
    **{
        f"a {status} of a stranger, who waited for long, is not repeated for chat either": (
            (decided(stranger(status), safety=BILLED), decided(stranger(status), safety=SMALL)),
            (AMBIGUOUS, AMBIGUOUS),
        )
        for status in (408, 499, 504, 520, 522, 524, 600)
    },
    "a lost answer of a chat is not repeated": (decided(LOST, safety=SMALL), AMBIGUOUS),
    "a policy that allows it allows it for all": (
        [decided(stranger(504), safety=one, policy=RetryPolicy(retry_ambiguous=True)) for one in (BILLED, SMALL)],
        [Retry(0.5), Retry(0.5)],
    ),
    "a policy that forbids it forbids it for chat too": (
        decided(STRANGER, safety=SMALL, policy=RetryPolicy(retry_ambiguous=False)),
        AMBIGUOUS,
    ),
    "a bad request is final": (decided(BadRequestError("bad")), FINAL),
    "an unreadable answer is final": (decided(ResponseDecodeError("odd"), safety=BILLED), FINAL),
    "the last attempt is the last": (decided(DOWN, attempt=4), spent(4)),
    "one attempt is one attempt": (decided(DOWN, policy=RetryPolicy(max_attempts=1)), spent(1)),
    "an attempt that had no connection does not count": (
        decided(NO_ROUTE, attempt=30, elapsed=40.0, unsent=Unsent(30, 1000.0)),
        Retry(3.0),
    ),
    "one after requests that were sent neither": (
        decided(NO_ROUTE, attempt=30, elapsed=40.0, unsent=Unsent(27, 1000.0)),
        Retry(3.0),
    ),
    "without a deadline it is repeated for a minute": (
        decided(NO_ROUTE, attempt=30, elapsed=157.0, unsent=Unsent(30, 1100.0)),
        GiveUp("there was no connection for 57 s"),
    ),
    "with a deadline until that": (
        decided(NO_ROUTE, attempt=90, elapsed=297.1, deadline=300.0, unsent=Unsent(90, 1000.0)),
        too_late("3.0", "300"),
    ),
    "it is waited for no longer than the policy says": (
        decided(NO_ROUTE, attempt=9, policy=RetryPolicy(cap=0.7), unsent=Unsent(9, 1000.0)),
        Retry(0.7),
    ),
    "one attempt is one attempt, without a connection too": (
        decided(NO_ROUTE, policy=RetryPolicy(max_attempts=1), unsent=Unsent(1, 1000.0)),
        spent(1),
    ),
    "requests that were sent count": (
        decided(DOWN, attempt=14, unsent=Unsent(10)),
        GiveUp("4 requests of 4 were sent"),
    ),
    "a body that can be read once is sent once": (decided(DOWN, repeatable=False), ONCE),
    "a wait within the deadline is made": (decided(DOWN, elapsed=0.4, deadline=1.0), Retry(0.5)),
    "a wait that ends with the deadline is not": (decided(DOWN, elapsed=0.5, deadline=1.0), too_late("0.5", "1")),
    "a wait beyond the deadline is not": (decided(DOWN, elapsed=0.9, deadline=1.0), too_late("0.5", "1")),
    "Retry-After is the least wait": (decided(RateLimitError("m", retry_after=7.0, retryable=True)), Retry(7.0)),
    "Retry-After of a server error counts too": (
        decided(ServerError("m", retry_after=7.0, retryable=True)),
        Retry(7.0),
    ),
    "a back-off longer than Retry-After stays": (
        decided(RateLimitError("m", retry_after=0.1, retryable=True)),
        Retry(0.5),
    ),
    "a Retry-After of 0 leaves the back-off": (
        decided(RateLimitError("m", retry_after=0.0, retryable=True)),
        Retry(0.5),
    ),
    "Retry-After may go above the cap": (
        decided(RateLimitError("m", retry_after=60.0, retryable=True), policy=RetryPolicy(cap=1.0)),
        Retry(60.0),
    ),
    "without a deadline, Retry-After may ask for two minutes": (
        decided(RateLimitError("m", retry_after=120.0, retryable=True)),
        Retry(120.0),
    ),
    "and for no more": (
        decided(RateLimitError("m", retry_after=86400.0, retryable=True)),
        GiveUp("Retry-After asks for 86400 s, and without a deadline a call waits 120 s at most (longest_retry_after)"),
    ),
    "with a deadline, that decides": (
        decided(RateLimitError("m", retry_after=900.0, retryable=True), deadline=1000.0),
        Retry(900.0),
    ),
    "Retry-After above the deadline ends the call": (
        decided(RateLimitError("m", retry_after=60.0, retryable=True), deadline=30.0),
        too_late("60.0", "30"),
    ),
}


@pytest.mark.parametrize("case", TABLE)
def test_the_decision_table(case: str) -> None:
    got, wanted = TABLE[case]
    assert got == wanted


def test_only_a_billed_request_that_may_have_been_accepted_is_ambiguous() -> None:
    assert is_ambiguous(LOST, BILLED)
    assert is_ambiguous(LATE, BILLED)
    assert not is_ambiguous(LOST, SAFE)
    assert not is_ambiguous(NO_ROUTE, BILLED)
    assert is_ambiguous(STRANGER, BILLED)
    assert not is_ambiguous(STRANGER, SAFE)
    assert not is_ambiguous(DOWN, SMALL)


ERRORS = st.sampled_from(
    [STRANGER, stranger(504), NO_ROUTE, LOST, LATE, BUSY, DOWN, BadRequestError("bad"), ResponseDecodeError("odd")]
)
POLICIES = st.builds(
    RetryPolicy,
    max_attempts=st.integers(1, 20),
    base=st.floats(0, 1e6),
    cap=st.floats(0, 1e6),
    retry_ambiguous=st.none() | st.booleans(),
)
ATTEMPTS = st.integers(1, 10_000)
CHANCES = st.floats(0, 1)


@given(ERRORS, ATTEMPTS, st.floats(0, 1e9), st.none() | st.floats(1e-3, 1e9), st.booleans(), POLICIES, CHANCES)
def test_no_decision_breaks_a_promise(
    error: RelayDanceError,
    attempt: int,
    elapsed: float,
    deadline: float | None,
    repeatable: bool,
    policy: RetryPolicy,
    jitter: float,
) -> None:
    for safety in RetrySafety:
        decision = decide(
            error,
            attempt=attempt,
            now=1000.0 + elapsed,
            began_at=1000.0,
            deadline=deadline,
            safety=safety,
            repeatable=repeatable,
            policy=policy,
            jitter=jitter,
        )
        if isinstance(decision, GiveUp):
            assert decision.why
            continue
        assert error.retryable
        assert repeatable
        assert attempt < policy.max_attempts
        assert 0 <= decision.after <= policy.cap
        assert deadline is None or (1000.0 + elapsed) - 1000.0 + decision.after < deadline
        if safety.billed and error.maybe_accepted:
            assert policy.retry_ambiguous or (safety is SMALL and policy.retry_ambiguous is None and error is STRANGER)


@given(ATTEMPTS, POLICIES, CHANCES)
def test_the_back_off_is_full_jitter_below_the_cap(attempt: int, policy: RetryPolicy, jitter: float) -> None:
    longest = backoff(attempt, policy, 1.0)
    assert backoff(attempt, policy, 0.0) == 0.0
    assert 0.0 <= backoff(attempt, policy, jitter) <= longest <= policy.cap
    assert backoff(attempt, policy, jitter) == pytest.approx(jitter * longest)
    assert longest <= backoff(attempt + 1, policy, 1.0)


def test_the_longest_wait_doubles_up_to_the_cap() -> None:
    assert [backoff(attempt, RetryPolicy(), 1.0) for attempt in range(1, 8)] == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]


def test_no_number_of_attempts_overflows() -> None:
    assert backoff(10**9, RetryPolicy(base=1e300, cap=5.0), 1.0) == 5.0


@pytest.mark.parametrize(
    "changes",
    [
        {"max_attempts": 0},
        {"max_attempts": -1},
        {"max_attempts": 1.5},
        {"max_attempts": float("nan")},
        {"max_attempts": True},
        {"max_attempts": "4"},
        {"base": -1},
        {"base": float("nan")},
        {"base": float("inf")},
        {"base": "1"},
        {"cap": -0.1},
        {"cap": float("inf")},
        {"cap": None},
        {"longest_retry_after": -1},
        {"longest_retry_after": float("inf")},
        {"longest_retry_after": "120"},
    ],
)
def test_a_policy_out_of_range_is_refused_when_it_is_made(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"max_attempts|base and cap|longest_retry_after"):
        RetryPolicy(**changes)


def test_a_policy_is_a_value() -> None:
    assert RetryPolicy() == RetryPolicy(4, 0.5, 8.0, None, 120.0)
    assert hash(RetryPolicy()) == hash(RetryPolicy())
    assert pickle.loads(pickle.dumps(RetryPolicy(2))) == RetryPolicy(2)
    with pytest.raises(AttributeError):
        RetryPolicy().max_attempts = 5  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


def test_only_those_without_a_connection_in_a_row_are_timed() -> None:
    unsent = Unsent().after(5.0, is_sent=False).after(7.0, is_sent=False)
    assert unsent == Unsent(2, 5.0)
    assert unsent.after(8.0, is_sent=True) == Unsent(2)
    assert unsent.after(8.0, is_sent=True).after(9.0, is_sent=False) == Unsent(3, 9.0)
