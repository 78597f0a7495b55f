"""What sends one attempt. Nothing of the HTTP library's leaves this room: neither its responses nor its exceptions."""

from .._engine import leave_to_parent
from ._base import Transport, TransportResponse, TransportStats, WireRequest
from ._choice import TransportName, build_transport, check_transport

__all__ = [
    "Transport",
    "TransportName",
    "TransportResponse",
    "TransportStats",
    "WireRequest",
    "build_transport",
    "check_transport",
    "leave_to_parent",
]
