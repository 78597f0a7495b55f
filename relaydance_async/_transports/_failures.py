"""What broke in a caller's client, told by the names of exceptions.

Its library may be httpx, httpx2, or a transport of anybody's below either. They use the same names for classes that
have nothing else in common.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl

from .._sansio.breakage import (
    BreakKind,
    Broke,
    Phase,
    Reached,
    build_connection_error,
    describe_timeout,
    is_passing_refusal,
)
from ..errors import RelayDanceError
from ._base import WireRequest

_NEVER_SENT = frozenset({"ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError", "UnsupportedProtocol"}) | (
    # aiohttp's, below httpx-aiohttp
    frozenset({"ClientConnectorError", "ClientHttpProxyError", "ConnectionTimeoutError", "InvalidURL"})
)
_PHASES: dict[str, Phase] = {
    "ConnectTimeout": "connect",
    "PoolTimeout": "pool",
    "ReadTimeout": "read",
    "WriteTimeout": "write",
    "ConnectionTimeoutError": "connect",
    "TimeoutError": "read",
}
_BROKEN_CODING = frozenset({"DecodingError", "ContentEncodingError"})
_NEVER_SENDABLE = frozenset({"UnsupportedProtocol", "LocalProtocolError", "RuntimeError"})


def build_failure(error: Exception, request: WireRequest) -> Exception:
    """Our exception for one of a library's. It holds nothing of the original but its text."""
    if request.objection is not None:
        return request.objection.with_traceback(None)
    if isinstance(error, RelayDanceError):
        # Raised by code of ours that the library called, in frames whose local variables may be the key.
        return error.with_traceback(None)
    told = request.body_broke if request.body_broke is not None else broke_by_name(error, request)
    _drop_frames(error)
    return build_connection_error(told, peer=request.peer)


def _drop_frames(error: BaseException | None) -> None:
    """Of a library's exception and of those under it: aiohttp keeps some of them, and with their frames the call."""
    while error is not None and error.__traceback__ is not None:
        error = error.with_traceback(None)
        error = error.__cause__ or error.__context__


def without_frames(error: BaseException) -> BaseException:
    """A cancellation on its way out, without the library's frames: a local variable there may be the key."""
    return error.with_traceback(None)


def distrust_under(error: BaseException | None) -> ssl.SSLCertVerificationError | None:
    """Why the certificate was refused, if that is what lies under the error; trio's own says nothing of it.

    To be asked only when nothing was sent: the context may also be an exception that the caller is handling meanwhile.
    """
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error
        error = error.__cause__ or error.__context__
    return None


def plain_words(error: BaseException) -> str:
    """What an exception says, without the layers that libraries put around it."""
    while isinstance(error.__cause__, OSError):
        error = error.__cause__
    if isinstance(error, OSError) and not isinstance(error, socket.gaierror | ssl.SSLError):
        # asyncio's own text for an errno holds the address as Python writes it.
        number = error.errno or 0
        return os.strerror(number) if number in errno.errorcode else error.strerror or _text(error)
    return _text(error)


def _text(error: BaseException) -> str:
    if isinstance(error, socket.gaierror) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def broke_by_name(error: Exception, request: WireRequest) -> Broke:
    """What an exception of a caller's client means."""
    error = _told_by_aiohttp(error)
    names = [kind.__name__ for kind in type(error).__mro__]
    reached = Reached.NOT_SENT if not _NEVER_SENT.isdisjoint(names) else request.progress.reached
    if not _BROKEN_CODING.isdisjoint(names) or "Can not decode content-encoding" in str(error):
        return Broke(reached, "coding", str(error))
    if (answer := _proxy_answer(error, names)) is not None:
        status = int(answer[:3]) if answer[:3].isdecimal() else 500
        return Broke(Reached.NOT_SENT, "proxy", answer, is_passing_refusal(status))
    for name in names:
        if name in _PHASES:
            return Broke(reached, "timeout", describe_timeout(_PHASES[name], request.timeout))
    if reached is Reached.NOT_SENT and (distrust := distrust_under(error)) is not None:
        return Broke(Reached.NOT_SENT, "tls", str(distrust), retryable=False)
    if "InvalidURL" in names:
        return Broke(reached, "setup", "the URL can't be used", retryable=False)  # aiohttp's own text shows it
    kind: BreakKind = "connect" if reached is Reached.NOT_SENT else "closed"
    if not _NEVER_SENDABLE.isdisjoint(names):
        return Broke(reached, "setup", plain_words(error), retryable=False)
    return Broke(reached, kind, _words(error))


def _words(error: Exception) -> str:
    if type(error).__name__ == "ServerDisconnectedError":  # its own text may be a part of an answer, in Python's form
        return "the server closed it without an answer"
    cause = error.__cause__
    if isinstance(cause, Exception) and isinstance(message := getattr(cause, "message", None), str):
        return message  # of aiohttp's parser; around it is a code that nobody sent
    return plain_words(error)


def _proxy_answer(error: Exception, names: list[str]) -> str | None:
    if "ClientHttpProxyError" in names:
        # Its own text has the proxy's URL, password and all.
        return f"{getattr(error, 'status', 0)} {getattr(error, 'message', '')}"
    return str(error) if "ProxyError" in names else None


def _told_by_aiohttp(error: Exception) -> Exception:
    # httpx-aiohttp calls a connection that broke at any time a ConnectTimeout; only aiohttp's own word tells when.
    cause = error.__cause__
    if isinstance(cause, Exception) and type(cause).__module__.partition(".")[0] == "aiohttp":
        return cause
    return error
