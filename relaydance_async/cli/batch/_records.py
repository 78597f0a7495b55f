"""Files of rows: CSV, JSONL, Parquet, OpenAI's Batch format. Read piece by piece, with the line of each row."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias, cast

from .._exits import CannotBeginError
from ._options import Format

_SUFFIXES: Mapping[str, Format] = {
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_LONGEST_CELL = 16 * 2**20
"""Characters of one cell; the csv module's own limit is 131,072, less than a prompt with an image in it."""
_LONGEST_LINE = 128 * 2**20
"""Bytes of one line of JSONL: as much as the gateway takes in one request."""
OPENAI_FIELDS = ("custom_id", "method", "url", "body")


@dataclass(frozen=True, slots=True)
class Record:
    """A row as it stands in the file."""

    line: int
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a row."""

    line: int
    text: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.text}"


Read: TypeAlias = Iterator[Record | Fault]


@contextmanager
def open_records(source: str, named: Format | None) -> Generator[tuple[Format, Read]]:
    """The format of a file, and its records.

    Args:
        source: a path; "-" is stdin.
        named: the format; None: by the file's name, or by its first line.

    Raises:
        CannotBeginError: there is no such file, or no pyarrow.
    """
    with _open(source) as file:
        found = named or _SUFFIXES.get(Path(source).suffix.lower())
        peeked = b""
        if found in (None, "jsonl"):
            peeked = file.readline(_LONGEST_LINE)
            found = named or _by_first_line(peeked)
        readers: Mapping[Format, Callable[[BinaryIO], Read]] = {
            "csv": _read_csv,
            "jsonl": _read_jsonl,
            "openai": _read_jsonl,
            "parquet": _read_parquet,
        }
        yield found, readers[found](cast(BinaryIO, _Again(peeked, file)) if peeked else file)


@contextmanager
def _open(source: str) -> Generator[BinaryIO]:
    if source == "-":
        yield sys.stdin.buffer
        return
    try:
        file = open(source, "rb")  # noqa: SIM115
    except OSError as error:
        raise CannotBeginError(f"can't read {source}: {error.strerror}") from None
    with file:
        yield file


class _Again(io.RawIOBase):
    """A file whose first line has been read already."""

    def __init__(self, first: bytes, rest: BinaryIO) -> None:
        self._first = first
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        piece = self._first[: len(buffer)]
        if piece:
            self._first = self._first[len(piece) :]
        else:
            piece = self._rest.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)


def _by_first_line(line: bytes) -> Format:
    try:
        first = json.loads(line)
    except ValueError:
        return "jsonl" if line.lstrip(b"\xef\xbb\xbf \t").startswith(b"{") else "csv"
    is_openai = isinstance(first, dict) and all(name in first for name in OPENAI_FIELDS)
    return "openai" if is_openai else "jsonl"


def _read_csv(file: BinaryIO) -> Read:
    csv.field_size_limit(_LONGEST_CELL)
    text = io.TextIOWrapper(_buffered(file), encoding="utf-8-sig", newline="")
    reader = csv.reader(text, strict=True)
    header: list[str] | None = None
    line = 1
    try:
        for cells in reader:
            if cells and header is None:
                header = [name.strip() for name in cells]
                yield from _header_faults(line, header)
            elif cells and header is not None:
                if len(cells) == len(header):
                    yield Record(line, dict(zip(header, cells, strict=True)))
                else:
                    yield Fault(line, f"{len(cells)} cells, where the header has {len(header)}")
            line = reader.line_num + 1
    except csv.Error as error:
        yield Fault(line, f"this is no CSV: {error}")
    except UnicodeDecodeError as error:
        yield Fault(line, f"this is no UTF-8: {error.reason}; at this line or soon after it")
    finally:
        text.detach()


def _header_faults(line: int, header: list[str]) -> Iterator[Fault]:
    for name in sorted({name for name in header if header.count(name) > 1}):
        yield Fault(line, f"two columns are called {name!r}")


def _read_jsonl(file: BinaryIO) -> Read:
    lines = _buffered(file)
    number = 0
    while line := lines.readline(_LONGEST_LINE):
        number += 1
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if line.strip():
            yield _parse_line(number, line)


def _parse_line(number: int, line: bytes) -> Record | Fault:
    try:
        fields = json.loads(line)
    except UnicodeDecodeError:
        return Fault(number, "this is no UTF-8")
    except (ValueError, RecursionError) as error:
        return Fault(number, f"this is no JSON: {error}")
    if not isinstance(fields, dict):
        return Fault(number, f"a line must be a JSON object, not {type(fields).__name__}")
    return Record(number, cast("dict[str, Any]", fields))


def _read_parquet(file: BinaryIO) -> Read:
    arrow, parquet = import_arrow()
    content: Any = file if file.seekable() else io.BytesIO(file.read())
    number = 0
    try:
        for some in parquet.ParquetFile(content).iter_batches(batch_size=1_000):
            rows: list[dict[str, Any]] = some.to_pylist()
            for fields in rows:
                number += 1
                yield Record(number, {name: value for name, value in fields.items() if value is not None})
    except (arrow.ArrowException, OSError) as error:
        yield Fault(number + 1, f"this is no Parquet: {error}")


def import_arrow() -> tuple[Any, Any]:
    """pyarrow, and its part for Parquet.

    Raises:
        CannotBeginError: it isn't there.
    """
    try:
        return import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError:
        message = 'Parquet files need pyarrow, which is not installed: pip install "relaydance-async[parquet]"'
        raise CannotBeginError(message) from None


def _buffered(file: BinaryIO) -> io.BufferedReader:
    buffered: io.BufferedReader = cast(Any, file) if hasattr(file, "peek") else io.BufferedReader(cast(Any, file))
    return buffered
