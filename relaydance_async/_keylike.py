"""What looks like an API key, in texts that others will read."""

from __future__ import annotations

import re

_MARK = "sk-"
_KEY = re.compile(r"(?<![\w-])sk-[A-Za-z0-9_-]{16,}")
"""As the gateway's software makes them: 48 letters and digits after the mark."""
_SURELY = re.compile(r"(?<![\w-])sk-(?=[\w-]*\d)(?=[\w-]*[A-Z])[A-Za-z0-9_-]{32,}(?![\w.-])")
"""Stricter, because what looks like this is refused: no model and no task has such a name."""


def without_keys(text: str) -> str:
    """The text with what looks like a key left out."""
    return _KEY.sub("sk-***", text) if _MARK in text else text


def holds_key(text: str) -> bool:
    """Whether something in it can only be a key."""
    return _MARK in text and _SURELY.search(text) is not None
