"""`batch run` and `batch retry`: from what was typed to a run that is begun, gone on with, or refused."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from .._exits import CannotBeginError
from .._output import Output
from .._profiles import Form
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
    shown: Form,
    session: Session,
) -> int:
    """`batch run`; the exit status."""
    run = Run(out)
    if pace.price is not None:
        parse_price(pace.price)
    if source is None or resume:
        run.require()
    if source is None:
        return _show_rest(run, pace, session, shown) if dry_run else _resume(run, pace, session, shown=shown)
    with checked_input(source, form, columns) as given:
        if dry_run:
            return _show(given, pace, session, shown)
        base_url = _base_url(session)
        with run.locked():
            begin_or_resume(run, given, base_url)
            return _do(Batch(run, pace, open_display(shown), session))


def retry_rows(
    out: Path,
    source: str | None,
    form: Format | None,
    only: Collection[str],
    pace: Pace,
    *,
    shown: Form,
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
        return _do(Batch(run, pace, open_display(shown), session, only=chosen))


def _resume(run: Run, pace: Pace, session: Session, *, shown: Form) -> int:
    with run.locked():
        check_same_api(run, _base_url(session))
        return _do(Batch(run, pace, open_display(shown), session))


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


def _show(given: Input, pace: Pace, session: Session, shown: Form) -> int:
    _show_plan(list(given.rows()), f"{given.count} rows: nothing is sent", pace, session, shown)
    return 0


def _show_rest(run: Run, pace: Pace, session: Session, shown: Form) -> int:
    done = {result["id"] for result in run.results()}
    rows = [row for row in run.rows() if row.id not in done]
    head = f"{len(rows)} rows are left of {len(rows) + len(done)}: nothing is sent"
    _show_plan(rows, head, pace, session, shown)
    return 0


def _show_plan(rows: list[Row], head: str, pace: Pace, session: Session, shown: Form) -> None:
    plan = _plan(rows, pace, session)
    if shown == "table":
        _print_plan(plan, head, pace)
    else:
        Output(shown).one(plan)


def _print_plan(plan: dict[str, Any], head: str, pace: Pace) -> None:
    print(head)
    for model, each in plan["models"].items():
        usd = each["at_most_usd"]
        cost = "nobody knows the cost; give --price" if usd is None else f"at most ${usd:.2f}"
        print(f"  {model}: {each['rows']} rows, {cost}")
    if plan["at_most_usd"] is not None:
        print(f"Cost: at most ${plan['at_most_usd']:.2f}")
    print(f"Time: {plan['seconds'] / 60:.0f} min or more, with {pace.in_flight} in flight and 2 min a clip")


def _plan(rows: list[Row], pace: Pace, session: Session) -> dict[str, Any]:
    """What it would make, cost at most (None: nobody knows), and take at least."""
    import asyncio

    prices = asyncio.run(_prices(pace, session))
    models = {
        model: {"rows": count, "at_most_usd": _sum(prices.bound(row) for row in rows if row.model == model)}
        for model, count in Counter(row.model for row in rows).most_common()
    }
    turns = Counter(row.kind for row in rows)
    seconds = sum(_SECONDS_EACH[kind] * -(-count // pace.in_flight) for kind, count in turns.items())
    cost = _sum(map(prices.bound, rows))
    return {"rows": len(rows), "models": models, "at_most_usd": cost, "seconds": seconds}


def _sum(bounds: Iterable[float | None]) -> float | None:
    known = list(bounds)
    return None if None in known else sum(bound or 0.0 for bound in known)


async def _prices(pace: Pace, session: Session) -> Prices:
    from ... import RelayDanceError

    if pace.price is not None:
        return Prices(fixed=pace.price)
    try:
        async with session.client() as client:
            return Prices(await client.account.prices())
    except (RelayDanceError, CannotBeginError):
        return Prices()
