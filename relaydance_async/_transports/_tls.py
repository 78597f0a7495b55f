"""One TLS context for the process: making it reads the certificates, which takes about 28 ms."""

from __future__ import annotations

import os
import ssl
import threading

from .._threads import in_thread

_lock = threading.Lock()
_context: ssl.SSLContext | None = None


async def tls_context() -> ssl.SSLContext:
    """The process's context, as httpx makes it (certifi, or SSL_CERT_FILE and SSL_CERT_DIR).

    It is made on first need, in a thread.
    """
    return _context if _context is not None else await in_thread(_make)


def _make() -> ssl.SSLContext:
    import httpx

    global _context
    with _lock:
        if _context is None:
            context = httpx.create_ssl_context()
            context.set_alpn_protocols(["http/1.1"])
            _context = context
        return _context


def _renew_lock() -> None:
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    # The thread that held it in the parent does not exist in a child.
    os.register_at_fork(after_in_child=_renew_lock)
