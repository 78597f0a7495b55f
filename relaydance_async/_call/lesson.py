"""What a limiter learns from how an attempt ended."""

from __future__ import annotations

from .._limits import Ended, How
from .._sansio.breakage import Reached
from .._sansio.outage import Failure
from .._sansio.request import RetrySafety
from .._sansio.retry import is_ambiguous
from ..errors import APIConnectionError, APIStatusError, APITimeoutError, RateLimitError, RelayDanceError, ServerError
from .attempt import Attempt


def lesson_of_unanswered(error: BaseException, attempt: Attempt, safety: RetrySafety) -> How:
    """From an attempt that got no answer."""
    if not isinstance(error, RelayDanceError):
        return Ended.OTHER
    return Ended.UNREACHED if had_no_connection(error, attempt) else lesson_of(error, safety)[0]


def lesson_of(error: RelayDanceError, safety: RetrySafety) -> tuple[How, float | None]:
    """From an error; and the seconds that a refusal asks for."""
    if isinstance(error, RateLimitError):
        return Ended.REFUSED, error.retry_after
    if isinstance(error, ServerError) and error.code is not None and error.code.endswith("_overloaded"):
        return Ended.OVERLOADED, None
    # What costs little is repeated all the same, so it is no reason to hold others back.
    in_doubt = safety is not RetrySafety.BILLED_SMALL and is_ambiguous(error, safety)
    if isinstance(error, APIConnectionError):
        return broken(error, in_doubt=in_doubt), None
    if isinstance(error, APIStatusError) and (error.status_code or 0) >= 500 and (in_doubt or error.code is None):
        return Failure(f"HTTP {error.status_code}", in_doubt), None
    return Ended.ANSWERED, None  # also an error with a code: it may be of one model alone


def broken(error: RelayDanceError, *, in_doubt: bool = False) -> Failure:
    """From a connection that could not be made, or broke."""
    # Not in the words of the error, which are somebody else's.
    late = isinstance(error, APITimeoutError)
    return Failure("it does not answer in time" if late else "the connection breaks", in_doubt)


def had_no_connection(cause: RelayDanceError, attempt: Attempt) -> bool:
    """Whether it was its turn and nothing was sent."""
    unsent = attempt.admitted_at is not None and attempt.reached is Reached.NOT_SENT
    return unsent and isinstance(cause, APIConnectionError)
