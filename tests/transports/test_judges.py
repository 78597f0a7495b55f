"""What is made of the exceptions of a caller's client: one row for each."""

from __future__ import annotations

import errno
import socket
import ssl
from typing import Any

import httpcore
import httpx
import pytest

from relaydance_async._sansio.breakage import Broke, Reached
from relaydance_async._transports._failures import broke_by_name
from tests.transports.support import wire

aiohttp = pytest.importorskip("aiohttp")

from aiohttp.http_exceptions import BadStatusLine, TransferEncodingError  # noqa: E402
from yarl import URL  # noqa: E402

RESET = ConnectionResetError(errno.ECONNRESET, "Call failed ('127.0.0.1', 1)")
DISTRUST = ssl.SSLCertVerificationError(1, "self-signed certificate")
NO_NAME = socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def caused(error: Exception, cause: BaseException) -> Exception:
    error.__cause__ = cause
    return error


def of_proxy(status: int) -> Exception:
    info = aiohttp.RequestInfo(URL("http://u:secret@proxy"), "CONNECT", {}, URL("http://u:secret@proxy"))
    error: Exception = aiohttp.ClientHttpProxyError(info, (), status=status, message="Denied")
    return error


def unconnected(cause: OSError) -> Exception:
    key: Any = type("Key", (), {"host": "gateway.test", "port": 1, "ssl": True})()
    return caused(aiohttp.ClientConnectorError(key, cause), cause)


def judged(error: Exception, reached: Reached = Reached.SENT) -> tuple[str, Reached, bool, str]:
    request = wire("http://gateway.test/?token=secret")
    request.progress.reached = reached
    broke: Broke = broke_by_name(error, request)
    assert "secret" not in broke.text
    return broke.kind, broke.reached, broke.retryable, broke.text


NOT, SENT = Reached.NOT_SENT, Reached.SENT


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (of_proxy(407), ("proxy", NOT, False, "407 Denied")),
        (of_proxy(503), ("proxy", NOT, True, "503 Denied")),
        (aiohttp.ConnectionTimeoutError("x"), ("timeout", NOT, True, "no connection within 5 s")),
        (aiohttp.SocketTimeoutError("x"), ("timeout", SENT, True, "no answer within 5 s")),
        (aiohttp.InvalidURL("http://?secret"), ("setup", NOT, False, "the URL can't be used")),
        (unconnected(RESET), ("connect", NOT, True, "Connection reset by peer")),
        (unconnected(NO_NAME), ("connect", NOT, True, "Name or service not known")),
        (unconnected(DISTRUST), ("tls", NOT, False, str(DISTRUST))),
        (aiohttp.ServerDisconnectedError(object()), ("closed", SENT, True, "the server closed it without an answer")),
        (
            caused(aiohttp.ClientOSError(None, "Can't write for http://x/?secret"), RESET),
            ("closed", SENT, True, "Connection reset by peer"),
        ),
        (
            caused(aiohttp.ClientOSError(None, "?secret"), aiohttp.ClientConnectionResetError("closing")),
            ("closed", SENT, True, "closing"),
        ),
        (
            caused(aiohttp.ClientPayloadError("<secret>"), TransferEncodingError("Not enough data")),
            ("closed", SENT, True, "Not enough data"),
        ),
        (
            caused(aiohttp.ClientPayloadError("<secret>"), BadStatusLine("x", "Bad status line")),
            ("closed", SENT, True, "Bad status line"),
        ),
    ],
)
def test_of_aiohttp(error: Exception, expected: tuple[str, Reached, bool, str]) -> None:
    assert judged(caused(httpx.ReadError("what httpx-aiohttp makes of it"), error)) == expected


@pytest.mark.parametrize("library", [httpcore, httpx])
@pytest.mark.parametrize(
    ("name", "reached", "expected"),
    [
        ("ConnectTimeout", NOT, ("timeout", NOT, True, "no connection within 5 s")),
        ("PoolTimeout", NOT, ("timeout", NOT, True, "no free connection in the pool within 5 s")),
        ("ReadTimeout", SENT, ("timeout", SENT, True, "no answer within 5 s")),
        ("WriteTimeout", SENT, ("timeout", SENT, True, "the request could not be sent within 5 s")),
        ("ConnectError", NOT, ("connect", NOT, True, "x")),
        ("ReadError", SENT, ("closed", SENT, True, "x")),
        ("WriteError", Reached.PARTLY_SENT, ("closed", Reached.PARTLY_SENT, True, "x")),
        ("RemoteProtocolError", SENT, ("closed", SENT, True, "x")),
        ("UnsupportedProtocol", NOT, ("setup", NOT, False, "x")),
    ],
)
def test_of_httpx_and_httpcore(
    library: Any, name: str, reached: Reached, expected: tuple[str, Reached, bool, str]
) -> None:
    assert judged(getattr(library, name)("x"), reached) == expected


def test_of_httpcore_what_lies_below() -> None:
    refused = caused(httpcore.ConnectError("[Errno 111] ('::1', 1)"), OSError(errno.ECONNREFUSED, "('::1', 1)"))
    assert judged(refused, NOT) == ("connect", NOT, True, "Connection refused")
    assert judged(caused(httpcore.ConnectError("x"), DISTRUST), NOT)[:3] == ("tls", NOT, False)
    assert judged(httpcore.ProxyError("407 Denied"), NOT) == ("proxy", NOT, False, "407 Denied")
    assert judged(httpcore.ProxyError("502 Bad"), NOT) == ("proxy", NOT, True, "502 Bad")
    assert judged(httpcore.ProxyError("no status"), NOT)[:3] == ("proxy", NOT, True)


def test_of_a_callers_client_by_name() -> None:
    assert judged(httpx.DecodingError("bad gzip")) == ("coding", SENT, True, "bad gzip")
    told = caused(httpx.ConnectTimeout("x"), aiohttp.ServerDisconnectedError(object()))  # what httpx-aiohttp makes
    assert judged(told) == ("closed", SENT, True, "the server closed it without an answer")


@pytest.mark.parametrize("error", [httpcore.ReadError("reset"), httpx.ReadError("reset"), RESET])
def test_a_certificate_that_the_caller_is_handling_says_nothing_of_a_request_that_was_sent(error: Exception) -> None:
    error.__context__ = DISTRUST
    assert judged(error)[:3] == ("closed", SENT, True)
