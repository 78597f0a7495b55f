"""Point 11: what a journal and its keys cost."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from .children import Children, in_turns, medians
from .payloads import API_KEY
from .report import Report
from .server import LocalServer
from .settings import Settings

PLAIN, NO_KEY, KEYED = "no journal", "a journal, no key", "a key for each call"
ENTRIES = "both entries alone"
MOST_US = 30.0
"""Of CPU for both entries of a call, by the goal."""


def run(settings: Settings) -> list[Report]:
    """The report of point 11."""
    calls = 1_000 if settings.quick else 4_000
    report = Report("11. Idempotency keys: CPU per call, µs", ["", "1 in flight", "10", "100", "1,000"])
    loads = (1, 10, 100, 1_000)
    with LocalServer() as server, Children() as children:

        def measure(name: str) -> dict[str, float] | None:
            found: dict[str, float] = {}
            for in_flight in loads:
                arguments = {"origin": server.origin, "kind": name, "in_flight": in_flight}
                number = calls if in_flight > 1 else calls // 10
                result = children.call(name, "journal", "measure", calls=number, **arguments)
                if result is None:
                    return None
                found[str(in_flight)] = result
            return found

        found = in_turns((PLAIN, NO_KEY, KEYED, ENTRIES), settings.repeats, measure)
    figures = {name: medians(results) for name, results in found.items()}
    for name, row in figures.items():
        report.row(name, *(row[str(in_flight)] for in_flight in loads))
    for in_flight in ("100", "1000"):
        report.check(f"{ENTRIES}, {in_flight} in flight", figures[ENTRIES][in_flight], "≤", MOST_US, "µs")
        ratio = figures[NO_KEY][in_flight] / figures[PLAIN][in_flight]
        report.check(f"{NO_KEY} / {PLAIN}, {in_flight} in flight", ratio, "≤", 1.03)
    report.notes.append(
        f"'{KEYED}' has besides: a look whether the key is known, the request's hash, a task of its own (so that a "
        "cancelled call can be finished), an observer, and the answer as JSON. One in flight has a commit for "
        "each entry."
    )
    report.data["cpu_us"] = figures
    return [report]


def measure(origin: str, kind: str, in_flight: int, calls: int) -> float:
    """In a process of its own: µs of CPU per call, those of the journal's thread included."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_measure(origin, kind, in_flight, calls, Path(folder)))


async def _measure(origin: str, kind: str, in_flight: int, calls: int, folder: Path) -> float:
    from relaydance_async import AsyncRelayDance, SqliteJournal

    async with SqliteJournal(folder / "run.db") as journal:
        options: dict[str, Any] = {} if kind == PLAIN else {"journal": journal}
        client = AsyncRelayDance(
            API_KEY, base_url=f"{origin}/v1", max_concurrency=in_flight + in_flight // 9 + 2, **options
        )
        async with client:
            call = _entries(journal) if kind == ENTRIES else _chat(client, keyed=kind == KEYED)
            await _run(call, in_flight, 2 * in_flight)
            before = time.process_time()
            await _run(call, in_flight, calls)
            return (time.process_time() - before) / calls * 1e6


def _chat(client: Any, *, keyed: bool) -> Callable[[], Awaitable[Any]]:
    numbers = itertools.count()

    def call() -> Awaitable[Any]:
        number = next(numbers)
        options = {"idempotency_key": f"row-{number}"} if keyed else {}
        messages = [{"role": "user", "content": f"question {number}"}]
        answer: Awaitable[Any] = client.chat.completions.create(model="grok-4.3", messages=messages, **options)
        return answer

    return call


def _entries(journal: Any) -> Callable[[], Awaitable[Any]]:
    from relaydance_async.journal import Ending, Sending

    numbers = itertools.count()
    origin, answer = "https://relaydance.com", '{"task_id": "task_0123456789abcdef", "status": "submitted"}'

    async def call() -> None:
        number = next(numbers)
        key, id_ = f"row-{number}", f"call-{number}"
        sending = Sending(origin, key, id_, "f" * 64, "/video/generations", "grok-imagine-video", None, 1.0)
        assert await journal.begin(sending) is None
        await journal.end(Ending(origin, key, id_, "accepted", 2.0, answer, f"task_{number}", "submitted", "request"))

    return call


async def _run(call: Callable[[], Awaitable[Any]], in_flight: int, calls: int) -> None:
    numbers = iter(range(calls))

    async def work() -> None:
        for _ in numbers:
            await call()

    async with asyncio.TaskGroup() as group:
        for _ in range(in_flight):
            group.create_task(work())
