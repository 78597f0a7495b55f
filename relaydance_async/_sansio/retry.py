"""Whether a failed attempt is repeated, and after how long: one pure decision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from ..errors import IN_DOUBT, APIStatusError, ConfigurationError, RateLimitError, RelayDanceError, StreamError
from .answerer import FAILED_SOON
from .request import RetrySafety

PATIENCE = 60.0
"""Seconds that a call without a deadline waits for a gateway that can't be reached."""

_UNSENT_CAP = 3.0
"""Seconds, the longest wait after an attempt that had no connection: such an attempt costs nobody anything."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When and how often a call is repeated: the one place for retry settings.

    The wait before the n-th retry (n from 1) is drawn evenly from 0 to `min(cap, base * 2**(n-1))` seconds ("full
    jitter", AWS Architecture Blog, "Exponential Backoff And Jitter"), and is never less than the gateway's
    `Retry-After`.

    Attributes:
        max_attempts: requests sent, the first one included; 1 means no retries. OpenAI's SDK makes 3. An attempt that
            had no connection sent nothing and does not count: it is repeated until the deadline, without one for 60
            seconds, with waits of 3 seconds at most.
        base: seconds; the longest first wait.
        cap: seconds; the longest wait of all, unless `Retry-After` asks for more.
        retry_ambiguous: whether a billed request is repeated that may have been accepted, and may then be paid for
            twice: the connection broke or timed out after it was sent, or somebody in between answered instead of the
            gateway. None, the default: by endpoint. Video, images and uploads are not repeated. Chat costs little and
            is asked by a person who waits: it is repeated after a 500, 502 or 503 of somebody in between, but not
            after a time-out.
        longest_retry_after: seconds that a call without a deadline waits for a `Retry-After` at most. One that asks for
            more ends the call at once, with the error. With a deadline, that decides.

    Raises:
        ConfigurationError: when a value is out of range.
    """

    max_attempts: int = 4
    base: float = 0.5
    cap: float = 8.0
    retry_ambiguous: bool | None = None
    longest_retry_after: float = 120.0

    def __post_init__(self) -> None:
        if not _is_whole(self.max_attempts) or self.max_attempts < 1:
            raise ConfigurationError(f"max_attempts must be a whole number of 1 or more, not {self.max_attempts!r}")
        if not (_is_seconds(self.base) and _is_seconds(self.cap)):
            raise ConfigurationError(f"base and cap must be seconds, 0 or more, not {self.base!r} and {self.cap!r}")
        if not _is_seconds(self.longest_retry_after):
            raise ConfigurationError(
                f"longest_retry_after must be seconds, 0 or more, not {self.longest_retry_after!r}"
            )


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_seconds(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf")


@dataclass(frozen=True, slots=True)
class Unsent:
    """The attempts of a call that had no connection, and so sent nothing.

    Attributes:
        count: of them, so far.
        since: when the first of those in a row failed, on the monotonic clock; None when the last attempt was sent.
    """

    count: int = 0
    since: float | None = None

    def after(self, now: float, *, is_sent: bool) -> Unsent:
        """With one more attempt."""
        if is_sent:
            return self if self.since is None else Unsent(self.count)
        return Unsent(self.count + 1, now if self.since is None else self.since)


ALL_SENT = Unsent()


@dataclass(frozen=True, slots=True)
class Retry:
    """Repeat it after that many seconds."""

    after: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Don't repeat it.

    Attributes:
        why: in words that end the sentence "Not repeated: …".
    """

    why: str


Decision: TypeAlias = Retry | GiveUp


def decide(
    error: RelayDanceError,
    *,
    attempt: int,
    now: float,
    began_at: float,
    deadline: float | None,
    safety: RetrySafety,
    repeatable: bool,
    policy: RetryPolicy,
    jitter: float,
    unsent: Unsent = ALL_SENT,
    searched: int = 0,
    is_admitted: bool = True,
) -> Decision:
    """What follows a failed attempt.

    Args:
        error: what it ended in.
        attempt: its number, from 1.
        now, began_at: the time, and when the call began, on the monotonic clock.
        deadline: seconds that the whole call may take, or None.
        safety, repeatable: of the request.
        jitter: a random number from 0 to 1.
        unsent: the attempts that had no connection, with this one.
        searched: the attempts that were sent to find a limit, and refused. They don't count either, for as long as a
            call without a deadline waits for a `Retry-After`.
        is_admitted: whether it was ever its turn.
    """
    if not error.retryable:
        begun = isinstance(error, StreamError)
        return GiveUp("its answer had begun" if begun else "the same request would fail again")
    if is_ambiguous(error, safety) and not _may_repeat(error, safety, policy):
        return GiveUp(IN_DOUBT)
    if not is_admitted and not isinstance(error, RateLimitError):
        return GiveUp("its turn would not have come in time")
    if not repeatable:
        return GiveUp("its body can be read only once")
    if unsent.since is None or policy.max_attempts == 1:
        if deadline is None and now - began_at >= policy.longest_retry_after:
            searched = 0
        if attempt - unsent.count - searched >= policy.max_attempts or policy.max_attempts == 1:
            return GiveUp(_spent(attempt, unsent.count, policy))
        wait = backoff(attempt, policy, jitter)
    else:
        wait = min(_UNSENT_CAP * jitter, backoff(attempt, policy, jitter))
        if deadline is None and now - unsent.since + wait >= PATIENCE:
            return GiveUp(f"there was no connection for {now - unsent.since:.0f} s")
    asked = (error.retry_after if isinstance(error, APIStatusError) else None) or 0.0
    if deadline is None and asked > policy.longest_retry_after:
        return GiveUp(
            f"Retry-After asks for {asked:g} s, and without a deadline a call waits "
            f"{policy.longest_retry_after:g} s at most (longest_retry_after)"
        )
    wait = max(wait, asked)
    if deadline is not None and now - began_at + wait >= deadline:
        return GiveUp(f"the next attempt would begin after {wait:.1f} s, when the deadline of {deadline:g} s is over")
    return Retry(wait)


def _spent(attempt: int, unsent: int, policy: RetryPolicy) -> str:
    if unsent and policy.max_attempts > 1:
        return f"{attempt - unsent} requests of {policy.max_attempts} were sent"
    return f"this was attempt {attempt} of {policy.max_attempts}"


def is_ambiguous(error: RelayDanceError, safety: RetrySafety) -> bool:
    """Whether a billed request may have been accepted although it failed."""
    return safety.billed and error.maybe_accepted


def _may_repeat(error: RelayDanceError, safety: RetrySafety, policy: RetryPolicy) -> bool:
    """Whether a billed request is repeated although it may have been accepted."""
    if policy.retry_ambiguous is not None:
        return policy.retry_ambiguous
    down = isinstance(error, APIStatusError) and error.status_code in FAILED_SOON
    return safety is RetrySafety.BILLED_SMALL and down


def backoff(attempt: int, policy: RetryPolicy, jitter: float) -> float:
    """Seconds to wait after the attempt of that number, with full jitter."""
    # The exponent is bounded because a float overflows at 2**1024.
    return jitter * min(policy.cap, policy.base * 2.0 ** min(attempt - 1, 64))
