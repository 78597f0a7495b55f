"""What the key's own books tell of a request that is in doubt (wire 9).

They can prove one thing: that it was not accepted. A charge never proves whose it is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ..models._lenient import integer, is_object, number, text
from ..models.journal import JournalEntry

MOST_ROWS = 1_000
"""More don't come."""
AGE = 15 * 60.0
"""Seconds after which a request that is not in the books won't come into them any more."""
MARGIN = 60.0
"""Seconds that two clocks may differ by beside what is known of them."""
_CHARGE, _REFUND = 2, 6
_LATEST = 10**11
"""Of a Unix time in seconds."""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the log.

    Attributes:
        type: 2 is a charge, 6 a refund.
        at: by the gateway's clock, Unix time in seconds.
        path: of the request; "" when it isn't told.
        request_id: None from older gateways.
    """

    type: int
    at: int
    model: str
    path: str
    quota: int
    request_id: str | None


@dataclass(frozen=True, slots=True)
class Books:
    """What was read at one time.

    Attributes:
        rows: newest first.
        used: the key's total use, as asked for before and after the rows; empty when that isn't offered.
        ahead: seconds that the gateway's clock is ahead of ours.
    """

    rows: Sequence[Row]
    used: tuple[int, ...]
    ahead: float = 0.0


@dataclass(frozen=True, slots=True)
class Known:
    """The requests that are known to have been accepted.

    Attributes:
        sent_at: when they were sent (Unix time), by their request ids.
        without_id: how many there are besides, of a model and a route: a webhook or a person told of them. Each of them
            has one charge.
    """

    sent_at: Mapping[str, float]
    without_id: Mapping[tuple[str | None, str], int] = field(default_factory=dict[tuple[str | None, str], int])


@dataclass(frozen=True, slots=True)
class Judgement:
    """What follows for one request.

    Attributes:
        refused: whether it was certainly not accepted.
        why: in words.
        candidates: the request ids of the charges that may be its own.
    """

    refused: bool
    why: str
    candidates: tuple[str, ...] = ()


def parse_log(content: Any) -> list[Row] | None:
    """The rows of a log; None when it is none, or a line of it can't be read."""
    data = content.get("data") if is_object(content) and content.get("success") is True else None
    if not isinstance(data, list):
        return None
    rows = [_parse_row(line) for line in data]  # pyright: ignore[reportUnknownVariableType]
    whole = [row for row in rows if row is not None]
    return whole if len(whole) == len(rows) else None


def _parse_row(line: Any) -> Row | None:
    if not is_object(line):
        return None
    kind, at = integer(line.get("type"), 0, 1000), integer(line.get("created_at"), 1, _LATEST)
    quota = number(line.get("quota"))
    if kind is None or at is None or quota is None or abs(quota) > 2**53:
        return None
    path, request_id = _path_in(line.get("other")), text(line.get("request_id"), 200)
    return Row(kind, at, text(line.get("model_name")), path, int(quota), request_id or None)


def _path_in(other: Any) -> str:
    try:
        content = json.loads(other) if isinstance(other, str) else other
    except (ValueError, RecursionError):
        return ""
    return text(content.get("request_path"), 1000) if is_object(content) else ""


def judge(entry: JournalEntry, books: Books, known: Known, now: float) -> Judgement:
    """What the books tell of an entry that is in doubt.

    Args:
        now: Unix time in seconds.
    """
    missing = _what_is_missing(entry, books, known, now)
    unexplained = [row for row in books.rows if _is_unexplained(row, entry, known)]
    first, last = _time_of(entry, books)
    candidates = tuple(_shown(row) for row in unexplained if first <= row.at <= last)
    if candidates and entry.request_id in candidates:
        return Judgement(False, "its own request id is charged", candidates)
    # Of whole books each charge is one request's: when there are as many as requests without an id, none is left.
    told = known.without_id.get((entry.model, entry.route), 0)
    if candidates and (missing is not None or len(unexplained) > told):
        return Judgement(False, "a charge that nobody has explained may be its own", candidates)
    if missing is not None:
        return Judgement(False, missing)
    return Judgement(True, "the key's books list no charge for it")


def _is_unexplained(row: Row, entry: JournalEntry, known: Known) -> bool:
    """Whether it is a charge of its model and route, and nobody knows for what."""
    return (
        row.type == _CHARGE
        and row.request_id not in known.sent_at
        and (not entry.model or not row.model or row.model == entry.model)
        and (not row.path or row.path.endswith(entry.route))
    )


def _time_of(entry: JournalEntry, books: Books) -> tuple[float, float]:
    """When its charge may have been written, by the gateway's clock."""
    sent = entry.sent_at.timestamp()
    # What the clocks differ by now they may not have differed by then: so it widens the time, and doesn't move it.
    return sent + min(books.ahead, 0.0) - MARGIN, sent + AGE + max(books.ahead, 0.0) + MARGIN


def _what_is_missing(entry: JournalEntry, books: Books, known: Known, now: float) -> str | None:
    """Why a missing charge proves nothing; None when it does."""
    sent = entry.sent_at.timestamp()
    if now - sent < AGE:
        return f"it was sent less than {AGE / 60:g} minutes ago"
    if len(books.rows) >= MOST_ROWS:
        reach = min(row.at for row in books.rows)
        if reach > _time_of(entry, books)[0]:
            return f"the key's books list {len(books.rows)} rows, and do not reach back to it"
        return f"the key's books list {len(books.rows)} rows, and more were made: they can't explain its total"
    if not books.used:
        return "the gateway doesn't tell the key's total use"
    listed = sum(row.quota for row in books.rows if row.type == _CHARGE)
    listed -= sum(row.quota for row in books.rows if row.type == _REFUND)
    if listed not in books.used:
        return f"the key's books explain {listed} of its total of {books.used[-1]}: a charge is not listed yet"
    later = (known.sent_at.get(row.request_id, 0.0) for row in books.rows if row.type == _CHARGE and row.request_id)
    if not any(at > sent for at in later):
        return "no charge that is known to be later is listed yet"
    return None


def _shown(row: Row) -> str:
    return row.request_id or f"at {datetime.fromtimestamp(row.at, UTC):%Y-%m-%d %H:%M:%S} UTC"
