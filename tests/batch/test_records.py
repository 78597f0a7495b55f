"""Files of rows: what is in them, and what is wrong with them, by line."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from relaydance_async.cli._exits import CannotBeginError
from relaydance_async.cli.batch._options import Format
from relaydance_async.cli.batch._records import Fault, Record, import_arrow, open_records


def read(path: Path, named: Format | None = None) -> tuple[str, list[Any]]:
    with open_records(str(path), named) as (form, records):
        return form, list(records)


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


CSV = 'id,prompt\r\n1,"a, b"\r\n2,"two\nlines"\r\n3,"say ""hi"""\r\n\r\n4,é\r\n'


@pytest.mark.parametrize("content", [CSV.encode(), b"\xef\xbb\xbf" + CSV.encode(), CSV.replace("\r\n", "\n").encode()])
def test_csv_with_the_line_that_each_row_begins_at(tmp_path: Path, content: bytes) -> None:
    form, records = read(written(tmp_path, "rows.csv", content))
    assert form == "csv"
    assert records == [
        Record(2, {"id": "1", "prompt": "a, b"}),
        Record(3, {"id": "2", "prompt": "two\nlines"}),
        Record(5, {"id": "3", "prompt": 'say "hi"'}),
        Record(7, {"id": "4", "prompt": "é"}),
    ]


def test_faults_of_csv(tmp_path: Path) -> None:
    _, records = read(written(tmp_path, "rows.csv", 'id,a,a\n1,2\n1,2,3,4\n1,2,3\n1,"x"y,3\n'))
    assert records[:3] == [
        Fault(1, "two columns are called 'a'"),
        Fault(2, "2 cells, where the header has 3"),
        Fault(3, "4 cells, where the header has 3"),
    ]
    assert records[3] == Record(4, {"id": "1", "a": "3"})
    assert (records[4].line, "no CSV" in records[4].text) == (5, True)


def test_csv_that_is_no_utf8(tmp_path: Path) -> None:
    _, records = read(written(tmp_path, "rows.csv", b"id,prompt\n1,\xff\xfe\n"))
    assert "UTF-8" in records[-1].text


def test_a_cell_may_be_long(tmp_path: Path) -> None:
    _, (record,) = read(written(tmp_path, "rows.csv", f"id,prompt\n1,{'x' * 1_000_000}\n"))
    assert len(record.fields["prompt"]) == 1_000_000


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.ndjson", "rows.JSONL"])
def test_jsonl(tmp_path: Path, name: str) -> None:
    content = b'\xef\xbb\xbf{"id": 1, "a": [1]}\n\n{"id": 2}\r\n{"id": 3}'
    form, records = read(written(tmp_path, name, content))
    assert form == "jsonl"
    assert records == [Record(1, {"id": 1, "a": [1]}), Record(3, {"id": 2}), Record(4, {"id": 3})]


def test_faults_of_jsonl(tmp_path: Path) -> None:
    lines = [b'{"id": 1}', b"{", b"[1]", b'"a"', b'{"id": "\xff"}', b"[" * 100_000, b'{"id": 2}']
    _, records = read(written(tmp_path, "rows.jsonl", b"\n".join(lines)))
    assert [record.line for record in records if isinstance(record, Fault)] == [2, 3, 4, 5, 6]
    assert [record.line for record in records if isinstance(record, Record)] == [1, 7]
    assert "object, not list" in records[2].text
    assert "no UTF-8" in records[4].text


OPENAI: dict[str, object] = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {}}


@pytest.mark.parametrize(
    ("content", "form"),
    [
        (json.dumps(OPENAI), "openai"),
        ('{"id": 1}', "jsonl"),
        ('{"broken": ', "jsonl"),
        ("id,prompt\n1,2", "csv"),
        ("id\n", "csv"),
    ],
)
def test_without_a_suffix_the_first_line_tells(
    tmp_path: Path, content: str, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read(written(tmp_path, "rows", content))[0] == form
    by_file = read(written(tmp_path, "rows", content))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content.encode())))
    assert read(Path("-")) == by_file


def test_the_format_can_be_said(tmp_path: Path) -> None:
    assert read(written(tmp_path, "rows.txt", '{"a": 1}'), "csv") == ("csv", [])
    assert read(written(tmp_path, "rows.jsonl", json.dumps(OPENAI)))[0] == "openai"
    assert read(written(tmp_path, "rows.jsonl", json.dumps(OPENAI)), "jsonl")[0] == "jsonl"


def test_parquet(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    arrow, parquet = import_arrow()
    table = arrow.Table.from_pydict({"id": [1, 2], "prompt": ["a", None], "seconds": [5.5, 6.0]})
    path = tmp_path / "rows.parquet"
    parquet.write_table(table, path)
    assert read(path) == (
        "parquet",
        [Record(1, {"id": 1, "prompt": "a", "seconds": 5.5}), Record(2, {"id": 2, "seconds": 6.0})],
    )


def test_what_is_no_parquet_is_told(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    _, (fault,) = read(written(tmp_path, "rows.parquet", "id\n1\n"))
    assert "no Parquet" in fault.text


def test_a_missing_pyarrow_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(CannotBeginError, match=r"relaydance-async\[parquet\]"):
        read(written(tmp_path, "rows.parquet", "x"))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CannotBeginError, match="No such file"):
        read(tmp_path / "nothing.csv")
