"""`batch run` and `batch retry`: from what was typed to a run that is begun, gone on with, or refused."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Collection
from pathlib import Path

from .._exits import CannotBeginError
from .._session import Session
from ._batch import STOPPED, Batch
from ._display import open_display
from ._export import export_openai
from ._money import Prices, parse_price
from ._options import Columns, Format, Pace
from ._prepare import Input, begin_or_resume, check_same_api, checked_input
from ._rows import Row
from ._run import Run, digest_of, write_whole
from ._work import DOUBT, UNSAVED

_SECONDS_EACH = {"video": 120.0, "image": 15.0, "chat": 10.0}
"""What a row may take, for a guess."""


def run_rows(
    source: str | None,
    out: Path,
    form: Format | None,
    columns: Columns,
    pace: Pace,
    *,
    resume: bool,
    dry_run: bool,
    as_json: bool,
    session: Session,
) -> int:
    """`batch run`; the exit status."""
    run = Run(out)
    if pace.price is not None:
        parse_price(pace.price)
    if source is None or resume:
        run.require()
    if source is None:
        return _show_rest(run, pace, session) if dry_run else _resume(run, pace, session, as_json=as_json)
    with checked_input(source, form, columns) as given:
        if dry_run:
            return _show(given, pace, session)
        base_url = _base_url(session)
        with run.locked():
            begin_or_resume(run, given, base_url)
            return _do(Batch(run, pace, open_display(as_json=as_json), session))


def retry_rows(
    out: Path,
    source: str | None,
    form: Format | None,
    only: Collection[str],
    pace: Pace,
    *,
    as_json: bool,
    session: Session,
) -> int:
    """`batch retry`; the exit status."""
    run = Run(out)
    run.require()
    with run.locked():
        check_same_api(run, _base_url(session))
        chosen = {error["id"] for error in run.errors() if error["why"] != DOUBT and (not only or error["why"] in only)}
        if source is not None:
            chosen = _take_edits(run, source, form, chosen)
        if not chosen:
            raise CannotBeginError("no row of this run is to be sent again; `relaydance batch status` shows why not")
        return _do(Batch(run, pace, open_display(as_json=as_json), session, only=chosen))


def _resume(run: Run, pace: Pace, session: Session, *, as_json: bool) -> int:
    with run.locked():
        check_same_api(run, _base_url(session))
        return _do(Batch(run, pace, open_display(as_json=as_json), session))


def _do(batch: Batch) -> int:
    try:
        code = batch.start()
        if batch.run.facts["format"] == "openai":
            export_openai(batch.run, batch.run.folder)
    except OSError as error:
        print(f"relaydance: {error}", file=sys.stderr)
        return STOPPED
    finally:
        batch.display.close()
    return code


def _base_url(session: Session) -> str:
    """Where it goes; a missing key is told now."""
    return session.client().base_url


def _take_edits(run: Run, source: str, form: Format | None, chosen: set[str]) -> set[str]:
    """Put edited rows in the places of those that failed; the ids of those that were edited.

    What is paid for is not edited: its request has been accepted as it was.
    """
    facts = run.facts
    fixed = {error["id"] for error in run.errors() if error["why"] in (DOUBT, UNSAVED)}
    with checked_input(source, form or facts["format"], Columns(**facts["columns"])) as given:
        new = {row.id: row for row in given.rows() if row.id in chosen}
    taken: set[str] = set()
    rows: list[Row] = []
    for row in run.rows():
        edited = new.get(row.id)
        if edited is not None and edited.body != row.body and row.id not in fixed:
            taken.add(row.id)
            row = Row(edited.line, row.id, edited.kind, row.name, edited.body, edited.fields)
        rows.append(row)
    write_whole(run.rows_file, "".join(f"{row.to_json()}\n" for row in rows))
    run.write_facts(**facts | {"digest": digest_of(run.rows_file)})
    return taken


def _show(given: Input, pace: Pace, session: Session) -> int:
    print(f"{given.count} rows: nothing is sent")
    _estimate(list(given.rows()), pace, session)
    return 0


def _show_rest(run: Run, pace: Pace, session: Session) -> int:
    done = {result["id"] for result in run.results()}
    rows = [row for row in run.rows() if row.id not in done]
    print(f"{len(rows)} rows are left of {len(rows) + len(done)}: nothing is sent")
    _estimate(rows, pace, session)
    return 0


def _estimate(rows: list[Row], pace: Pace, session: Session) -> None:
    import asyncio

    prices = asyncio.run(_prices(pace, session))
    for model, count in Counter(row.model for row in rows).most_common():
        bounds = [prices.bound(row) for row in rows if row.model == model]
        known = [bound for bound in bounds if bound is not None]
        cost = f"at most ${sum(known):.2f}" if len(known) == len(bounds) else "nobody knows the cost; give --price"
        print(f"  {model}: {count} rows, {cost}")
    bounds = [prices.bound(row) for row in rows]
    if None not in bounds:
        print(f"Cost: at most ${sum(bound or 0.0 for bound in bounds):.2f}")
    turns = Counter(row.kind for row in rows)
    seconds = sum(_SECONDS_EACH[kind] * -(-count // pace.in_flight) for kind, count in turns.items())
    print(f"Time: {seconds / 60:.0f} min or more, with {pace.in_flight} in flight and 2 min a clip")


async def _prices(pace: Pace, session: Session) -> Prices:
    from ... import RelayDanceError

    if pace.price is not None:
        return Prices(fixed=pace.price)
    try:
        async with session.client() as client:
            return Prices(await client.account.prices())
    except (RelayDanceError, CannotBeginError):
        return Prices()
