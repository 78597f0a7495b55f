"""What sends one attempt. Nothing of the HTTP library's leaves this room: neither its responses nor its exceptions."""

from ._base import Transport, TransportResponse, WireRequest
from ._choice import build_transport, check_http_client

__all__ = ["Transport", "TransportResponse", "WireRequest", "build_transport", "check_http_client"]
