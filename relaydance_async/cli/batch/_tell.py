"""`batch status` and `batch doubts`: what has come of a run. Both can be asked while it is under way."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any, TextIO

from ... import JournalEntry, SqliteJournal
from .._exits import CannotBeginError
from .._output import Output
from .._profiles import Form
from .._session import Session
from ._batch import origin_of
from ._run import Run


def show_status(run: Run, *, shown: Form) -> int:
    """How far it is; the exit status."""
    run.require()
    results = list(run.results())
    done = {result["id"] for result in results}
    errors = {error["id"]: error for error in run.errors() if error["id"] not in done}
    facts: dict[str, Any] = {
        "rows": run.facts["rows"],
        "done": len(done),
        "failed": sum(error["why"] != "doubt" for error in errors.values()),
        "in_doubt": sum(error["why"] == "doubt" for error in errors.values()),
        "why": dict(Counter(error["why"] for error in errors.values())),
        "spent_usd": round(sum(record.get("cost", 0.0) for record in (*results, *errors.values())), 6),
    }
    facts["left"] = facts["rows"] - facts["done"] - facts["failed"] - facts["in_doubt"]
    facts["requests"] = asyncio.run(_count_entries(run)) if run.journal_file.exists() else {}
    if shown != "table":
        Output(shown).one(facts)
        return 0
    print(
        f"{facts['done']} of {facts['rows']} rows are done, {facts['left']} are left; ${facts['spent_usd']:.2f} spent"
    )
    for why, number in facts["why"].items():
        print(f"  {number} {why}")
    if facts["requests"]:
        told = ", ".join(f"{number} {state}" for state, number in facts["requests"].items())
        print(f"Requests, by the journal: {told}")
    return 0


_UPLOADS = "/files"
"""Of files that rows refer to. They are no rows, and one that is in doubt is made again."""


async def _count_entries(run: Run) -> dict[str, int]:
    async with SqliteJournal(run.journal_file) as journal:
        return dict(Counter([entry.state async for entry in journal.entries() if entry.route != _UPLOADS]))


def show_doubts(
    run: Run, *, settle: Sequence[str], release: Sequence[str], resolve: bool, shown: Form, session: Session
) -> int:
    """What is in doubt, after what can be decided has been; the exit status: 3 while there are doubts."""
    run.require()
    if run.journal_file.exists():
        out = sys.stdout if shown == "table" else sys.stderr
        doubts = asyncio.run(_doubts(run, settle, release, session if resolve else None, out))
    else:
        doubts = []
    if shown != "table":
        Output(shown).many(map(_facts, doubts), none="")
    elif doubts:
        for entry in doubts:
            print(f"{entry.key}: {entry.model}, sent at {entry.sent_at:%Y-%m-%d %H:%M:%S} UTC; {entry.reason}")
        print(f"{len(doubts)} in doubt. Look at the console: --settle ID=TASK_ID if it is there, --release ID if not.")
    return 3 if doubts else 0


def _facts(entry: JournalEntry) -> dict[str, Any]:
    return {"id": entry.key, "sent_at": entry.sent_at.isoformat(), "model": entry.model, "why": entry.reason}


async def _doubts(
    run: Run, settle: Sequence[str], release: Sequence[str], resolver: Session | None, out: TextIO
) -> list[JournalEntry]:
    origin = origin_of(run.facts["base_url"])
    async with SqliteJournal(run.journal_file) as journal:
        for pair in settle:
            row_id, _, task_id = pair.rpartition("=")
            if not row_id or not task_id:
                raise CannotBeginError(f"--settle takes ID=TASK_ID, not {pair!r}")
            await journal.settle(row_id, task_id=task_id, origin=origin)
        for row_id in release:
            await journal.release(row_id, origin=origin)
        if resolver is not None:
            await _resolve(journal, resolver, out)
        found = journal.entries(state="in doubt", origin=origin)
        return [entry async for entry in found if entry.route != _UPLOADS]


async def _resolve(journal: SqliteJournal, session: Session, out: TextIO) -> None:
    async with session.client(journal=journal) as client:
        for resolution in await client.resolve_doubts():
            told = f"{resolution.entry.key} is {resolution.entry.state}: {resolution.why}"
            print(told, *resolution.candidates, file=out)
