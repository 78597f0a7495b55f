"""When a signed URL ends, as its query tells: object stores sign for a time."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlsplit

_SIGNERS = ("x-amz-", "x-goog-", "x-oss-", "x-tos-", "x-bce-")
_LATEST = 1e11


def expires_at(url: str) -> float | None:
    """The end of a URL, as Unix time in seconds; None when it tells none."""
    try:
        query = {name.lower(): value for name, value in parse_qsl(urlsplit(url).query)}
    except ValueError:
        return None
    for signer in _SIGNERS:
        begun, seconds = _date(query.get(f"{signer}date", "")), _number(query.get(f"{signer}expires", ""))
        if begun is not None and seconds is not None:
            return begun + seconds
    return _number(query.get("expires", ""))


def _date(text: str) -> float | None:
    try:
        return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


def _number(text: str) -> float | None:
    return float(text) if text.isascii() and text.isdigit() and float(text) < _LATEST else None
