"""Keeps secrets out of what is kept of an answer: some servers send back what they were sent."""

from __future__ import annotations

import re

HIDDEN = "***"

_SHORTEST = 8
"""Characters of a key that is looked for; a shorter one would be found in ordinary words."""

_BEARER = re.compile(r"(?i)\bbearer\s+[\w.~+/=-]{8,}")
_QUERY = re.compile(r"(?i)(\bhttps?://[^\s\"'<>?]*)\?[^\s\"'<>]+")


def redact(text: str, key: str) -> str:
    """The text without the key, and without what looks like one in an Authorization header (RFC 6750 section 2.1)."""
    if len(key) >= _SHORTEST:
        text = text.replace(key, HIDDEN)
    return _BEARER.sub(f"Bearer {HIDDEN}", text)


def redact_bytes(body: bytes, key: str) -> bytes:
    """The same of bytes, whatever they are."""
    if not (b"earer" in body or b"EARER" in body or (len(key) >= _SHORTEST and key.encode() in body)):
        return body
    return redact(body.decode("latin-1"), key).encode("latin-1")


def without_queries(text: str) -> str:
    """The text with the queries of its URLs left out: that of a clip is a signature."""
    return _QUERY.sub(rf"\1?{HIDDEN}", text) if "?" in text else text
