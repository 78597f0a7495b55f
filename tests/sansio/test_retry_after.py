"""Retry-After in each of its forms (RFC 9110 section 10.2.3), and in none of them."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaydance_async._sansio.retry_after import LONGEST, parse_retry_after

NOW = datetime(1994, 11, 6, 8, 49, 30, tzinfo=UTC)

FORMS: dict[str, tuple[dict[str, str], float | None]] = {
    "seconds": ({"retry-after": "120"}, 120.0),
    "no seconds": ({"retry-after": "0"}, 0.0),
    "a fraction": ({"retry-after": "1.5"}, 1.5),
    "white space": ({"retry-after": " 3 "}, 3.0),
    "an HTTP date": ({"retry-after": "Sun, 06 Nov 1994 08:49:37 GMT"}, 7.0),
    "an obsolete date of RFC 850": ({"retry-after": "Sunday, 06-Nov-94 08:49:37 GMT"}, 7.0),
    "an obsolete date of asctime": ({"retry-after": "Sun Nov  6 08:49:37 1994"}, 7.0),
    "a date with an offset": ({"retry-after": "Sun, 06 Nov 1994 09:49:37 +0100"}, 7.0),
    "a date of an unknown zone, which is UTC": ({"retry-after": "Sun, 06 Nov 1994 08:49:37 -0000"}, 7.0),
    "a date that is past": ({"retry-after": "Sun, 06 Nov 1994 08:00:00 GMT"}, 0.0),
    "milliseconds": ({"retry-after-ms": "1500"}, 1.5),
    "milliseconds with a fraction": ({"retry-after-ms": "0.5"}, 0.0005),
    "milliseconds before seconds": ({"retry-after-ms": "1500", "retry-after": "2"}, 1.5),
    "unreadable milliseconds beside seconds": ({"retry-after-ms": "soon", "retry-after": "2"}, 2.0),
    "nothing": ({}, None),
    "an empty value": ({"retry-after": ""}, None),
    "a negative number": ({"retry-after": "-5"}, None),
    "not a number": ({"retry-after": "nan"}, None),
    "infinity": ({"retry-after": "inf"}, None),
    "too large a number": ({"retry-after": "1e999"}, None),
    "a word": ({"retry-after": "soon"}, None),
    "half a date": ({"retry-after": "Sun, 06 Nov"}, None),
    "a date that does not exist": ({"retry-after": "Sun, 99 Nov 1994 08:49:37 GMT"}, None),
    "a date by the server's own clock, an hour ahead": (
        {"date": "Sun, 06 Nov 1994 09:49:30 GMT", "retry-after": "Sun, 06 Nov 1994 09:49:32 GMT"},
        2.0,
    ),
    "a date beside an unreadable clock": ({"date": "noon", "retry-after": "Sun, 06 Nov 1994 08:49:37 GMT"}, 7.0),
    "seconds, whatever the server's clock says": ({"date": "Sun, 06 Nov 1994 09:49:30 GMT", "retry-after": "3"}, 3.0),
    "a date beyond the calendar": ({"retry-after": "Sun, 06 Nov 99999 08:49:37 GMT"}, None),
    "two values in one": ({"retry-after": "1, 2"}, None),
    "longer than anyone waits": ({"retry-after": "99999999999"}, LONGEST),
    "a date in another century": ({"retry-after": "Fri, 01 Jan 2100 00:00:00 GMT"}, LONGEST),
}


@pytest.mark.parametrize("case", FORMS)
def test_each_form_is_seconds_from_now(case: str) -> None:
    headers, seconds = FORMS[case]
    assert parse_retry_after(headers, NOW) == seconds


def test_the_clocks_own_zone_does_not_matter() -> None:
    headers = {"retry-after": "Sun, 06 Nov 1994 08:49:37 GMT"}
    assert parse_retry_after(headers, NOW.astimezone(timezone(timedelta(hours=5)))) == 7.0


MOSTLY_DATES = st.lists(
    st.sampled_from(["Sun,", "06", "Nov", "1994", "08:49:37", "GMT", "-0000", "+9999", "99999999", ":", "-", " "]),
    max_size=8,
).map(" ".join)


@given(
    st.dictionaries(
        st.sampled_from(["retry-after", "retry-after-ms", "date"]),
        st.text(max_size=40) | MOSTLY_DATES | st.floats().map(str) | st.integers().map(str),
    )
)
def test_no_value_raises_or_gives_a_wait_that_cannot_be_made(headers: dict[str, str]) -> None:
    seconds = parse_retry_after(headers, NOW)
    assert seconds is None or (math.isfinite(seconds) and 0 <= seconds <= LONGEST)


@given(
    st.datetimes(NOW.replace(tzinfo=None), datetime(9999, 1, 1))
    | st.datetimes(NOW.replace(tzinfo=None), datetime(1994, 11, 8))
)
def test_any_date_to_come_is_read_to_the_second(then: datetime) -> None:
    value = then.strftime("%a, %d %b %Y %H:%M:%S GMT")
    expected = (then.replace(microsecond=0, tzinfo=UTC) - NOW).total_seconds()
    assert parse_retry_after({"retry-after": value}, NOW) == min(expected, LONGEST)
