"""The transports of our own, as tests/transports/ has them."""

from tests.transports.conftest import (
    _no_environment,
    anyio_backend,
    authority,
    authority_file,
    kind,
    maker,
    tls_server,
    transport,
    trusted,
    trusting,
)

__all__ = [
    "_no_environment",
    "anyio_backend",
    "authority",
    "authority_file",
    "kind",
    "maker",
    "tls_server",
    "transport",
    "trusted",
    "trusting",
]
