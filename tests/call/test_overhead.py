"""The benchmark of our own machinery runs: its transport is one that the client takes."""

from __future__ import annotations

from benchmarks import overhead


def test_each_way_to_make_a_call_is_measured() -> None:
    took = overhead.measure(repeats=1)
    assert len(took) == 4
    assert all(microseconds > 0 for microseconds in took.values())
