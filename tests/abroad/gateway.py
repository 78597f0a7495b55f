"""A gateway that can be killed: the sandbox on uvloop, a program that writes down what it accepts before it says so.

    python gateway.py PORT BOOK GENERATION

BOOK gets a line of JSON for each accepted POST, before a byte of the answer leaves: what was written outlives SIGKILL.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading

from relaydance_async.sandbox import Fault, Sandbox
from relaydance_async.sandbox._exchange import Answer, Exchange
from relaydance_async.sandbox._state import State

ROW = b"x-row"
"""The header by which a call names itself."""
LATE = "late"
"""The fault whose answer comes when the proxy has given up."""
POSTS = ("video/generations", "images/generations", "files", "chat/completions")

record = State.record


def build_faults() -> list[Fault]:
    """A gateway that takes its time, refuses some, and now and then takes longer than a proxy waits."""
    routes = [f"POST /v1/{path}" for path in POSTS]
    return [
        *(Fault(route, delay=4.0, at=(30,), name=LATE) for route in routes),
        *(Fault(route, status=400, code="invalid_request", at=(9, 25), name="refused") for route in routes),
        *(Fault(route, status=503, code="system_cpu_overloaded", at=(17,), name="overloaded") for route in routes),
        *(Fault(route, delay=0.04) for route in routes),
    ]


def write_down(book: int) -> None:
    """Have each accepted POST written into that file first."""

    def record_and_write(state: State, exchange: Exchange, route: str, answer: Answer, fault: Fault | None) -> None:
        record(state, exchange, route, answer, fault)
        if answer.accepted and exchange.method == "POST":
            line = {"row": exchange.header(ROW), "task_id": answer.task_id, "fault": fault.name if fault else None}
            os.write(book, json.dumps(line).encode() + b"\n")

    State.record = record_and_write  # type: ignore[method-assign, assignment]


def main() -> None:
    port, book, generation = sys.argv[1:]
    import uvloop

    asyncio.new_event_loop = asyncio.events.new_event_loop = uvloop.new_event_loop  # the sandbox's thread asks one
    write_down(os.open(book, os.O_WRONLY | os.O_CREAT | os.O_APPEND))
    with Sandbox(port=int(port), faults=build_faults(), seed=int(generation)):
        print("ready", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
