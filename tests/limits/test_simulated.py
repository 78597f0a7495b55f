"""The table of docs/limits.md in virtual time, with fewer seeds: each row keeps its bounds.

The limiter is the client's own. `nox -s limits` runs the whole table, with more seeds, and draws the plots.
"""

from __future__ import annotations

import pytest

from benchmarks.limits.rows import Row, rows
from benchmarks.limits.table import run

SEEDS = (1, 2)


@pytest.mark.parametrize("row", rows(), ids=lambda row: f"{row.group}: {row.name}")
def test_a_row_keeps_its_bounds(row: Row) -> None:
    results = [run(row, seed)[0] for seed in SEEDS[: 1 if row.is_slow else 2]]
    for result in results:
        assert result.share >= row.share - row.slack
        assert result.over <= row.refused + row.slack
        assert result.is_kept, result
