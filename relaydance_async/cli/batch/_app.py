"""What can be typed after `relaydance batch`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from cyclopts import App, Parameter

from .._profiles import Form
from .._session import Here, Session
from ._options import Columns, Format, Pace

Why: TypeAlias = Literal["content", "input", "passing", "unsaved", "unknown"]
batch = App(name="batch", help="Make what a file asks for, each row once: clips, images, chats.")

_DEFAULT_COLUMNS, _DEFAULT_PACE = Columns(), Pace()


def _form(json: bool, session: Session) -> Form:
    """How to show it: `--json` is `--output jsonl`."""
    return "jsonl" if json else session.output.form


@batch.command
def run(
    rows: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    /,
    *,
    out: Path,
    format: Format | None = None,
    columns: Columns = _DEFAULT_COLUMNS,
    pace: Pace = _DEFAULT_PACE,
    resume: bool = False,
    dry_run: bool = False,
    json: bool = False,
    session: Here,
) -> int:
    """Make what a file asks for. The same command again goes on where it ended.

    All rows are checked before anything is paid for.

    Exit status: 0 all rows are done; 1 some failed; 2 it could not begin; 3 some are in doubt; 4 the budget is spent; 5
    the key, the balance or the disk stopped it; 130 and 143 a signal did.

    Args:
        rows: CSV, JSONL, Parquet or OpenAI's Batch JSONL; `-` is stdin. It may be left out to resume.
        out: the run's directory.
        format: of the file (default: by its name, or its first line).
        resume: only go on: it is an error when the run isn't there.
        dry_run: show rows, models, cost and time, and send nothing.
        json: events, one JSON object a line, instead of progress.
    """
    from ._start import run_rows

    return run_rows(
        rows,
        out,
        format,
        columns,
        pace,
        resume=resume,
        dry_run=dry_run,
        shown=_form(json, session),
        session=session,
    )


@batch.command
def status(out: Path, /, *, json: bool = False, session: Here) -> int:
    """Show how far a run is. It may be under way.

    Args:
        out: the run's directory.
        json: one JSON object.
    """
    from ._run import Run
    from ._tell import show_status

    return show_status(Run(out), shown=_form(json, session))


@batch.command
def doubts(
    out: Path,
    /,
    *,
    settle: tuple[str, ...] = (),
    release: tuple[str, ...] = (),
    resolve: bool = False,
    json: bool = False,
    session: Here,
) -> int:
    """Show the rows that may have been accepted, and decide them. Exit status 3 while there are some.

    Args:
        out: the run's directory.
        settle: ID=TASK_ID: it was accepted, as this task.
        release: ID: it was not accepted, and may be sent again.
        resolve: decide what the gateway's books can decide.
        json: one JSON object a line.
    """
    from ._run import Run
    from ._tell import show_doubts

    return show_doubts(
        Run(out), settle=settle, release=release, resolve=resolve, shown=_form(json, session), session=session
    )


@batch.command
def retry(
    out: Path,
    rows: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    /,
    *,
    only: tuple[Why, ...] = (),
    format: Format | None = None,
    pace: Pace = _DEFAULT_PACE,
    json: bool = False,
    session: Here,
) -> int:
    """Send rows again that failed; with an edited file, those of them that have changed. Exit status as of `run`.

    Args:
        out: the run's directory.
        rows: the file, edited.
        only: those that failed for this reason: see errors.jsonl.
        format: of the file (default: that of the run).
        json: events, one JSON object a line, instead of progress.
    """
    from ._start import retry_rows

    return retry_rows(out, rows, format, only, pace, shown=_form(json, session), session=session)


@batch.command
def export(out: Path, /, *, to: Path, format: Format = "csv") -> int:
    """Write the rows, with what has come of each, into one file.

    Args:
        out: the run's directory.
        to: the file; of OpenAI's format, the directory of output.jsonl and error.jsonl.
        format: of the file.
    """
    from ._export import export as write
    from ._run import Run

    run = Run(out)
    run.require()
    write(run, format, to)
    return 0
