"""Our client, as it is with and without the extra."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .payloads import API_KEY

if TYPE_CHECKING:
    from relaydance_async import AsyncRelayDance, RetryPolicy

OURS = "ours"
OURS_AIOHTTP = "ours[aiohttp]"


def make_client(
    origin: str,
    in_flight: int,
    *,
    aiohttp: bool,
    retry: RetryPolicy | None = None,
    api_key: str = API_KEY,
    timeout: float = 600,
) -> AsyncRelayDance:
    """A client of that server, or of the sandbox, with its permits set to the number of calls."""
    from relaydance_async import AsyncRelayDance, RetryPolicy

    return AsyncRelayDance(
        api_key,
        base_url=f"{origin}/v1",
        max_concurrency=in_flight,
        timeout=timeout,
        retry=retry or RetryPolicy(),
        transport="aiohttp" if aiohttp else "httpx",
    )
