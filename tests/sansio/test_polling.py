"""The waits between two looks at a task."""

from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaydance_async._sansio.polling import FIRST, LONGEST, poll_schedule


def test_the_waits_grow_from_about_2_to_about_15_seconds() -> None:
    middle = list(islice(poll_schedule(lambda: 0.5), 8))
    assert middle == pytest.approx([2.0, 3.0, 4.5, 6.75, 10.125, 15.0, 15.0, 15.0])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50))
def test_every_wait_lies_within_a_quarter_of_its_mean(chances: list[float]) -> None:
    draws = iter(chances)
    means = poll_schedule(lambda: 0.5)
    for wait, mean in zip(islice(poll_schedule(lambda: next(draws)), len(chances)), means, strict=False):
        assert 0.75 * mean <= wait <= 1.25 * mean
        assert 0.75 * FIRST <= wait <= 1.25 * LONGEST


def test_waits_that_began_together_drift_apart() -> None:
    one, other = poll_schedule(lambda: 0.0), poll_schedule(lambda: 1.0)
    assert next(other) - next(one) == pytest.approx(0.5 * FIRST)


def test_the_schedule_has_no_end() -> None:
    assert len(list(islice(poll_schedule(lambda: 0.5), 10_000))) == 10_000
