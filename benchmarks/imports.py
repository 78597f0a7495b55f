"""Point 6: what it costs to be there."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from .child import environment
from .children import in_turns, medians
from .report import Report
from .settings import Settings

OURS = "import relaydance_async"
FLOOR = "import httpx, pydantic, tenacity, anyio"
OPENAI = "import openai"
BASE_MODEL = "import httpx, tenacity, anyio; from pydantic import BaseModel"
"""What the floor becomes for anyone who defines a model: pydantic imports that much only on first use."""

_NOTHING = "pass"
_STATEMENTS = (OURS, FLOOR, BASE_MODEL, OPENAI, _NOTHING)

# Runs in an interpreter that has imported nothing else.
_PROGRAM = """
import json, resource, time
cpu = time.process_time()
exec(STATEMENT)
cpu = time.process_time() - cpu
result = {"ms": cpu * 1e3, "rss_mb": RSS}
if "relaydance_async" in STATEMENT:
    make = lambda: relaydance_async.AsyncRelayDance("sk-bench")
elif "openai" in STATEMENT:
    make = lambda: openai.AsyncOpenAI(api_key="sk-bench")
else:
    make = None
if make:
    kept = []
    for name in ("first_ms", "next_ms"):
        began = time.perf_counter()
        kept.append(make())
        result[name] = (time.perf_counter() - began) * 1e3
print(json.dumps(result))
"""
_RSS = 'int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() / 1e6'


def run(settings: Settings) -> list[Report]:
    """The report of point 6."""
    for statement in _STATEMENTS:
        _measure(statement)  # compiles, and fills the file cache
    results = in_turns(_STATEMENTS, 3 if settings.quick else 11, _measure)
    found = {statement: medians(each) for statement, each in results.items()}
    report = Report(
        "6. Import, construction, memory", ["", "import, ms of CPU", "RSS, MB", "first client, ms", "second, ms"]
    )
    for statement, each in found.items():
        missing = float("nan")
        report.row(statement, each["ms"], each["rss_mb"], each.get("first_ms", missing), each.get("next_ms", missing))
    ours, openai = found[OURS], found[OPENAI]
    report.check(f"{OURS} / {FLOOR}", ours["ms"] / found[FLOOR]["ms"], "≤", 1.25)
    report.check(f"{OURS} / {OPENAI}", ours["ms"] / openai["ms"], "≤", 0.5)
    report.check("construction of the first client", ours["first_ms"], "≤", 1, "ms")
    report.check("memory after import, ours / openai", ours["rss_mb"] / openai["rss_mb"], "≤", 1)
    report.notes.append("`import pydantic` defers nearly all of itself; the line with BaseModel has it whole.")
    report.data = {"imports": found}
    return [report]


def _measure(statement: str) -> dict[str, float]:
    program = _PROGRAM.replace("STATEMENT", repr(statement)).replace("RSS", _RSS)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120, env=environment()
    )
    result: dict[str, Any] = json.loads(done.stdout)
    return result
