"""Before anything is paid for: the file is read and checked as a whole, and compared with the run that is there."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from string import Formatter
from typing import Any

from .._exits import CannotBeginError
from ._names import Names
from ._options import Columns, Format
from ._records import Fault, open_records
from ._rows import Row, build_rows
from ._run import Run, digest_of

MOST_FAULTS_SHOWN = 100


@dataclass
class Input:
    """A file that has been read and checked.

    Attributes:
        path: of its rows, as the run keeps them.
        form: its format.
        columns: how its columns were read.
        count: its rows; `models`: how many for each model.
    """

    path: Path
    form: Format
    columns: Columns
    count: int = 0
    models: Counter[str] = field(default_factory=Counter[str])

    @property
    def facts(self) -> dict[str, Any]:
        """For `run.json`."""
        return {
            "format": self.form,
            "columns": asdict(self.columns),
            "rows": self.count,
            "digest": digest_of(self.path),
        }

    def rows(self) -> Iterable[Row]:
        """All of them, in order."""
        with self.path.open("rb") as lines:
            for line in lines:
                yield Row.from_json(line)


@contextmanager
def checked_input(source: str, named: Format | None, columns: Columns, names: Names | None = None) -> Generator[Input]:
    """Read a file to its end and check each row.

    Raises:
        CannotBeginError: there are faults, which have been listed; or there are no rows.
    """
    _check_templates(columns)
    with tempfile.TemporaryDirectory(prefix="relaydance-") as folder, open_records(source, named) as (form, read):
        found = Input(Path(folder) / "rows.jsonl", form, columns)
        faults: list[Fault] = []
        with found.path.open("w", encoding="utf-8") as out:
            for row in build_rows(read, form, columns, names or Names()):
                if isinstance(row, Fault):
                    faults.append(row)
                    continue
                found.count += 1
                found.models[row.model] += 1
                out.write(f"{row.to_json()}\n")
        if faults:
            _list(faults, source)
        if not found.count:
            raise CannotBeginError(f"there are no rows in {_name(source)}")
        yield found


def _check_templates(columns: Columns) -> None:
    for template in (columns.prompt, columns.name):
        try:
            list(Formatter().parse(template or ""))
        except ValueError as error:
            raise CannotBeginError(f"the template {template!r} is wrong: {error}") from None


def _list(faults: list[Fault], source: str) -> None:
    for fault in faults[:MOST_FAULTS_SHOWN]:
        print(fault, file=sys.stderr)
    if len(faults) > MOST_FAULTS_SHOWN:
        print(f"… and {len(faults) - MOST_FAULTS_SHOWN} more", file=sys.stderr)
    raise CannotBeginError(f"{_name(source)} has {_number(len(faults), 'fault')}; nothing was sent")


def begin_or_resume(run: Run, given: Input, base_url: str) -> bool:
    """Make the rows those of the run, or see that they are. True when it is a new one.

    Raises:
        CannotBeginError: the run is of other rows, or of another API; or the directory isn't empty.
    """
    facts = given.facts
    if run.exists():
        check_same_api(run, base_url)
        if run.facts["digest"] != facts["digest"]:
            raise CannotBeginError(f"{run.folder} is a run of other rows: {difference(run, given)}. {_OTHER}")
        return False
    run.check_empty()
    shutil.move(given.path, run.rows_file)
    run.write_facts(**facts | {"base_url": base_url, "digest": digest_of(run.rows_file)})
    return True


_OTHER = (
    "Give another --out; or, to send again rows that failed and that you have edited, "
    "use `relaydance batch retry OUT ROWS`"
)


def check_same_api(run: Run, base_url: str) -> None:
    """Another API knows nothing of what this one was paid for.

    Raises:
        CannotBeginError: it is another.
    """
    before = run.facts["base_url"]
    if before != base_url:
        raise CannotBeginError(f"{run.folder} is a run at {before}, and RELAYDANCE_BASE_URL is {base_url} now")


def difference(run: Run, given: Input) -> str:
    """What is different, in a few words."""
    before = {row.id: row.body for row in run.rows()}
    new = changed = same = 0
    first = ""
    for row in given.rows():
        if row.id not in before:
            new += 1
        elif before[row.id] == row.body:
            same += 1
            continue
        else:
            changed += 1
        first = first or f"line {row.line}, id {row.id!r}"
    gone = len(before) - same - changed
    counts = {"changed": changed, "new": new, "gone": gone}
    told = [f"{number} {what}" for what, number in counts.items() if number] or ["another order, or other columns"]
    return ", ".join(told) + (f" (first: {first})" if first else "")


def _name(source: str) -> str:
    return "the input" if source == "-" else source


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
