"""The HTTP libraries' exceptions into ours.

By name, because httpx, httpx2 and httpcore use the same names for classes that have nothing else in common.
"""

from __future__ import annotations

import ssl

from ..errors import APIConnectionError, APITimeoutError, RelayDanceError, ResponseDecodeError
from ._base import WireRequest

# Before any byte of the request could leave.
_NEVER_SENT = frozenset(
    {
        "ConnectError",
        "ConnectTimeout",
        "PoolTimeout",
        "ProxyError",
        "UnsupportedProtocol",
        # aiohttp's:
        "ClientConnectorError",
        "ClientConnectorSSLError",
        "ClientHttpProxyError",
        "ConnectionTimeoutError",
        "InvalidURL",
    }
)
_TIMEOUTS = {
    "ConnectTimeout": "no connection within {connect:g} s",
    "PoolTimeout": "no free connection in the pool within {connect:g} s",
    "ReadTimeout": "no answer within {read:g} s",
    "WriteTimeout": "the request could not be sent within {write:g} s",
    "ConnectionTimeoutError": "no connection within {connect:g} s",
    "SocketTimeoutError": "no answer within {read:g} s",
}
_BROKEN_CODING = frozenset({"DecodingError", "ContentEncodingError"})
_FINAL = frozenset({"UnsupportedProtocol", "LocalProtocolError", "InvalidURL", "RuntimeError"})


def build_failure(error: Exception, request: WireRequest) -> RelayDanceError:
    """Our exception for one of a library's. It holds nothing of the original but its text."""
    if isinstance(error, RelayDanceError):
        # Raised by code of ours that the library called, in frames whose local variables may be the key.
        return error.with_traceback(None)
    if request.body_error is not None:
        # A request without its end is never accepted.
        return request.body_error
    error = _told_by_aiohttp(error)
    names = [kind.__name__ for kind in type(error).__mro__]
    sent = request.sent and not _NEVER_SENT & set(names)
    if not _BROKEN_CODING.isdisjoint(names) or "Can not decode content-encoding" in str(error):
        return ResponseDecodeError(f"the answer's content encoding is broken: {error}")
    if (refusal := _refusal_by_proxy(error, names)) is not None:
        return refusal
    for name in names:
        if name in _TIMEOUTS:
            return APITimeoutError(_timeout_message(name, request), retryable=True, maybe_accepted=sent)
    if isinstance(error, TimeoutError):
        return APITimeoutError(_timeout_message("ReadTimeout", request), retryable=True, maybe_accepted=sent)
    if (distrust := _distrust_under(error)) is not None:
        # A certificate that doesn't verify won't the next time either.
        return APIConnectionError(_message(distrust, False), retryable=False)
    return APIConnectionError(_message(error, sent), retryable=not _FINAL & set(names), maybe_accepted=sent)


def _distrust_under(error: BaseException | None) -> ssl.SSLCertVerificationError | None:
    """Why the certificate was refused, if that is what lies under the error; trio's own says nothing of it."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error
        error = error.__cause__ or error.__context__
    return None


def _refusal_by_proxy(error: Exception, names: list[str]) -> APIConnectionError | None:
    if "ClientHttpProxyError" in names:
        # Its own text has the proxy's URL, password and all.
        answer = f"{getattr(error, 'status', 0)} {getattr(error, 'message', '')}"
    elif "ProxyError" in names:
        answer = str(error)
    else:
        return None
    status = int(answer[:3]) if answer[:3].isdecimal() else 500
    # What a password or permission lacks, no repetition brings.
    retryable = status >= 500 or status in (408, 429)
    return APIConnectionError(f"the proxy refused the connection: {answer}", retryable=retryable)


def _told_by_aiohttp(error: Exception) -> Exception:
    # httpx-aiohttp calls a connection that broke at any time a ConnectTimeout; only aiohttp's own word tells when.
    cause = error.__cause__
    if isinstance(cause, Exception) and type(cause).__module__.partition(".")[0] == "aiohttp":
        return cause
    return error


def without_frames(error: BaseException) -> BaseException:
    """A cancellation on its way out, without the library's frames: a local variable there may be the key."""
    return error.with_traceback(None)


def _timeout_message(name: str, request: WireRequest) -> str:
    timeout = request.timeout
    return _TIMEOUTS[name].format(connect=timeout.connect, read=timeout.read, write=timeout.write)


def _message(error: Exception, sent: bool) -> str:
    text = str(error) or type(error).__name__
    return f"the connection broke: {text}" if sent else f"no connection to the gateway: {text}"
