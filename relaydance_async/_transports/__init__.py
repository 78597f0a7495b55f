"""What sends one attempt. Nothing of the HTTP library's leaves this room: neither its responses nor its exceptions."""

from ._base import Transport, TransportResponse, WireRequest
from ._choice import TransportName, build_transport, check_transport

__all__ = ["Transport", "TransportName", "TransportResponse", "WireRequest", "build_transport", "check_transport"]
