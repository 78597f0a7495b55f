"""How long a server asks us to wait."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST = 24 * 3600.0
"""Seconds; the longest wait that is taken from a server: a wrong number must not put a client to sleep for good."""


def parse_retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds to wait by `retry-after-ms` or `Retry-After` (RFC 9110 section 10.2.3: seconds or an HTTP date).

    Args:
        headers: names in lower case.
        now: what a date is compared with when the answer has no `Date` of its own (aware): the server's clock and ours
            may differ by hours.

    Returns:
        Seconds, from 0 to `LONGEST`; None when there is no header or it can't be read.
    """
    seconds = _seconds(headers, now)
    return None if seconds is None else min(max(seconds, 0.0), LONGEST)


def _seconds(headers: Mapping[str, str], now: datetime) -> float | None:
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    seconds = _number(value)
    return seconds if seconds is not None else _seconds_between(_date(headers.get("date")) or now, _date(value))


def _number(value: str | None) -> float | None:
    try:
        number = float(value or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _date(value: str | None) -> datetime | None:
    if not value:
        return None
    try:
        date = parsedate_to_datetime(value)
        # "-0000" reads as naive; an HTTP date is always UTC.
        return date if date.tzinfo else date.replace(tzinfo=UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _seconds_between(now: datetime, then: datetime | None) -> float | None:
    try:
        return None if then is None else (then - now).total_seconds()
    except OverflowError:
        return None
