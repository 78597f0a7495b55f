"""What the tests of a call share."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from relaydance_async import AsyncRelayDance, RelayDanceError

Start = Callable[..., AsyncRelayDance]

PROXY_FAULTS = ["reset_after_request", "reset_mid_headers", "cut_response", "black_hole_response"]
"""What breaks a connection after the request."""


async def failure_of(awaitable: Awaitable[Any]) -> RelayDanceError:
    """The error that it ends in."""
    with pytest.raises(RelayDanceError) as caught:
        await awaitable
    return caught.value


def closed_port() -> int:
    """A port of this machine at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
