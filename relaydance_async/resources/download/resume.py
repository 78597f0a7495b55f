"""What of a clip has come, what is asked for next, and whether an answer goes on from there (RFC 9110 section 14)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

_LONGEST_NUMBER = 19
"""Digits of a size; with more it is none."""

_RANGE = re.compile(rf"bytes (\d{{1,{_LONGEST_NUMBER}}})-(\d{{1,{_LONGEST_NUMBER}}})/(\*|\d{{1,{_LONGEST_NUMBER}}})")


@dataclass(frozen=True, slots=True)
class Continue:
    """The answer goes on from where the part ends. `size`: of the whole clip in bytes, or None when not told."""

    size: int | None


@dataclass(frozen=True, slots=True)
class Restart:
    """The answer is the clip from its start. `size`: as of `Continue`; `validator`: of what comes, see `Resume`."""

    size: int | None
    validator: str | None


@dataclass(frozen=True, slots=True)
class AskAgain:
    """The part is of no use any more, but neither is the answer: the whole clip is to be asked for. `why`: in words."""

    why: str


@dataclass(frozen=True, slots=True)
class Refuse:
    """The answer is not to be used, and the next would not be either. `why`: in words."""

    why: str


Verdict: TypeAlias = Continue | Restart | AskAgain | Refuse


@dataclass(frozen=True, slots=True)
class Resume:
    """A part of a clip.

    Attributes:
        size: bytes that have come.
        validator: the strong ETag, or the date, of the file that they are of; without one nothing is continued, because
            it can't be told whether the rest would be of the same file (RFC 9110 section 15.3.7.3).
    """

    size: int = 0
    validator: str | None = None

    def headers(self) -> dict[str, str]:
        """What asks for the rest; empty when the whole is asked for."""
        if not self.size or self.validator is None:
            return {}
        return {"range": f"bytes={self.size}-", "if-range": self.validator}

    def accepts(self, status: int, headers: Mapping[str, str]) -> Verdict:
        """What is to be made of an answer.

        Args:
            status: 2xx or 416.
            headers: with names in lower case.
        """
        asked_for_rest = bool(self.headers())
        if status == 416:
            why = "the server has no such part of it"
            return AskAgain(why) if asked_for_rest else Refuse(why)
        if status != 206:
            return _whole(headers)
        found = _RANGE.match(headers.get("content-range", ""))
        if found is None or int(found[1]) != self.size or not asked_for_rest or _is_encoded(headers):
            return Refuse("the server sent another range than was asked for")
        if not self._is_same_file(headers):
            return AskAgain("it changed while it was fetched")
        if found[3] != "*":
            # The server may send less than the rest: then the next attempt asks for what is still missing.
            return Continue(int(found[3]))
        length = _length(headers)
        return Continue(None if length is None else self.size + length)

    def _is_same_file(self, headers: Mapping[str, str]) -> bool:
        etag = headers.get("etag", self.validator)
        return etag == self.validator or self.validator == headers.get("last-modified")


def _whole(headers: Mapping[str, str]) -> Restart:
    # Length and ETag of an encoded answer are of other bytes than those that are written.
    return Restart(None, None) if _is_encoded(headers) else Restart(_length(headers), _validator(headers))


def _is_encoded(headers: Mapping[str, str]) -> bool:
    return headers.get("content-encoding", "").strip().lower() not in ("", "identity")


def _length(headers: Mapping[str, str]) -> int | None:
    length = headers.get("content-length", "")
    return int(length) if length.isascii() and length.isdecimal() and len(length) <= _LONGEST_NUMBER else None


def _validator(headers: Mapping[str, str]) -> str | None:
    """What `If-Range` may name: an ETag that is not a weak one, or else the date (RFC 9110 section 13.1.5)."""
    value = headers.get("etag") or headers.get("last-modified") or ""
    return value if value.isascii() and value.isprintable() and not value.startswith("W/") and value else None
