"""What the key's own books tell of a request that is in doubt (wire 9).

They can prove one thing: that it was not accepted. A charge never proves whose it is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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


def judge(entry: JournalEntry, books: Books, known: Mapping[str, float], now: float) -> Judgement:
    """What the books tell of an entry that is in doubt.

    Args:
        known: the request ids of requests that are known to have been accepted, and when they were sent (Unix time).
        now: Unix time in seconds.
    """
    candidates = tuple(_shown(row) for row in books.rows if _may_be_its_own(row, entry, books, known))
    if candidates:
        own = entry.request_id is not None and entry.request_id in candidates
        why = "its own request id is charged" if own else "a charge that nobody has explained may be its own"
        return Judgement(False, why, candidates)
    missing = _what_is_missing(entry, books, known, now)
    if missing is not None:
        return Judgement(False, missing)
    return Judgement(True, "the key's books list no charge for it")


def _may_be_its_own(row: Row, entry: JournalEntry, books: Books, known: Mapping[str, float]) -> bool:
    first, last = _time_of(entry, books)
    return (
        row.type == _CHARGE
        and row.request_id not in known
        and first <= row.at <= last
        and (not entry.model or not row.model or row.model == entry.model)
        and (not row.path or row.path.endswith(entry.route))
    )


def _time_of(entry: JournalEntry, books: Books) -> tuple[float, float]:
    """When its charge may have been written, by the gateway's clock."""
    sent = entry.sent_at.timestamp()
    # What the clocks differ by now they may not have differed by then: so it widens the time, and doesn't move it.
    return sent + min(books.ahead, 0.0) - MARGIN, sent + AGE + max(books.ahead, 0.0) + MARGIN


def _what_is_missing(entry: JournalEntry, books: Books, known: Mapping[str, float], now: float) -> str | None:
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
    later = (known.get(row.request_id, 0.0) for row in books.rows if row.type == _CHARGE and row.request_id)
    if not any(at > sent for at in later):
        return "no charge that is known to be later is listed yet"
    return None


def _shown(row: Row) -> str:
    return row.request_id or f"at {datetime.fromtimestamp(row.at, UTC):%Y-%m-%d %H:%M:%S} UTC"
