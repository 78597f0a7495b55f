"""Whom we trust: one TLS context for the process, made on first need, in a thread. Making it takes 14 to 28 ms.

    asked ──► made already? ──► that one
                 │ no
                 ▼
              a daemon thread reads SSL_CERT_FILE, else SSL_CERT_DIR, else certifi's list, under a lock

It is what httpx would make by default, without importing httpx. Who wants other roots or a client certificate hands a
context of their own to the `Dialer`.

There is no session resumption: asyncio and uvloop have no public way to hand a session to a connection.
"""

from __future__ import annotations

import os
import ssl
import threading

from .._threads import begin_in_thread
from ..errors import ConfigurationError

_lock = threading.Lock()
_context: ssl.SSLContext | None = None


def check_certificates() -> None:
    """Whether what SSL_CERT_FILE and SSL_CERT_DIR name is there.

    Raises:
        ConfigurationError: it isn't. Without this it would be a bare `FileNotFoundError` at a request, or ignored.
    """
    for name, kind, is_there in (
        ("SSL_CERT_FILE", "file", os.path.isfile),
        ("SSL_CERT_DIR", "directory", os.path.isdir),
    ):
        path = os.environ.get(name)
        if path and not is_there(path):
            raise ConfigurationError(f"{name} names a {kind} that isn't there: {path!r}")


async def tls_context() -> ssl.SSLContext:
    """The process's context. Cancelling it leaves the making to a thread that nobody waits for.

    Raises:
        ConfigurationError: SSL_CERT_FILE holds no certificates.
    """
    if _context is not None:
        return _context
    context, error = (await begin_in_thread(_make, daemon=True)).pop()
    if error is not None:
        try:
            raise error
        finally:
            del error  # its traceback has this frame
    made: ssl.SSLContext = context
    return made


def _make() -> ssl.SSLContext:
    global _context
    with _lock:
        if _context is None:
            _context = build_context()
        return _context


def build_context() -> ssl.SSLContext:
    """A new context, as the environment wants it. It reads files.

    Raises:
        ConfigurationError: what the environment names can't be used.
    """
    file, directory = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    try:
        if file:
            context = ssl.create_default_context(cafile=file)
        elif directory:
            context = ssl.create_default_context(capath=directory)
        else:
            import certifi

            context = ssl.create_default_context(cafile=certifi.where())
    except OSError as error:  # SSLError is one
        check_certificates()
        if not file:
            raise
        raise ConfigurationError(f"SSL_CERT_FILE holds no certificates: {file!r} ({error})") from None
    context.set_alpn_protocols(["http/1.1"])
    return context


def _renew_lock() -> None:
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    # The thread that held it in the parent does not exist in a child.
    os.register_at_fork(after_in_child=_renew_lock)
