"""Our client, as it is with and without the extra."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .payloads import API_KEY

if TYPE_CHECKING:
    from relaydance_async import AsyncRelayDance, RetryPolicy

OURS = "ours"
OURS_FAST = "ours[fast]"


def make_client(
    origin: str,
    in_flight: int,
    *,
    fast: bool,
    retry: RetryPolicy | None = None,
    api_key: str = API_KEY,
    timeout: float = 600,
) -> AsyncRelayDance:
    """A client of that server, or of the sandbox, with permits for that many calls of one kind."""
    from relaydance_async import AsyncRelayDance, RetryPolicy
    from relaydance_async._transports import _choice

    if not fast:
        _choice.has_httptools = lambda: False  # as in a plain install; each peer has a process of its own
    return AsyncRelayDance(
        api_key,
        base_url=f"{origin}/v1",
        max_concurrency=_permits_for(in_flight),
        timeout=timeout,
        retry=retry or RetryPolicy(),
        transport="direct" if fast else "httpx",
    )


def _permits_for(in_flight: int) -> int:
    # Some are kept free for calls of other kinds, a tenth at most, or 2.
    return in_flight + in_flight // 9 + 2
