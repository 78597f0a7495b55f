"""Writes the table and the plots of docs/limits.md."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from .clients import Botocore, OpenAI
from .models import OF_KEY, run_key
from .models import ROWS as MODELS
from .models import run as run_models
from .rows import Row, rows
from .shared import rows as shared_rows
from .shared import run as run_shared
from .table import Result, run
from .trade_offs import draw_trade_offs

DOCS = Path(__file__).parents[2] / "docs"
BEGIN, END = "<!-- the table: nox -s limits -->", "<!-- the end of the table -->"
PLOTTED = (
    "bucket: 20/s, absent",
    "window, no Retry-After: fixed 100 per 5 s",
    "under way: 10 of 1 s",
    "changes: bucket 20 to 40",
)


def worst_to_median(shares: list[float]) -> str:
    """Of all seeds."""
    return f"{min(shares):.0%} … {statistics.median(shares):.0%}"


def shown(row: Row, results: list[Result]) -> str:
    """A line of the table."""
    shares = [result.share for result in results]
    refused = [result.refused for result in results]
    if row.check in ("leave", "waits"):
        share = f"p50 {max(r.p50 for r in results):.2f} s, p99 {max(r.p99 for r in results):.2f} s"
    else:
        share = worst_to_median(shares)
    fair = f"{statistics.median(r.fair for r in results):.1f}" if row.processes > 1 else ""
    met = "yes" if all(result.is_met for result in results) else "no"
    goal = f"{row.share:.0%}" if row.share else ""
    return (
        f"| {row.group}: {row.name} | {share} | {goal} | {statistics.median(refused):.0%} … {max(refused):.0%} "
        f"| {fair} | {met} |"
    )


def others(row: Row, seed: int) -> str:
    """The same row with the behaviour of others' clients."""
    found = [run(row, seed, make)[0] for make in (lambda: OpenAI(2), lambda: OpenAI(10), Botocore)]
    return " | ".join(f"{result.share:.0%} ({result.refused:.0%})" for result in found)


def table(seeds: int) -> tuple[str, int, int]:
    """The table, how many rows are met in all seeds, and how many there are."""
    lines = [
        "| server | share of the ideal, worst … median | goal | refused, median … worst | fastest / slowest | met |",
        "|---|---|---|---|---|---|",
    ]
    met = 0
    for row in rows():
        results = [run(row, seed)[0] for seed in range(1, seeds + 1)]
        met += all(result.is_met for result in results)
        lines.append(shown(row, results))
    return "\n".join(lines), met, len(rows())


def shared_table(seeds: int) -> str:
    """Processes that share their limits over a store."""
    lines = [
        "| shared over a store, after learning | share of the ideal, worst … median | refused, median … worst "
        "| while learning | fastest / slowest | met |",
        "|---|---|---|---|---|---|",
    ]
    for row in shared_rows():
        results = [run_shared(row, seed) for seed in range(1, seeds + 1)]
        shares, refused = [result.share for result in results], [result.refused for result in results]
        met = min(shares) >= row.share and max(refused) <= row.refused
        lines.append(
            f"| {row.name} | {worst_to_median(shares)} "
            f"| {statistics.median(refused):.1%} … {max(refused):.1%} "
            f"| {statistics.median(result.learning for result in results):.0%} "
            f"| {statistics.median(result.fair for result in results):.1f} | {'yes' if met else 'no'} |"
        )
    return "\n".join(lines)


def models_table(seeds: int) -> str:
    """Two models of one client."""
    lines = ["| two models, 100/s for B | B's share, worst … median | A's share | A refused |", "|---|---|---|---|"]
    for name in MODELS:
        results = [run_models(name, seed) for seed in range(1, seeds + 1)]
        shares = [result.share_of_b for result in results]
        lines.append(
            f"| {name} | {worst_to_median(shares)} "
            f"| {min(result.share_of_a for result in results):.0%} "
            f"| {max(result.refused_of_a for result in results):.0%} |"
        )
    return "\n".join(lines)


def key_table(seeds: int) -> str:
    """Models that share one limit of the key."""
    lines = ["| one limit of the key | share, worst … median | refused | in the second half |", "|---|---|---|---|"]
    for name in OF_KEY:
        results = [run_key(name, seed) for seed in range(1, seeds + 1)]
        shares = [result.share for result in results]
        lines.append(
            f"| {name} | {worst_to_median(shares)} "
            f"| {max(result.refused for result in results):.0%} | {max(result.late for result in results):.0%} |"
        )
    return "\n".join(lines)


def comparison() -> str:
    """Others beside ours."""
    lines = [
        "| server: share of the ideal (refused) | ours | openai, 2 retries | openai, 10 retries | botocore adaptive |",
        "|---|---|---|---|---|",
    ]
    chosen = (
        "bucket: 20/s, rounded",
        "window, no Retry-After: fixed 100 per 5 s",
        "under way: 10 of 1 s",
        "chance, 800/s: 3 %",
    )
    for row in rows():
        if f"{row.group}: {row.name}" in chosen:
            ours = run(row, 1)[0]
            lines.append(f"| {row.group}: {row.name} | {ours.share:.0%} ({ours.refused:.0%}) | {others(row, 1)} |")
    return "\n".join(lines)


def draw(path: Path) -> None:
    """Offered, accepted, refused and the learned limit over time."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    chosen = [row for row in rows() if f"{row.group}: {row.name}" in PLOTTED]
    figure: Any
    axes: Any
    figure, axes = pyplot.subplots(2, 2, figsize=(11, 7), layout="constrained")
    for axis, row in zip(axes.flat, chosen, strict=True):
        _, world = run(row, 1)
        count, end = world.processes[0].count, min(row.seconds, 90.0)
        step = end / 90
        edges = [number * step for number in range(91)]
        axis.hist(count.accepted, edges, weights=[1 / step] * len(count.accepted), alpha=0.5, label="accepted")
        axis.hist(count.refused, edges, weights=[1 / step] * len(count.refused), color="C3", label="refused")
        seen = [(at, rate) for at, rate in count.rates if rate is not None and at <= end]
        axis.plot([at for at, _ in seen], [rate for _, rate in seen], color="black", lw=1, label="learned, calls/s")
        top = 3 * max(1.0, len(count.accepted) / row.seconds)
        axis.set(title=f"{row.group}: {row.name}", xlabel="seconds", ylabel="calls/s", ylim=(0, top), xlim=(0, end))
        axis.title.set_fontsize(9)
    axes.flat[0].legend(fontsize=8)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def write(seeds: int) -> None:
    """Put the table into the document, and draw the plots."""
    text = (DOCS / "limits.md").read_text(encoding="utf-8")
    body, met, count = table(seeds)
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    tables = "\n\n".join([body, models_table(seeds), key_table(seeds), shared_table(seeds), comparison()])
    words = f"{met} of {count} rows are met in each of {seeds} seeds.\n\n{tables}"
    (DOCS / "limits.md").write_text(f"{before}{BEGIN}\n\n{words}\n\n{END}{after}", encoding="utf-8")
    draw(DOCS / "limits.png")
    draw_trade_offs(DOCS / "limits-trade-offs.png", seeds)
    print(f"{met} of {count} rows are met in each of {seeds} seeds; docs/limits.md and its pictures are written")
