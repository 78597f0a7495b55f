"""What a rate limit must be, from when it was met."""

from __future__ import annotations

import math


def estimate_limit(*, accepted: int, burst: int, took: float, first_rate: float, growth: float) -> float:
    """The sustained rate of a token bucket that was full when a growing pace began, and empty when it was refused.

    While the pace r(t) = first_rate * growth**t is below the limit R, the bucket stays full; from then on it is
    drained. So until it is empty, after `took` seconds, what was accepted is

        burst + R * (took - t) + (R - first_rate) / ln(growth)    where r(t) = R,

    which grows with R, and is solved by bisection.

    Args:
        accepted: calls since the pace began.
        burst: the size of the bucket.
        took: seconds.
        first_rate: calls a second.
        growth: the factor by which the pace grew in a second; more than 1.

    Returns:
        Calls a second, between `first_rate` and the pace that was refused.
    """
    steepness = math.log(growth)

    def accepted_at(limit: float) -> float:
        return burst + limit * (took - math.log(limit / first_rate) / steepness) + (limit - first_rate) / steepness

    low, high = first_rate, first_rate * growth**took
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if accepted_at(middle) < accepted else (low, middle)
    return low
