"""Bytes that a call gives, such as a sound."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .meta import ResponseMeta


class BinaryContent(bytes):
    """The bytes of an answer: `bytes` that know where they come from. `content` is what OpenAI's client calls them."""

    _facts: Callable[[], ResponseMeta] = ResponseMeta

    def __new__(cls, content: bytes = b"", _facts: Callable[[], ResponseMeta] = ResponseMeta) -> BinaryContent:
        made = super().__new__(cls, content)
        made._facts = _facts
        return made

    @property
    def content(self) -> bytes:
        """The bytes alone."""
        return bytes(self)

    @property
    def meta(self) -> ResponseMeta:
        """The circumstances of the call; see `ResponseMeta`. Copies and pickles don't have them."""
        return self._facts()

    @property
    def _request_id(self) -> str | None:
        return self.meta.request_id

    def write_to_file(self, path: str | os.PathLike[str]) -> None:
        """Write them to a file, at once. `with_streaming_response` saves them as they come."""
        Path(path).write_bytes(self)

    def __reduce__(self) -> Any:
        return BinaryContent, (bytes(self),)

    def __repr__(self) -> str:
        shown = bytes(self[:16])
        return f"BinaryContent({shown!r}{'…' if len(self) > 16 else ''}, {len(self)} bytes)"
