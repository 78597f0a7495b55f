"""Entries to write, and calls to make."""

from __future__ import annotations

from typing import Any, TypeVar

from relaydance_async import AsyncRelayDance
from relaydance_async.journal import Ending, Journal, Sending
from relaydance_async.sandbox import Sandbox
from tests.kit.calls import client_of

J = TypeVar("J", bound=Journal)

ORIGIN = "https://relaydance.com"
SUBMIT_PATH = "/video/generations"
CLIP: dict[str, Any] = {"model": "doubao-seedance-2-0-720p", "prompt": "a cat turns", "seconds": 5}


def sending(key: str = "row-1", call: str = "call-1", **changes: Any) -> Sending:
    first = Sending(ORIGIN, key, call, "f" * 64, SUBMIT_PATH, "m", None, 1000.0)
    return first._replace(**changes)


def accepted(key: str = "row-1", call: str = "call-1", task_id: str = "task_1", **changes: Any) -> Ending:
    answer = f'{{"task_id": "{task_id}", "status": "submitted"}}'
    ending = Ending(ORIGIN, key, call, "accepted", 1001.0, answer, task_id, "submitted", "request-1")
    return ending._replace(**changes)


def refused(key: str = "row-1", call: str = "call-1", **changes: Any) -> Ending:
    return Ending(ORIGIN, key, call, "refused", 1001.0, reason="no")._replace(**changes)


def doubtful(key: str = "row-1", call: str = "call-1", **changes: Any) -> Ending:
    return Ending(ORIGIN, key, call, "in doubt", 1001.0, reason="who knows")._replace(**changes)


async def state_of(journal: Journal, key: str = "row-1", origin: str = ORIGIN) -> str | None:
    entry = await journal.find(origin, key)
    return None if entry is None else entry.state


def keyed(sandbox: Sandbox, journal: Journal | None, *args: Any, **options: Any) -> AsyncRelayDance:
    """A client of the sandbox with a journal."""
    return client_of(sandbox, *args, journal=journal, **options)


def inside(kind: type[J], options: dict[str, Any]) -> type[J]:
    """A kind of journal with what no caller sets: its time, and its patience. They are taken out of the options."""
    names = [name for name in options if name.startswith("_")]
    values = {name: options.pop(name) for name in names}
    inner = {name: staticmethod(v) if callable(v) else v for name, v in values.items()}
    made: Any = type(kind.__name__, (kind,), inner)
    return made  # type: ignore[no-any-return]
