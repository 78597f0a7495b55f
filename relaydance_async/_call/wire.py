"""What an attempt sends: the key goes to the API and to hosts that the caller knows beside it, and to nobody else."""

from __future__ import annotations

from .._config import Endpoint, Options
from .._sansio.breakage import Progress
from .._sansio.request import LargeJson, PreparedRequest
from .._sansio.target import THE_GATEWAY, ApiTarget, ForeignTarget, peer
from .._transports import WireRequest
from .attempt import Attempt

_PROBED = ApiTarget("/models", "/models")
"""What costs nothing to ask."""


def build_wire(
    request: PreparedRequest, attempt: Attempt, queued_for: float, endpoint: Endpoint, options: Options
) -> WireRequest:
    """The request of an attempt whose turn it is, after so many seconds."""
    own = request.headers() if callable(request.headers) else request.headers
    target = request.target
    if isinstance(target, ForeignTarget):
        headers = {"user-agent": options.headers["user-agent"], **own}
        attempt.admitted(queued_for, headers)
        url, told = target.url, peer(target)
    else:
        headers = {**options.headers, **own}
        attempt.admitted(queued_for, headers)
        headers["authorization"] = endpoint.api_key.as_bearer()
        if isinstance(target, ApiTarget):
            url, told = endpoint.url(target, options.query), THE_GATEWAY
        else:
            url, told = target.url, peer(target)
    body = request.body.take() if isinstance(request.body, LargeJson) else request.body
    return WireRequest(request.method, url, headers, body, options.timeout, peer=told, progress=attempt)


def build_probe(endpoint: Endpoint, options: Options) -> WireRequest:
    """A GET that shows whether the gateway is back."""
    headers = {**options.headers, "authorization": endpoint.api_key.as_bearer()}
    url = endpoint.url(_PROBED, options.query)
    return WireRequest("GET", url, headers, b"", options.timeout, peer=THE_GATEWAY, progress=Progress())
