"""No answer came."""

from __future__ import annotations

from ._base import RelayDanceError


class APIConnectionError(RelayDanceError):
    """No answer came: the connection could not be made, or broke. `maybe_accepted` says whether the request was out."""

    _hint = "Check the network, the proxy settings and the base URL"


class APITimeoutError(APIConnectionError, TimeoutError):
    """No answer came in time: a `timeout` of one I/O phase, or the `deadline` over all attempts."""

    _hint = "Raise `timeout` or `deadline` if this is expected"
