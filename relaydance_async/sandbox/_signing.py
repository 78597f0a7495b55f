"""Signed URLs of results, as an object store makes them: whoever has one may fetch, until it expires (wire 3.3)."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import urlencode

DATE = "%Y%m%dT%H%M%SZ"
SECRET = b"the sandbox's"
DENIED = {"Code": "AccessDenied", "Message": "Access Denied"}
MISMATCH = {
    "Code": "SignatureDoesNotMatch",
    "Message": "The request signature we calculated does not match the signature you provided.",
}


def sign(path: str, at: float, seconds: int) -> str:
    """`path` with a query that opens it from `at` (seconds since the epoch) for so many `seconds`."""
    moment = datetime.fromtimestamp(int(at), UTC)
    query = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"AKSANDBOX/{moment:%Y%m%d}/cn-beijing/s3/aws4_request",
        "X-Amz-Date": moment.strftime(DATE),
        "X-Amz-Expires": str(seconds),
        "X-Amz-SignedHeaders": "host",
    }
    query["X-Amz-Signature"] = _signature(path, query)
    return f"{path}?{urlencode(query)}"


def why_closed(path: str, query: Mapping[str, str], now: float) -> dict[str, str] | None:
    """The fields of the store's error; None when the signature of `path` is good at `now`."""
    if "X-Amz-Signature" not in query:
        return DENIED
    if _signature(path, query) != query["X-Amz-Signature"]:
        return MISMATCH
    expires = datetime.strptime(query["X-Amz-Date"] + "+0000", DATE + "%z").timestamp() + int(query["X-Amz-Expires"])
    if now < expires:
        return None
    return {
        "Code": "AccessDenied",
        "Message": "Request has expired",
        "X-Amz-Expires": query["X-Amz-Expires"],
        "Expires": _iso(expires),
        "ServerTime": _iso(now),
    }


def _signature(path: str, query: Mapping[str, str]) -> str:
    signed = "\n".join([path, *(f"{name}={query[name]}" for name in sorted(query) if name != "X-Amz-Signature")])
    return hmac.new(SECRET, signed.encode(), hashlib.sha256).hexdigest()


def _iso(at: float) -> str:
    return datetime.fromtimestamp(int(at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
