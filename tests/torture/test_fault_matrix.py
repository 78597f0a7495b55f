"""Each endpoint, each fault, each moment, over real sockets and both transports.

For each cell the data in `fault_rows` says how the call ends, how often it was sent and what the gateway has accepted.
In all of them no other exception escapes, the deadline is kept, a billed request is accepted once at most, and the same
client then works. A slice runs with the ordinary tests; `nox -s torture` plays the whole product.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from relaydance_async import APIConnectionError
from relaydance_async._transports import TransportName
from relaydance_async.sandbox import ConnectionFault
from tests.kit.loops import jumping_loop_by_option
from tests.torture.fault_rows import (
    ALL_ROWS,
    BILLED,
    GROUPS,
    SMALL,
    Moment,
    Outcome,
    Row,
    expect,
    is_doubted,
    is_retried,
    moments,
)
from tests.torture.fault_stage import ENDPOINTS, GRACE, Endpoint, Stage, play

pytestmark = pytest.mark.anyio


TRANSPORTS: tuple[TransportName, ...] = ("httpx", "direct")


@pytest.fixture(scope="module")
def anyio_backend(pytestconfig: pytest.Config) -> tuple[str, dict[str, Any]]:
    """What `--loop` says. Its time can be put forward."""
    return "asyncio", {"loop_factory": jumping_loop_by_option(pytestconfig)}


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with ExitStack() as stack:
        yield Stage(stack)


def rows_of(endpoint: Endpoint) -> list[Row]:
    return [row for row in ALL_ROWS if row.kinds is None or endpoint.kind in row.kinds]


async def check(stage: Stage, transport: TransportName, endpoint: Endpoint, row: Row, moment: Moment) -> None:
    played = await play(stage, endpoint, row, moment, transport)
    outcome, expected = played.outcome, expect(row, endpoint.kind, moment)
    assert outcome.as_far_as(expected) == expected, f"{moment}: {played.error!r}"
    assert played.took <= endpoint.limit_with(row) + GRACE
    if endpoint.kind in BILLED and not (row.retried == "small" and endpoint.kind in SMALL):
        assert outcome.accepted is not None
        assert outcome.accepted <= 1
    if expected.attempts is not None and expected.attempts > 1 and endpoint.kind != "wait":
        assert sum(played.sleeps) >= row.least_wait - 0.01


FULL = [
    pytest.param(endpoint, row, id=f"{endpoint.name}-{row.name}") for endpoint in ENDPOINTS for row in rows_of(endpoint)
]


@pytest.mark.torture
@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize(("endpoint", "row"), FULL)
async def test_a_fault_ends_every_call_as_the_table_says(
    stage: Stage, transport: TransportName, endpoint: Endpoint, row: Row
) -> None:
    for moment in moments(row, endpoint.kind):
        await check(stage, transport, endpoint, row, moment)


def slice_of_all() -> list[tuple[TransportName, Endpoint, Row]]:
    """Each line of the table once for each kind of endpoint, the transports in turn."""
    of_kind = {endpoint.kind: endpoint for endpoint in ENDPOINTS}
    cells = [
        (endpoint, row)
        for endpoint in of_kind.values()
        for row in {row.label: row for row in rows_of(endpoint)}.values()
    ]
    return [(TRANSPORTS[number % 2], *cell) for number, cell in enumerate(cells)]


@pytest.mark.parametrize(
    ("transport", "endpoint", "row"),
    [pytest.param(*cell, id=f"{cell[0]}-{cell[1].name}-{cell[2].name}") for cell in slice_of_all()],
)
async def test_a_fault_ends_a_call_as_the_table_says(
    stage: Stage, transport: TransportName, endpoint: Endpoint, row: Row
) -> None:
    played = moments(row, endpoint.kind)
    for moment in played if is_doubted(row, endpoint.kind) else played[:1]:
        await check(stage, transport, endpoint, row, moment)


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_billed_request_on_a_connection_that_is_reset_at_once_is_repeated_only_if_it_was_not_sent(
    stage: Stage, transport: TransportName
) -> None:
    submit = next(endpoint for endpoint in ENDPOINTS if endpoint.name == "video.submit")
    reset = Row("reset at once", ConnectionFault("refuse"), APIConnectionError, "safe", "nothing")
    for _ in range(5):
        outcome = (await play(stage, submit, reset, "first", transport)).outcome
        repeated = Outcome(None, False, 2, 1, 1)
        assert outcome in (repeated, Outcome(APIConnectionError, True, 1, 0, 0))


def lines_of(rows: list[Row]) -> list[str]:
    """One table in docs/faults.md."""
    lines = ["| what happens | GET | billed POST | error | the gateway |", "|---|---|---|---|---|"]
    for row in rows:
        get, post = ("–" if row.error is None else "yes" if is_retried(row, kind) else "no" for kind in ("get", "post"))
        error = f"`{row.error.__name__}`" if row.error is not None else "none"
        saw = {"nothing": "saw nothing", "refused": "refused it", "accepted": "accepted it"}[row.ledger]
        mark = ", `maybe_accepted`" if row.ambiguous else ""
        post = "chat only" if row.retried == "small" else post
        line = f"| {row.label} | {get} | {post} | {error}{mark} | {saw} |"
        if line not in lines:
            lines.append(line)
    return lines


def test_the_documented_tables_are_those_that_are_tested() -> None:
    text = (Path(__file__).parents[2] / "docs" / "faults.md").read_text(encoding="utf-8")
    written = [line for line in text.splitlines() if line.startswith(("|", "### "))]
    tables = {f"### {title}": lines_of(rows) for title, rows in GROUPS.items()}
    assert written == [line for title, lines in tables.items() for line in (title, *lines)]
    labels = [line.split("|")[1] for lines in tables.values() for line in lines[2:]]
    assert len(set(labels)) == len(labels), "two rows of one label differ"
