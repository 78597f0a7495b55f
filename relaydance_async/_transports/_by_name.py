"""What broke in a caller's client, told by the names of exceptions.

Its library may be httpx, httpx2, or a transport of anybody's below either. They use the same names for classes that
have nothing else in common.
"""

from __future__ import annotations

from .._sansio.breakage import BreakKind, Broke, Phase, Reached, describe_timeout, is_passing_refusal
from ._base import WireRequest
from ._failures import distrust_under, plain_words

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
_NEVER_SENDABLE = frozenset({"UnsupportedProtocol", "LocalProtocolError", "InvalidURL", "RuntimeError"})


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
