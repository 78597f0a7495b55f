"""What httpcore tells the `trace` extension of a request, also below httpx and httpx2."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

Trace: TypeAlias = Callable[[str, Mapping[str, Any]], Awaitable[None]]
"""Awaited with the name of each event and what it is about."""


def begins_to_send(event: str, info: Mapping[str, Any]) -> bool:
    """Whether the first byte of the request leaves next, and not only one for a proxy."""
    if not event.endswith(".send_request_headers.started"):
        return False
    return getattr(info.get("request"), "method", None) != b"CONNECT"
