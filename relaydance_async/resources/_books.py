"""`GET /api/log/token` and `GET /api/usage/token/`: the key's own books (wire 9). Either may be switched off."""

from __future__ import annotations

import json
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from .._call import Answer, as_model, as_read
from .._sansio.books import Row, parse_log
from .._sansio.decode import build_error_in
from ..models.account import TokenUsage
from ._route import get


class KeyLog(NamedTuple):
    """The rows of the log, and the gateway's time when it was read (Unix time), if it told that."""

    rows: list[Row]
    at: float | None


async def read_log(answer: Answer) -> KeyLog:
    """The log in an answer.

    Raises:
        APIStatusError: it is an error.
        ResponseDecodeError: it is something else: it is not offered, as a rule.
    """
    body = await answer.read()
    try:
        rows = parse_log(json.loads(body))
    except (ValueError, RecursionError):
        rows = None
    if rows is None:
        raise build_error_in(body, answer.meta, "the answer is no log of the key")
    return KeyLog(rows, _date_in(answer.headers.get("date")))


def _date_in(value: str | None) -> float | None:
    try:
        return parsedate_to_datetime(value).timestamp() if value else None
    except (ValueError, OverflowError):
        return None


# Without the final slash the gateway redirects.
TOKEN_USAGE = get("account.balance", "/api/usage/token/", as_model(TokenUsage))
LOG = get("resolve_doubts", "/api/log/token", as_read(read_log, "KeyLog"))
