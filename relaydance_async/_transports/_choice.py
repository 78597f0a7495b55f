"""Which transport a client uses."""

from __future__ import annotations

import logging
from typing import Any

from ..errors import ConfigurationError
from ._base import Transport
from ._httpx import ForeignClientTransport, OwnTransport
from ._pool import SlotPool

log = logging.getLogger("relaydance_async")


def check_http_client(http_client: object) -> None:
    """An `AsyncClient` of httpx or httpx2, or something that behaves like one.

    Raises:
        ConfigurationError: for anything else, a sync `httpx.Client` above all.
    """
    if not (hasattr(http_client, "build_request") and hasattr(http_client, "aclose")):
        raise ConfigurationError(f"http_client must be an httpx.AsyncClient, not {type(http_client).__name__}")


def build_transport(http_client: Any, *, max_idle: int) -> Transport:
    """The transport for one event loop: the caller's client, or a pool of ours."""
    transport: Transport = (
        ForeignClientTransport(http_client)
        if http_client is not None
        else OwnTransport(SlotPool(max_idle=max_idle), "httpx over a pool of single httpcore connections")
    )
    log.debug("transport: %s", transport.name)
    return transport
