"""The gateway's own rate limit: a token bucket per key, in real time."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Collection
from dataclasses import dataclass
from email.utils import formatdate

from ._numbers import check_number, check_whole


@dataclass(frozen=True)
class RateLimit:
    """How many calls one key may make. Times are real seconds, whatever the sandbox clock does."""

    rate: float = 100.0
    """Calls per second."""
    burst: int = 20
    """Calls that may come at once after a rest."""
    retry_after: str | None = "1"
    """What a 429 says: a literal header value, "date" for an HTTP date, "ms" for `retry-after-ms`, None for nothing."""
    empty_body: bool = False
    """Some limiters answer 429 with nothing in it."""
    routes: Collection[str] | None = None
    """Route templates that count, such as "POST /v1/video/generations"; None for every API route."""

    def __post_init__(self) -> None:
        check_number("rate", self.rate, 1e-9)
        check_whole("burst", self.burst, 1)


def retry_after_headers(value: str | None, wait: float) -> list[tuple[str, str]]:
    """The header for `value` when the caller should come back in `wait` seconds."""
    if value is None:
        return []
    if value == "ms":
        return [("retry-after-ms", str(max(1, math.ceil(wait * 1000))))]
    if value == "date":
        # One second on top: an HTTP date has no fraction, and must not name a moment already past.
        return [("retry-after", formatdate(time.time() + wait + 1, usegmt=True))]
    return [("retry-after", value)]


class Limiter:
    """A token bucket per key."""

    def __init__(self, limit: RateLimit | None) -> None:
        self.limit = limit
        self._lock = threading.Lock()
        self._buckets: dict[str, tuple[float, float]] = {}

    def wait_needed(self, key: str, route: str) -> float:
        """0.0 when the call may pass (it is counted), else the seconds until one would."""
        limit = self.limit
        if limit is None or (limit.routes is not None and route not in limit.routes):
            return 0.0
        now = time.monotonic()
        with self._lock:
            tokens, then = self._buckets.get(key, (float(limit.burst), now))
            tokens = min(float(limit.burst), tokens + (now - then) * limit.rate)
            admitted = tokens >= 1
            self._buckets[key] = (tokens - 1 if admitted else tokens, now)
        return 0.0 if admitted else (1 - tokens) / limit.rate

    def reset(self) -> None:
        with self._lock:
            self._buckets.clear()
