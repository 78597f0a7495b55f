"""This client below openai's."""

from __future__ import annotations

from typing import Any

from ._client import AsyncRelayDance


def openai_http_client(client: AsyncRelayDance) -> Any:
    """An HTTP client for openai's client, and for the frameworks that hold one. It sends through this client.

        openai = AsyncOpenAI(
            api_key="unused", base_url=client.base_url, http_client=openai_http_client(client), max_retries=0
        )

    So the limits, the retries, the rules of money and `track_usage` of this client hold. Its key is sent, and no other.
    `max_retries=0` leaves the retries to it; a billed request that openai's client repeats by itself is refused. The
    shorter of both clients' timeouts holds.

    Errors of the gateway come as openai's, with the status that the API documents. When no answer came, or a stream
    broke, the cause of openai's exception (`__cause__`) leads to ours, which has what was paid for;
    `maybe_accepted(error)` looks there.

    Args:
        client: yours to close. Closing what is returned closes nothing.

    Returns:
        An `httpx.AsyncClient`. It is typed as Any, because openai's client names that of httpx2 from version 3 on; it
        takes both.
    """
    # Both are imported where they are used, and httpx with them.
    from .._transports._outside import build_outside_client
    from ..resources._bridge import Bridge

    return build_outside_client(Bridge(client._api).send)  # pyright: ignore[reportPrivateUsage]
