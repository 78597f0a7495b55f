"""`batch export`: the rows with what has come of them, in one file."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .._exits import CannotBeginError
from ._options import Format
from ._records import import_arrow
from ._rows import Row
from ._run import Run, line_of

_COLUMNS = ("state", "files", "task_id", "cost", "why", "code", "message", "request_id")


def export(run: Run, form: Format, to: Path) -> None:
    """Write it; OpenAI's format is two files, so `to` is their directory.

    Raises:
        CannotBeginError: it can't be written, or pyarrow is missing.
    """
    try:
        if form == "openai":
            to.mkdir(parents=True, exist_ok=True)
            export_openai(run, to)
        elif form == "jsonl":
            _write_lines(to, ({**row.fields, **facts} for row, facts in _joined(run)))
        elif form == "csv":
            _write_csv(run, to)
        else:
            _write_parquet(run, to)
    except OSError as error:
        raise CannotBeginError(f"can't write {to}: {error.strerror}") from None


def export_openai(run: Run, folder: Path) -> None:
    """`output.jsonl` and `error.jsonl`, as OpenAI's Batch API gives them."""
    both: dict[str, list[dict[str, Any]]] = {"output.jsonl": [], "error.jsonl": []}
    for row, facts in _joined(run, with_body=True):
        if facts["state"] == "done":
            both["output.jsonl"].append(_openai(row, facts, _response(row, facts), None))
        elif facts["state"] != "not begun":
            error = {"code": facts.get("code") or facts["why"], "message": facts["message"]}
            both["error.jsonl"].append(_openai(row, facts, None, error))
    for name, records in both.items():
        _write_lines(folder / name, iter(records))


def _openai(row: Row, facts: dict[str, Any], response: Any, error: Any) -> dict[str, Any]:
    return {"id": f"batch_req_{row.line}", "custom_id": row.id, "response": response, "error": error}


def _response(row: Row, facts: dict[str, Any]) -> dict[str, Any]:
    body = facts.get("body") or {"task_id": facts.get("task_id"), "status": "succeeded", "files": facts["files"]}
    return {"status_code": 200, "request_id": facts.get("request_id"), "body": body}


def _joined(run: Run, *, with_body: bool = False) -> Iterator[tuple[Row, dict[str, Any]]]:
    """Each row with what is known of it."""
    known = {error["id"]: {"state": _state(error), **error} for error in run.errors()}
    known |= {result["id"]: {"state": "done", **result} for result in run.results()}
    wanted = (*_COLUMNS, "body") if with_body or _has_bodies(known) else _COLUMNS
    for row in run.rows():
        facts = known.get(row.id, {"state": "not begun"})
        yield row, {name: facts[name] for name in wanted if name in facts}


def _has_bodies(known: dict[str, dict[str, Any]]) -> bool:
    return any("body" in facts for facts in known.values())


def _state(error: dict[str, Any]) -> str:
    return "in doubt" if error["why"] == "doubt" else "failed"


def _write_lines(path: Path, records: Iterator[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for record in records:
            file.write(f"{line_of(record)}\n")


def _flat(run: Run) -> tuple[list[str], list[dict[str, str]]]:
    """Cells that are texts, under the union of all columns."""
    columns: dict[str, None] = {}
    rows: list[dict[str, str]] = []
    for row, facts in _joined(run):
        cells = {"id": row.id, **row.fields, **facts}
        columns |= dict.fromkeys(cells)
        rows.append({name: _cell(value) for name, value in cells.items()})
    return list(columns), rows


def _cell(value: Any) -> str:
    if isinstance(value, list) and all(isinstance(one, str) for one in value):  # pyright: ignore[reportUnknownVariableType]
        return " ".join(value)  # pyright: ignore[reportUnknownArgumentType]
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _write_csv(run: Run, path: Path) -> None:
    columns, rows = _flat(run)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def _write_parquet(run: Run, path: Path) -> None:
    arrow, parquet = import_arrow()
    columns, rows = _flat(run)
    table = arrow.Table.from_pydict({name: [row.get(name) for row in rows] for name in columns})
    parquet.write_table(table, path)
