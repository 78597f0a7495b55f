"""What one number of the limiter buys, and what it costs: why some rows can't be met together."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from relaydance_async._sansio.limiter import NUMBERS, Numbers

from .clients import Ours
from .rows import rows
from .table import Result, run


def results(name: str, numbers: Numbers, seeds: int) -> list[Result]:
    """Of one row, with these numbers."""
    (row,) = (row for row in rows() if f"{row.group}: {row.name}" == name)
    return [run(row, seed, lambda: Ours(numbers=numbers))[0] for seed in range(1, seeds + 1)]


def noise(seeds: int) -> list[tuple[float, float, float]]:
    """(how much noise is believed at most, refused of a bucket whose Retry-After is too long, share of a noisy one)."""
    found: list[tuple[float, float, float]] = []
    for most in (0.0, 0.06, 0.12, 0.2, 0.3):
        numbers = replace(NUMBERS, noise_most=most)
        clean = results("bucket: 20/s, long", numbers, seeds)
        noisy = results("bucket and noise: 20/s, 10 %", numbers, seeds)
        found.append((most, max(r.refused for r in clean), statistics.median(r.share for r in noisy)))
    return found


def fairness(seeds: int) -> list[tuple[float, float, float]]:
    """(the slope of the recovery, refused of a bucket of 2/s, the fastest of 8 processes by the slowest)."""
    found: list[tuple[float, float, float]] = []
    for slope in (0.0, 0.3, 0.6, 0.8, 1.0):
        numbers = replace(NUMBERS, recovery_slope=slope)
        slow = results("bucket: 2/s, absent", numbers, seeds)
        many = results("processes: 8 on bucket 100/s", numbers, seeds)
        found.append((slope, max(r.refused for r in slow), statistics.median(r.fair for r in many)))
    return found


def draw_trade_offs(path: Path, seeds: int) -> None:
    """One picture for each."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure: Any
    axes: Any
    figure, axes = pyplot.subplots(1, 2, figsize=(11, 4), layout="constrained")
    _draw(
        axes[0], noise(seeds), "noise that is believed at most (chosen: 0.12)",
        "refused: bucket of 20/s, Retry-After too long", "share: bucket of 20/s, 10 % at random",
    )  # fmt: skip
    _draw(
        axes[1], fairness(seeds), "slope of the recovery (chosen: 0.6)",
        "refused: bucket of 2/s", "fastest / slowest of 8 processes, bucket of 100/s",
    )  # fmt: skip
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _draw(axis: Any, points: Sequence[tuple[float, float, float]], title: str, x: str, y: str) -> None:
    axis.plot([point[1] for point in points], [point[2] for point in points], "o-")
    for number, refused, other in points:
        axis.annotate(f"{number:g}", (refused, other), textcoords="offset points", xytext=(5, 5))
    axis.set(title=title, xlabel=x, ylabel=y)
    axis.title.set_fontsize(9)
