"""docs/sandbox.md names every option there is, and none that there is not."""

from __future__ import annotations

import dataclasses
import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from relaydance_async.sandbox import Account, ChatReply, Fault, RateLimit, Sandbox, TaskPlan, TaskScript
from relaydance_async.sandbox._admin import Admin
from relaydance_async.sandbox._faults import BODY_KINDS
from relaydance_async.sandbox._strangers import STRANGERS

PAGE = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text(encoding="utf-8")
TABLES: dict[str, tuple[str, Any]] = {
    "Sandbox": ("## Options of `Sandbox`", Sandbox),
    "Account": ("## `Account`", Account),
    "RateLimit": ("| `policy`", RateLimit),
    "Fault": ("| `route`", Fault),
    "TaskPlan": ("| field of `TaskPlan`", TaskPlan),
    "TaskScript": ("| field of `TaskScript`", TaskScript),
    "ChatReply": ("| field of `ChatReply`", ChatReply),
}


def names_in_table(begin: str) -> list[str]:
    """The names in the first column of the first table at `begin` or after it."""
    rows = PAGE[PAGE.index(begin) :].splitlines()
    start = next(number for number, row in enumerate(rows) if row.startswith("| `"))
    names: list[str] = []
    for row in rows[start:]:
        if not row.startswith("|"):
            break
        names += re.findall(r"`(\w+)`", row.split("|")[1])
    return names


def options_of(kind: Any) -> set[str]:
    if dataclasses.is_dataclass(kind):
        return {option.name for option in dataclasses.fields(kind)} - {"_"}
    return set(inspect.signature(kind).parameters)


@pytest.mark.parametrize("name", TABLES)
def test_the_page_lists_every_option_once(name: str) -> None:
    begin, kind = TABLES[name]
    names = names_in_table(begin)
    assert len(names) == len(set(names))
    assert set(names) == options_of(kind)


def test_the_page_lists_every_stranger_body_and_route_of_its_own() -> None:
    assert all(f'| `"{name}"` ' in PAGE for name in STRANGERS)
    assert all(f'`"{kind}"`' in PAGE for kind in BODY_KINDS)
    routes = re.findall(r'"(?:GET|POST) (/_sandbox/\w+)"', inspect.getsource(Admin))
    assert all(route in PAGE for route in routes)
