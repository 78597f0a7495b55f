"""Runs the measurements and prints one table for each point, with the goals."""

from __future__ import annotations

import argparse
import importlib
import json
import time
from pathlib import Path

from .machine import machine_line, raise_file_limit
from .report import Report
from .settings import Settings

POINTS = {
    "requests": "CPU per request, and whether it stays flat",
    "conditions": "the same over TLS and on uvloop; all at once; a busy loop; the first call",
    "overhead": "what retries, limiter and hooks cost",
    "stream": "chunks per second, the first one's delay, memory",
    "decode": "bytes to typed results",
    "imports": "import time, construction, memory",
    "files": "uploads and downloads: memory, event loop, throughput",
    "crowds": "thousands of calls at once: memory, and how long the event loop is held up",
    "queued": "calls that wait for their turn: memory, time",
    "journal": "what idempotency keys cost",
    "finished": "a job that is done, run again",
    "tasks": "fan_out beside bare tasks and task groups; a million items",
    "fanout": "2,000 calls against a rate limit; half a minute and more for each client",
    "waits": "10,000 tasks waited for; most of a minute",
}
LONG = ("fanout", "waits")


def run_point(name: str, settings: Settings) -> list[Report]:
    """Measure one point."""
    reports: list[Report] = importlib.import_module(f"benchmarks.{name}").run(settings)
    return reports


def _parser() -> argparse.ArgumentParser:
    points = "\n".join(f"  {name:10}{what}" for name, what in POINTS.items())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=f"{__doc__}\n\n{points}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", nargs="+", choices=POINTS, metavar="NAME", help="these points")
    parser.add_argument("--quick", action="store_true", help="fewer repeats, smaller sizes: rough numbers")
    parser.add_argument("--full", action="store_true", help=f"also {', '.join(LONG)}, and 5,000 in flight")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw CPU per request there (PNG)")
    return parser


def _plot(path: Path, reports: list[Report]) -> None:
    from .plot import draw

    for report in reports:
        if "loads" in report.data:
            draw(path, report.data["loads"], machine_line())


def main() -> None:
    """The program."""
    options = _parser().parse_args()
    raise_file_limit()
    settings = Settings(quick=options.quick, full=options.full)
    names = options.only or [name for name in POINTS if options.full or name not in LONG]
    print(f"{machine_line()}\n", flush=True)
    reports: list[Report] = []
    for name in names:
        began = time.monotonic()
        for report in run_point(name, settings):
            reports.append(report)
            print(report, flush=True)
        print(f"({name}: {time.monotonic() - began:.0f} s)\n", flush=True)
    if options.plot:
        _plot(options.plot, reports)
    if options.json:
        content = {"machine": machine_line(), "points": [report.as_json() for report in reports]}
        options.json.write_text(json.dumps(content, indent=1) + "\n")
    checks = [check for report in reports for check in report.checks]
    print(f"{sum(check.passed for check in checks)} of {len(checks)} goals reached")


if __name__ == "__main__":
    main()
