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
        now: the time that a date is compared with (aware).

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
    return seconds if seconds is not None else _seconds_until(value, now)


def _number(value: str | None) -> float | None:
    try:
        number = float(value or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _seconds_until(value: str | None, now: datetime) -> float | None:
    if not value:
        return None
    try:
        then = parsedate_to_datetime(value)
        # "-0000" reads as naive; an HTTP date is always UTC.
        return ((then if then.tzinfo else then.replace(tzinfo=UTC)) - now).total_seconds()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
