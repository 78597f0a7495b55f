"""An answer as it came, beside what was made of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Generic, TypeVar

from .meta import ResponseMeta

T = TypeVar("T")


class RawResponse(Generic[T]):
    """What `with_raw_response` gives: status, headers and bytes, and the result.

    The call is the same as without: errors, retries, limits and the rules about money.

    Attributes:
        content: the bytes of the answer, decompressed; b"" of a stream, which `parse()` reads. Of an answer that a
            journal had: what it has kept.
    """

    def __init__(self, _facts: Callable[[], ResponseMeta], content: bytes, _result: T) -> None:
        self.content: bytes = content
        self._facts = _facts
        self._result = _result

    def parse(self) -> T:
        """What the call gives without `with_raw_response`."""
        return self._result

    @cached_property
    def meta(self) -> ResponseMeta:
        """The circumstances of the call."""
        return self._facts()

    @property
    def status_code(self) -> int | None:
        """Of HTTP; None when it came from a journal."""
        return self.meta.status_code

    @property
    def headers(self) -> Mapping[str, str]:
        """By names in lower case, without cookies."""
        return self.meta.headers

    @property
    def request_id(self) -> str | None:
        """The gateway's id of the request."""
        return self.meta.request_id

    @property
    def text(self) -> str:
        """The bytes as text: UTF-8, what can't be decoded replaced."""
        return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        """The bytes as JSON.

        Raises:
            ValueError: they are something else.
        """
        return json.loads(self.content)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.status_code}, {len(self.content)} bytes>"
