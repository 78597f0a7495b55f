"""One TLS context for the process: making it reads the certificates, which takes about 28 ms."""

from __future__ import annotations

import os
import ssl
import threading

from .._threads import in_thread
from ..errors import ConfigurationError

_lock = threading.Lock()
_context: ssl.SSLContext | None = None


def check_certificates() -> None:
    """Whether what SSL_CERT_FILE and SSL_CERT_DIR name is there.

    Raises:
        ConfigurationError: it isn't. httpx would go on without it, or raise a bare `FileNotFoundError` at a request.
    """
    for name, kind, is_there in (
        ("SSL_CERT_FILE", "file", os.path.isfile),
        ("SSL_CERT_DIR", "directory", os.path.isdir),
    ):
        path = os.environ.get(name)
        if path and not is_there(path):
            raise ConfigurationError(f"{name} names a {kind} that isn't there: {path!r}")


async def tls_context() -> ssl.SSLContext:
    """The process's context, as httpx makes it (certifi, or SSL_CERT_FILE and SSL_CERT_DIR).

    It is made on first need, in a thread.

    Raises:
        ConfigurationError: SSL_CERT_FILE holds no certificates.
    """
    return _context if _context is not None else await in_thread(_make)


def _make() -> ssl.SSLContext:
    import httpx

    global _context
    with _lock:
        if _context is None:
            try:
                context = httpx.create_ssl_context()
            except OSError as error:  # SSLError is one
                check_certificates()
                path = os.environ.get("SSL_CERT_FILE")
                if not path:
                    raise
                raise ConfigurationError(f"SSL_CERT_FILE holds no certificates: {path!r} ({error})") from None
            context.set_alpn_protocols(["http/1.1"])
            _context = context
        return _context


def _renew_lock() -> None:
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    # The thread that held it in the parent does not exist in a child.
    os.register_at_fork(after_in_child=_renew_lock)
