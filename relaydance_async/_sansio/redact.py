"""Keeps secrets out of what is kept of an answer: some servers send back what they were sent."""

from __future__ import annotations

import re
from base64 import b64encode

HIDDEN = "***"

_SHORTEST = 8
"""Characters of a key that is looked for; a shorter one would be found in ordinary words."""

_TOKEN = r"[\w.~+/=-]"
"""Of what stands in an Authorization header (RFC 6750 section 2.1)."""

# A digit, or the length, tells a token from the word after "bearer" in a sentence.
_BEARER = rf"\bbearer(?:\s|%20|\+)+(?={_TOKEN}*\d|{_TOKEN}{{24}}){_TOKEN}{{8,}}"
_QUERY = re.compile(r"(?i)(\bhttps?:\\?/\\?/[^\s\"'<>?]*)\?[^\s\"'<>]+")


class Redactor:
    """Takes one key, and what looks like one, out of texts and bytes.

    It finds the key as it is, escaped as in JSON or a URL, in base64, and cut off after its eighth character.
    """

    __slots__ = ("_pattern",)

    def __init__(self, key: str) -> None:
        self._pattern = re.compile(f"(?i){'|'.join([*_forms(key), _BEARER])}")

    def text(self, text: str) -> str:
        """The text without it."""
        return self._pattern.sub(_hidden, text)

    def body(self, body: bytes) -> bytes:
        """The same of bytes, whatever they are."""
        found, count = self._pattern.subn(_hidden, body.decode("latin-1"))
        return found.encode("latin-1") if count else body


def without_queries(text: str) -> str:
    """The text with the queries of its URLs left out: that of a clip is a signature."""
    return _QUERY.sub(rf"\1?{HIDDEN}", text) if "?" in text else text


def one_line(text: str) -> str:
    """The text with its line breaks and control characters escaped: what others wrote begins no line of a log."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _forms(key: str) -> list[str]:
    spelt = "".join(rf"(?:\\?{re.escape(c)}|%{ord(c):02x}|\\u{ord(c):04x})" for c in key)
    if len(key) < _SHORTEST:
        return [rf"\bbearer\s+{spelt}(?!{_TOKEN})"]
    # The start alone finds a key that was cut off, as in an excerpt.
    return [spelt, f"{re.escape(key[:_SHORTEST])}{_TOKEN}*", *map(re.escape, _in_base64(key.encode()))]


def _in_base64(key: bytes) -> set[str]:
    """What base64 makes of the key, whatever stands around it: a user's name before it, say."""
    found: set[str] = set()
    for before in range(3):  # of 3 bytes it makes 4 characters
        coded = b64encode(bytes(before) + key).decode()
        whole = coded[-(-before * 8 // 6) : (before + len(key)) * 8 // 6]
        found |= {whole, whole.replace("+", "-").replace("/", "_")}
    return found


def _hidden(match: re.Match[str]) -> str:
    return f"Bearer {HIDDEN}" if match[0][:6].lower() == "bearer" else HIDDEN
