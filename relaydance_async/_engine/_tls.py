"""Whom we trust: one TLS context for the process, made on first need, in a thread. Making it takes 14 to 28 ms.

    asked ──► made already? ──► that one
                 │ no
                 ▼
              one daemon thread reads SSL_CERT_FILE, else SSL_CERT_DIR, else certifi's list; all who ask wait for it

It is what httpx would make by default, without importing httpx. Who wants other roots or a client certificate hands a
context of their own to the `Dialer`.

There is no session resumption: asyncio and uvloop have no public way to hand a session to a connection.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import threading
from concurrent.futures import Future
from contextlib import suppress
from copy import copy
from typing import TypeAlias

from ..errors import ConfigurationError

Making: TypeAlias = "Future[ssl.SSLContext | Exception]"

_lock = threading.Lock()
_context: ssl.SSLContext | None = None
_making: Making | None = None


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
    making = _begin()
    await _end_of(making)
    made = making.result()
    if isinstance(made, Exception):
        raise copy(made)  # each gets its own, with its own traceback
    return made


def _begin() -> Making:
    """The making that is under way, or a new one."""
    global _making
    with _lock:
        if _making is not None:
            return _making
        making: Making = Future()
        thread = threading.Thread(target=_make, args=(making,), name="relaydance", daemon=True)
        _making = making  # before it begins, for it may end at once
        try:
            thread.start()
        except RuntimeError:  # there is none to be had
            _making = None
            raise
        return making


async def _end_of(making: Making) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()

    def tell(_: Making) -> None:
        with suppress(RuntimeError):  # the loop is closed, and nobody waits any more
            loop.call_soon_threadsafe(ended.set)

    making.add_done_callback(tell)
    await ended.wait()


def _make(making: Making) -> None:
    global _context, _making
    outcome: ssl.SSLContext | Exception
    try:
        # Somebody may have asked when it was just made, and not told yet.
        outcome = _context = build_context() if _context is None else _context
    except Exception as error:
        outcome = error.with_traceback(None)
    _making = None
    making.set_result(outcome)


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


def _begin_anew() -> None:
    global _lock, _making
    _lock, _making = threading.Lock(), None


if hasattr(os, "register_at_fork"):
    # The parent's other threads, one of which may make it or hold the lock, don't exist in a child.
    os.register_at_fork(after_in_child=_begin_anew)
