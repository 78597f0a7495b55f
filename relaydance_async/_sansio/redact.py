"""Keeps secrets out of what is kept of an answer: some servers send back what they were sent."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable
from functools import lru_cache
from itertools import chain, repeat
from typing import Any
from urllib.parse import unquote

from .._keylike import holds_key
from ..errors import InvalidInputError

HIDDEN = "***"

_SHORTEST = 8
"""Characters of a key that is looked for; a shorter one would be found in ordinary words."""

_TOKEN = r"[\w.~+/=-]"
"""Of what stands in an Authorization header (RFC 6750 section 2.1)."""

# A digit, or the length, tells a token from the word after "bearer" in a sentence.
_BEARER = rf"\bbearer(?:\s|%20|\+)++(?={_TOKEN}*\d|{_TOKEN}{{24}}){_TOKEN}{{8,}}"
_PLAIN = re.compile(r"[A-Za-z0-9_.~-]+")
"""What neither JSON nor a URL escapes."""

_URL = re.compile(r"(?i)(\bhttps?:\\?/\\?/[^\s\"'<>?]*+)(\?[^\s\"'<>]+)?")
"""Also one without a query, so that no text is gone through twice: others write these texts."""


class Redactor:
    """Takes one key, and what looks like one, out of texts and bytes.

    It finds the key as it is, escaped as in JSON or a URL, in base64, and cut off after its eighth character.
    """

    __slots__ = ("_key",)

    def __init__(self, key: str) -> None:
        self._key = key

    def __reduce__(self) -> Any:
        raise TypeError("what knows an API key is not pickled")

    def text(self, text: str) -> str:
        """The text without it."""
        if not self._may_hold(text):
            return text
        return _pattern(self._key).sub(_hidden, text)

    def body(self, body: bytes) -> bytes:
        """The same of bytes, whatever they are."""
        text = body.decode("latin-1")
        shown = self.text(text)
        return body if shown is text else shown.encode("latin-1")

    def are_keys(self, values: Iterable[object]) -> bool:
        """Whether one of them is the key itself. A shorter one could be an ordinary word."""
        key = self._key
        found = [value for value in values if type(value) is str and key in value and value.strip() == key]
        return bool(found) and len(key) >= _SHORTEST

    def check_name(self, what: str, name: str) -> None:
        """Of what is shown by its name.

        Raises:
            InvalidInputError: it holds the key, or is what looks like another.
        """
        if holds_key(name) or (self._key in name and len(self._key) >= _SHORTEST):
            raise pasted(what)

    def _may_hold(self, text: str) -> bool:
        # The pattern alone takes a second for 10 MB.
        text = text.lower()
        return any(probe in text for probe in _probes(self._key))


_REMEMBERED = 16
"""Keys of which is known how they may look. A pattern takes 12 KB and some milliseconds, a client may have thousands of
keys, and one error asks dozens of times for the same."""


@lru_cache(_REMEMBERED)
def _pattern(key: str) -> re.Pattern[str]:
    return re.compile(f"(?i){'|'.join([*_forms(key), _BEARER])}")


@lru_cache(_REMEMBERED)
def _probes(key: str) -> tuple[str, ...]:
    return ("bearer", *(part.lower() for part in _parts(key)))


def pasted(what: str) -> InvalidInputError:
    """The error of an argument that is a key."""
    return InvalidInputError(
        f"{what} holds an API key, which would be shown in logs, errors and traces: nothing was sent. Is it in the"
        " place of something else?"
    )


def _parts(key: str) -> list[str]:
    """What a text holds in any case when it holds one of the forms of the key."""
    if len(key) < _SHORTEST:
        return []
    never_escaped = max(_PLAIN.findall(key), key=len, default="")
    return [key[:_SHORTEST], never_escaped, *_in_base64(key.encode())]


def without_queries(text: str) -> str:
    """The text with the queries of its URLs left out: that of a clip is a signature."""
    return _URL.sub(_without_query, text) if "?" in text else text


def _without_query(match: re.Match[str]) -> str:
    return f"{match[1]}?{HIDDEN}" if match[2] else match[0]


def without_values(body: bytes, query: str) -> bytes:
    """What a host answered, without the values of the query it was asked with: storages quote the signature."""
    values = [pair.partition("=")[2] for pair in query.split("&")]
    spelt = {form.encode() for value in values for form in (value, unquote(value)) if len(form) >= _SHORTEST}
    for form in sorted(spelt, key=len, reverse=True):
        body = body.replace(form, HIDDEN.encode())
    return body


def one_line(text: str) -> str:
    """The text with its line breaks and control characters escaped: what others wrote begins no line of a log."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _forms(key: str) -> list[str]:
    # A run of backslashes before the first one is not looked at: from each of them on, it would be gone through again.
    spelt = "".join(
        rf"(?:{before}{re.escape(c)}|%{ord(c):02x}|\\{more}u{ord(c):04x})"
        for c, before, more in zip(key, chain(("",), repeat(r"\\*")), chain(("",), repeat("+")), strict=False)
    )
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
