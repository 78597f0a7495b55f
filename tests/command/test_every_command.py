"""`--output` over every command there is: a new one fails here until it is told what it shows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from cyclopts import App

from relaydance_async.cli._app import app
from relaydance_async.sandbox import Fault
from tests.command.support import Desk
from tests.kit.routes import CHAT

FORMS = ("table", "json", "jsonl")
ROWS = '{"id": "a", "prompt": "Why?"}\n{"id": "b", "prompt": "Where?"}\n'
"""Of a batch."""


def walk(of: App, *path: str) -> Iterator[str]:
    """Every command that can be typed, as it is typed."""
    for name in of:
        if not name.startswith("-"):
            command = of[name]
            below = list(walk(command, *path, name))
            yield from below or [" ".join((*path, name))]


@dataclass(frozen=True)
class Shows:
    """What a command shows.

    Attributes:
        typed: its arguments.
        lines: how many things; None: one, which is no list.
        is_always_json: whether the answer itself is JSON, also for people.
        before: commands that come before it.
    """

    typed: str = ""
    lines: int | None = None
    is_always_json: bool = False
    before: tuple[str, ...] = ()


RUN = "batch run rows.jsonl --out run --kind chat --model grok-4.3"
SUBMITTED = "video submit Boat"
COMMANDS = {
    "models": Shows(lines=11),
    "balance": Shows(),
    "logs": Shows(lines=1, before=("chat Why?", "logs")),
    "limits": Shows(lines=1),
    "doctor": Shows(lines=11),
    "chat": Shows("Why?"),
    "raw": Shows("GET /models", is_always_json=True),
    "image": Shows("Boat --n 2 --out made", lines=2, before=("mkdir made",)),
    "video generate": Shows("Boat"),
    "video submit": Shows("Boat"),
    "video wait": Shows("TASK TASK", lines=2, before=(SUBMITTED,)),
    "video download": Shows("TASK", lines=1, before=(SUBMITTED, "video wait TASK")),
    "video list": Shows(lines=1, before=(SUBMITTED,)),
    "video cost": Shows(),
    "files upload": Shows("cat.png cat.png", lines=2),
    "batch run": Shows(RUN.removeprefix("batch run "), lines=4),
    "batch status": Shows("run", before=(RUN,)),
    "batch doubts": Shows("run", lines=0, before=(RUN,)),
    "batch retry": Shows("run", lines=3, before=("refuse", RUN)),
}
SHOWS_NOTHING = {
    "batch export": "writes a file",
    "login": "writes a file",
    "sandbox": "runs until it is stopped",
    "demo": "is for people",
}


def test_every_command_is_looked_at() -> None:
    assert {*COMMANDS, *SHOWS_NOTHING} == set(walk(app))


def prepare(desk: Desk, shows: Shows) -> str:
    """Do what comes before; what is to be typed."""
    desk.write("cat.png", "a picture")
    desk.write("rows.jsonl", ROWS)
    task_id = ""
    for command in shows.before:
        if command.startswith("mkdir "):
            (desk.home / command.removeprefix("mkdir ")).mkdir()
        elif command == "refuse":
            desk.sandbox.faults.add(Fault(CHAT, status=400, at=(1,)))
        else:
            done = desk(*command.replace("TASK", task_id).split(), "--output", "json")
            if command == SUBMITTED:
                task_id = json.loads(done.out)["task_id"]
        desk.sandbox.clock.advance(5)
    return shows.typed.replace("TASK", task_id)


def in_lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


def count(found: list[Any]) -> int:
    """Without the events that come as time passes."""
    return sum(each.get("event") != "progress" for each in found)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("form", FORMS)
def test_what_it_shows(desk: Desk, command: str, form: str) -> None:
    shows = COMMANDS[command]
    typed = prepare(desk, shows)
    done = desk(*command.split(), *typed.split(), "--output", form)
    assert done.code == 0, done.err
    assert "\x1b" not in done.out + done.err
    if form == "json":
        found = json.loads(done.out)
        assert isinstance(found, dict) if shows.lines is None else count(found) == shows.lines
    elif form == "jsonl":
        assert count(in_lines(done.out)) == (1 if shows.lines is None else shows.lines)
    elif not shows.is_always_json:
        with pytest.raises(json.JSONDecodeError):
            json.loads(done.out)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("form", FORMS)
def test_a_keyword_that_it_does_not_take(desk: Desk, command: str, form: str) -> None:
    done = desk(*command.split(), *COMMANDS[command].typed.split(), "--nonsense", "x", "--output", form)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert done.err.startswith("relaydance: ")
    assert desk.sandbox.ledger.count() == 0


NEED_NO_KEY = {"video cost", "video list", "batch status", "batch doubts"}
TELL_ALL_THE_SAME = {"doctor": 1, "batch run": 5, "batch retry": 5}
"""What is wrong is a part of what they show."""


@pytest.mark.parametrize("command", sorted({*COMMANDS} - NEED_NO_KEY))
@pytest.mark.parametrize("form", FORMS)
def test_a_key_that_is_refused(desk: Desk, command: str, form: str) -> None:
    typed = prepare(desk, COMMANDS[command])
    desk.set(RELAYDANCE_API_KEY="sk-of-nobody-01")
    done = desk(*command.split(), *typed.split(), "--output", form)
    assert done.code == TELL_ALL_THE_SAME.get(command, 5)
    assert "\x1b" not in done.out + done.err
    assert "sk-of-nobody-01" not in done.out + done.err
    if command not in TELL_ALL_THE_SAME:
        lines = 2 if typed.count("task_") > 1 else 1  # one for each
        assert done.err.count("\n") == lines
        assert done.err.startswith(("relaydance: AuthenticationError", "relaydance: task_"))
        assert done.out.strip() in ("", "[]")
    elif form == "json":
        assert isinstance(json.loads(done.out), list)
    elif form == "jsonl":
        assert in_lines(done.out)


@pytest.mark.parametrize("command", COMMANDS)
def test_what_holds_for_every_command_stands_anywhere(desk: Desk, command: str) -> None:
    """Also behind an argument that may be left out, and be `-`. One that is wrong is seen before anything else."""
    typed = COMMANDS[command].typed.split()
    for ways in (["--output", "xml"], ["--output=xml"]):
        for place in range(len(typed) + 1):
            done = desk(*command.split(), *typed[:place], *ways, *typed[place:])
            assert (done.code, "xml" in done.err, done.out) == (2, True, "")
