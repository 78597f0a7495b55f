"""The arguments that every OpenAI-compatible method takes beside its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict


class CallOptions(TypedDict, total=False):
    """Options of one call, under OpenAI's names.

    `extra_body` is merged into the JSON body (so arguments that this version doesn't know go through), `extra_headers`
    and `extra_query` into the request; `timeout` is that of one I/O phase, in seconds.
    """

    extra_body: Mapping[str, Any] | None
    extra_headers: Mapping[str, str] | None
    extra_query: Mapping[str, str] | None
    timeout: float | None
