"""What tells a request from another under the same idempotency key.

A program that is run again signs its URLs anew: a callback's token and the signatures of URLs don't count.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from hashlib import sha256
from typing import Any

from .request import PreparedRequest
from .target import ApiTarget, shown
from .webhook import token_hash_in

_URL = re.compile(r"(?i)https?://[^\s?#]+\?\S+")
_PREFIXES = ("x-amz-", "x-goog-", "x-oss-", "x-tos-", "x-cos-", "x-bce-", "q-sign", "q-ak", "q-key", "q-header")
"""Of the parameters that object stores sign with: AWS, Google, Alibaba, Volcengine, Tencent, Baidu."""
_NAMES = frozenset(
    {"rd_ref", "rd_exp", "rd_sig", "signature", "sig", "expires", "expire", "token", "security-token", "policy"}
    | {"key-pair-id", "awsaccesskeyid", "ossaccesskeyid", "googleaccessid", "auth_key", "hdnts", "hdnea"}
    | {"wssecret", "wstime", "q-url-param-list"}
)
_WITH_SIG = frozenset({"se", "sp", "sv", "sr", "st", "spr", "skoid", "sktid", "skt", "ske", "sks", "skv"})
"""Azure's, which are too short to be known without its `sig`."""


def canonical_json(body: bytes) -> str:
    """The same for bodies that ask for the same: sorted, without tokens and signatures."""
    content = json.loads(body)
    if b"://" in body:
        content = _unsigned(content)
    return json.dumps(content, sort_keys=True, separators=(",", ":"))


def build_fingerprint(request: PreparedRequest, content: str) -> str:
    """The hash of a request.

    Args:
        content: its body, canonical.
    """
    target = request.target
    query = target.query if isinstance(target, ApiTarget) else ""
    return sha256(f"{request.method} {shown(target)}?{query}\n{content}".encode("utf-8", "surrogatepass")).hexdigest()


def canonical_form(texts: Iterable[tuple[str, str]], files: Iterable[tuple[str, str, str, str]]) -> str:
    """The same for forms that hold the same: fields, and name, file name, media type and hash of each file."""
    return json.dumps([sorted([name, _unsigned(value)] for name, value in texts), [list(file) for file in files]])


def callback_in(body: bytes) -> str | None:
    """What tells the callback URL in a JSON body from others that were minted: a hash of its token; None without."""
    if b"rd_sig=" not in body:
        return None
    content = json.loads(body)
    metadata: Any = content.get("metadata") if isinstance(content, dict) else None  # pyright: ignore[reportUnknownMemberType,reportUnknownVariableType]
    url: Any = metadata.get("callback_url") if isinstance(metadata, dict) else None  # pyright: ignore[reportUnknownMemberType,reportUnknownVariableType]
    return token_hash_in(url) if isinstance(url, str) else None


def _unsigned(value: Any) -> Any:
    if isinstance(value, str):
        return _unsigned_url(value) if _URL.fullmatch(value) else value
    if isinstance(value, dict):
        return {name: _unsigned(item) for name, item in value.items()}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, list):
        return [_unsigned(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
    return value


def _unsigned_url(url: str) -> str:
    address, _, query = url.partition("?")
    query, mark, fragment = query.partition("#")
    pairs = query.split("&")
    names = {pair.partition("=")[0].lower() for pair in pairs}
    dropped = _NAMES | _WITH_SIG if "sig" in names else _NAMES
    kept = [pair for pair in pairs if not _signs(pair.partition("=")[0].lower(), dropped)]
    return f"{address}?{'&'.join(kept)}{mark}{fragment}" if kept else f"{address}{mark}{fragment}"


def _signs(name: str, dropped: frozenset[str]) -> bool:
    return name in dropped or name.startswith(_PREFIXES)
