"""CPU per request over the calls in flight, as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .ours import OURS, OURS_FAST


def draw(path: Path, loads: dict[str, dict[int, dict[str, float]]], machine: str) -> None:
    """Write a PNG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure: Any
    axes: Any
    figure, axes = pyplot.subplots(figsize=(9, 5), layout="constrained")
    for name, levels in loads.items():
        is_ours = name in (OURS, OURS_FAST)
        axes.plot(
            list(levels),
            [load["cpu_us"] for load in levels.values()],
            marker="o",
            label=name,
            linewidth=2.5 if is_ours else 1.2,
            linestyle="-" if is_ours else "--",
            zorder=3 if is_ours else 2,
        )
    axes.set(xscale="log", yscale="log", xlabel="calls in flight", ylabel="CPU per request, µs")
    axes.set_title(f"CPU per request in the client process\n{machine}", fontsize=9)
    axes.grid(True, which="both", alpha=0.25)
    figure.legend(fontsize=8, loc="outside right upper")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    pyplot.close(figure)
