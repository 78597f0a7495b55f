"""How results are shown: short in a `repr`, as HTML in a notebook. What came from outside is never taken for markup."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

_LONGEST_TEXT = 300
_MOST_ITEMS = 20
_BEGINNING = 60
_MOST_EMBEDDED = 20 * 1024 * 1024
"""Characters of base64 that a page is given."""

_URL = re.compile(r"(?i)https?://[^\s\"'<>\\`\x00-\x20]+")
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_MAGIC = (("iVBORw0KGgo", "png"), ("/9j/", "jpeg"), ("R0lGOD", "gif"), ("UklGR", "webp"))


class _Cut:
    """A beginning, and how much there is."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def short(value: Any) -> Any:
    """What a `repr` shows of a value: of long texts and lists the beginning, of a URL no query, which may be a
    signature."""
    if isinstance(value, str):
        return _short_text(value)
    if isinstance(value, list):
        return _short_list(value)  # pyright: ignore[reportUnknownArgumentType]
    if isinstance(value, dict) and len(shown := repr(value)) > _LONGEST_TEXT:  # pyright: ignore[reportUnknownArgumentType]
        return _Cut(f"{shown[:_BEGINNING]}… ({len(shown)} characters)")
    return value  # pyright: ignore[reportUnknownVariableType]


def _short_list(items: list[Any]) -> Any:
    if len(items) <= _MOST_ITEMS or not isinstance(items[0], int | float | str):
        return items
    return _Cut(f"[{', '.join(repr(short(item)) for item in items[:3])}, … {len(items)} items]")


def _short_text(text: str) -> Any:
    if text[:8].lower().startswith(("http://", "https://")):
        text = text.partition("?")[0]
    if len(text) <= _LONGEST_TEXT:
        return text
    return _Cut(f"{text[:_BEGINNING] + '…'!r} ({len(text)} characters)")


def escaped(text: object) -> str:
    """The text, for HTML."""
    from html import escape  # half a millisecond that only notebooks need

    return escape(str(text), quote=True)


def link_to(url: str | None, text: str) -> str:
    """A link, if it is one to a web address; else nothing."""
    return (
        f'<a href="{escaped(url)}" target="_blank" rel="noopener noreferrer">{escaped(text)}</a>' if is_web(url) else ""
    )


def is_web(url: str | None) -> bool:
    """Whether it is a web address, and nothing else that a page would run."""
    return url is not None and _URL.fullmatch(url) is not None


def image_source(url: str | None, b64: str | None) -> str | None:
    """What an `img` may show: a web address, or the picture itself."""
    if is_web(url):
        return url
    kind = next((kind for magic, kind in _MAGIC if (b64 or "").startswith(magic)), None)
    if b64 is None or kind is None or len(b64) > _MOST_EMBEDDED or _BASE64.fullmatch(b64) is None:
        return None
    return f"data:image/{kind};base64,{b64}"


def table(rows: Iterable[Iterable[object]], *, head: Iterable[str] = ()) -> str:
    """A table of texts."""
    heading = "".join(f"<th>{escaped(name)}</th>" for name in head)
    body = "".join(f"<tr>{''.join(f'<td>{escaped(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table>{f'<tr>{heading}</tr>' if heading else ''}{body}</table>"
