"""Tables, goals, and what came of them."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

_COMPARE = {"≤": operator.le, "≥": operator.ge}


@dataclass(frozen=True)
class Check:
    """A figure beside its goal."""

    what: str
    value: float
    bound: Literal["≤", "≥"]
    goal: float
    unit: str = ""

    @property
    def passed(self) -> bool:
        """Whether the goal is reached."""
        return bool(_COMPARE[self.bound](self.value, self.goal))

    def cells(self) -> list[str]:
        """As a row of the table."""
        unit = f" {self.unit}" if self.unit else " ×"
        goal = f"{self.bound} {self.goal:g}{unit}"
        return [self.what, number(self.value) + unit, goal, "pass" if self.passed else "SHORT"]


@dataclass
class Report:
    """What one point measured."""

    title: str
    header: Sequence[str]
    rows: list[list[str]] = field(default_factory=list[list[str]])
    checks: list[Check] = field(default_factory=list[Check])
    notes: list[str] = field(default_factory=list[str])
    data: dict[str, Any] = field(default_factory=dict[str, Any])
    """The figures themselves, for `--json`."""

    def row(self, *cells: object) -> None:
        """Add a row; numbers are rounded to what they can say."""
        self.rows.append([number(cell) if isinstance(cell, float) else str(cell) for cell in cells])

    def check(self, what: str, value: float, bound: Literal["≤", "≥"], goal: float, unit: str = "") -> None:
        """Hold a figure against its goal. Without a unit it is a ratio."""
        self.checks.append(Check(what, value, bound, goal, unit))

    def __str__(self) -> str:
        parts = [f"## {self.title}", table(self.header, self.rows)]
        if self.checks:
            parts.append(table(("goal", "measured", "to reach", ""), [check.cells() for check in self.checks]))
        parts += self.notes
        return "\n\n".join(parts) + "\n"

    def as_json(self) -> dict[str, Any]:
        """For a file."""
        checks = [{**asdict(check), "passed": check.passed} for check in self.checks]
        return {"title": self.title, "checks": checks, "notes": self.notes, "data": self.data}


def number(value: float) -> str:
    """About three significant digits."""
    if value != value:
        return "–"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown that reads as well as plain text; all columns but the first are right-aligned."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        padded = [cell.rjust(width) for cell, width in zip(cells, widths, strict=True)]
        padded[0] = cells[0].ljust(widths[0])
        return f"| {' | '.join(padded)} |"

    rule = [f"{'-' * (width - 1)}:" for width in widths]
    rule[0] = "-" * widths[0]
    return "\n".join([line(header), line(rule), *map(line, rows)])
