"""Results: a table for people, JSON for programs. A pipe gets no colours and no line that is cut."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._sansio.redact import one_line
from ._profiles import Form

if TYPE_CHECKING:
    from rich.console import Console

Record = Mapping[str, Any]
_WIDE = 100_000
_MOVES = re.compile(r"[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What JSON need not escape, and a terminal obeys, or can't show."""


@dataclass(frozen=True)
class Output:
    """Shows results on stdout.

    Attributes:
        form: how.
    """

    form: Form

    @property
    def is_table(self) -> bool:
        """Whether it is for people."""
        return self.form == "table"

    def many(self, records: Iterable[Record], *, none: str) -> None:
        """Show a list.

        Args:
            none: what to say on stderr when it is empty.
        """
        found = list(records)
        if self.form == "json":
            _print(dump(found, indent=2))
        elif self.form == "jsonl":
            for record in found:
                _print(dump(record))
        elif found:
            _table([list(found[0]), *([_cell(value) for value in record.values()] for record in found)])
        else:
            print(none, file=sys.stderr)

    @contextmanager
    def several(self) -> Generator[Callable[[Record], None]]:
        """Gives what shows one of several, as they come. As JSON they are one list, at the end."""
        kept: list[Record] = []
        try:
            yield kept.append if self.form == "json" else self.one
        finally:
            if kept:
                self.many(kept, none="")

    def one(self, record: Record) -> None:
        """Show one thing. What is None is left out of a table."""
        if self.is_table:
            _table([[name, _cell(value)] for name, value in record.items() if value is not None], header=False)
        else:
            _print(dump(record, indent=2 if self.form == "json" else None))


def dump(value: Any, indent: int | None = None) -> str:
    """As JSON. Where the output can't show all characters, they are escaped."""
    whole = (sys.stdout.encoding or "").lower().startswith("utf")
    text = json.dumps(value, ensure_ascii=not whole, indent=indent, default=str)
    return _MOVES.sub(lambda found: f"\\u{ord(found[0]):04x}", text)  # where they can be, all stand in strings


def harmless(text: str) -> str:
    """What others wrote over several lines, without what moves the cursor of a terminal or turns its text around."""
    return "".join(c if c.isprintable() or c in "\n\t\u200d" else "\ufffd" for c in text)


def _print(text: str) -> None:
    print(text, flush=True)


def _cell(value: Any) -> str:
    """What others wrote can't move the cursor."""
    if value is None:
        return ""
    if isinstance(value, Path):
        return one_line(short(value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(_cell, value))  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    return one_line(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str))


def short(path: Path) -> str:
    """A path as people write it: from here, or from their home."""
    for place, begin in ((Path.cwd(), ""), (Path.home(), "~/")):
        if path.is_relative_to(place):
            return f"{begin}{path.relative_to(place).as_posix()}"
    return str(path)


def _table(rows: Sequence[Sequence[str]], *, header: bool = True) -> None:
    from rich.table import Table
    from rich.text import Text

    console = open_console()
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    for _ in rows[0]:
        table.add_column(overflow="fold")
    for number, row in enumerate(rows):
        is_head = header and number == 0
        texts = [Text(cell.replace("_", " ").upper() if is_head else cell, "bold" if is_head else "") for cell in row]
        table.add_row(*texts)
    with console.capture() as captured:
        console.print(table)
    _print("\n".join(line.rstrip() for line in captured.get().splitlines()))


def open_console() -> Console:
    """Stdout, as wide as it is; a pipe is as wide as need be. NO_COLOR and FORCE_COLOR are heeded."""
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else _WIDE)
