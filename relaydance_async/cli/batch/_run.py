"""A run's directory: what it holds, whose it is, and what has come of its rows.

rows.jsonl      the rows, checked and in order
run.json        what the run is
journal.db      what became of each request (SQLite)
results.jsonl   a line for each row that is done, as it comes
errors.jsonl    a line for each row that isn't, and why
report.json     how the last start of the run ended
run.lock        held while a run is under way
…               the clips and images
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from filelock import FileLock, Timeout

from .._exits import CannotBeginError
from ._rows import Row

VERSION = 1
_OWN = ("rows.jsonl", "run.json", "journal.db", "results.jsonl", "errors.jsonl", "report.json", "run.lock")


class Run:
    """One run's directory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (
            self.rows_file,
            self.facts_file,
            self.journal_file,
            self.results_file,
            self.errors_file,
            self.report_file,
            self.lock_file,
        ) = (folder / name for name in _OWN)

    def exists(self) -> bool:
        """Whether a run has begun here."""
        return self.facts_file.exists()

    def require(self) -> None:
        """It is there.

        Raises:
            CannotBeginError: it isn't.
        """
        if not self.exists():
            raise CannotBeginError(f"there is no run in {self.folder}; `relaydance batch run ROWS --out …` begins one")

    @contextmanager
    def locked(self) -> Generator[None]:
        """Hold the run: nobody else may work in it meanwhile. The lock ends with the process, however that ends.

        Raises:
            CannotBeginError: another process holds it, or the directory can't be made.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.lock_file)
            lock.acquire(timeout=0)
        except Timeout:
            raise CannotBeginError(f"another process is at work on the run in {self.folder}") from None
        except OSError as error:
            raise CannotBeginError(f"can't work in {self.folder}: {error.strerror or error}") from None
        try:
            yield
        finally:
            lock.release()

    def check_empty(self) -> None:
        """A new run begins in an empty directory: so it overwrites nobody's files.

        Raises:
            CannotBeginError: it isn't empty.
        """
        strangers = [path.name for path in self.folder.iterdir() if path.name not in _OWN and path.name[0] != "."]
        if strangers:
            raise CannotBeginError(f"{self.folder} holds other files, such as {strangers[0]}; a run needs its own")

    @property
    def facts(self) -> dict[str, Any]:
        """What the run is."""
        facts: dict[str, Any] = json.loads(self.facts_file.read_text(encoding="utf-8"))
        if facts.get("version") != VERSION:
            raise CannotBeginError(f"the run in {self.folder} was made by another version of relaydance-async")
        return facts

    def rows(self) -> Iterator[Row]:
        """All of them, in order."""
        with self.rows_file.open("rb") as lines:
            for line in lines:
                yield Row.from_json(line)

    def results(self) -> Iterator[dict[str, Any]]:
        """What is done."""
        return _read(self.results_file)

    def errors(self) -> Iterator[dict[str, Any]]:
        """What isn't, and why."""
        return _read(self.errors_file)

    def keep_errors(self, kept: Iterable[dict[str, Any]]) -> None:
        """From now on these only: the others are tried again."""
        write_whole(self.errors_file, "".join(f"{line_of(error)}\n" for error in kept))

    def write_facts(self, **facts: Any) -> None:
        """Say what the run is."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        write_whole(self.facts_file, json.dumps({"version": VERSION, "begun_at": now, **facts}, indent=1) + "\n")

    def write_report(self, report: dict[str, Any]) -> None:
        """Say how it ended."""
        write_whole(self.report_file, json.dumps(report, indent=1, ensure_ascii=False) + "\n")


class Lines:
    """A file of lines that only grows. A line that a crash cut off is taken away."""

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = path.open("a+b")
        _mend(self._file)

    def add(self, record: dict[str, Any]) -> None:
        """Write a line; it is with the system, whatever becomes of this process."""
        self._file.write(f"{line_of(record)}\n".encode())
        self._file.flush()

    def close(self) -> None:
        """Close it, on the disk."""
        os.fsync(self._file.fileno())
        self._file.close()


def line_of(record: dict[str, Any]) -> str:
    """One line of JSONL, without its end."""
    return json.dumps(record, ensure_ascii=False, separators=(",", ":"))


def digest_of(path: Path) -> str:
    """The content, as a hash."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_whole(path: Path, text: str) -> None:
    """Replace a file by a whole one."""
    part = path.with_name(f"{path.name}.part")
    with part.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def _mend(file: BinaryIO) -> None:
    end = file.seek(0, os.SEEK_END)
    at = end
    while at > 0:
        begin = max(0, at - 65_536)
        file.seek(begin)
        found = file.read(at - begin).rfind(b"\n")
        if found >= 0:
            at = begin + found + 1
            break
        at = begin
    if at != end:
        file.truncate(at)
    file.seek(0, os.SEEK_END)


def _read(path: Path) -> Iterator[dict[str, Any]]:
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        for line in file:
            if line.endswith(b"\n"):
                yield json.loads(line)
