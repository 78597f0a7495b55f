"""Certificates for servers on loopback, and whom our own transports trust."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import ssl
from typing import Any

import pytest
import trustme

from relaydance_async._engine import _tls


def build_tls() -> tuple[ssl.SSLContext, str]:
    """What a server on 127.0.0.1 speaks TLS with, and the certificate (PEM) of the authority to trust."""
    authority: Any = trustme.CA()
    served = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(served)
    pem: str = authority.cert_pem.bytes().decode()
    return served, pem


def trust(patch: pytest.MonkeyPatch, context: ssl.SSLContext | None) -> None:
    """Have our own transports use this context; None: one that they make when it is needed, as in a new process."""
    patch.setattr(_tls, "_context", context)
